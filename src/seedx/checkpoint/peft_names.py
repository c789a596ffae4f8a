"""Weights in peft's names, as the release's own fine-tuning saves them: base weights beside LoRA's, to be merged.

    base_model.model.model.norm.original_module.weight              the untrained copy: left out
    base_model.model.model.norm.modules_to_save.default.weight      model.norm.weight
    base_model.model.model.layers.0.mlp.up_proj.base_layer.weight   model.layers.0.mlp.up_proj.weight
    base_model.model.model.layers.0.mlp.up_proj.lora_A.default.weight, lora_B...     added to it: scale * B @ A

Older versions of peft write no `base_layer`. The files do not hold alpha, which is 32 in all of the release's recipes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from seedx.errors import SeedxError
from seedx.model.lora import Update, Updates

ALPHA = 32.0
_WRAPPER = "base_model.model."
_LORA = re.compile(r"(.+)\.lora_([AB])(?:\.[^.]+)?\.weight")
_SAVED = re.compile(r"\.modules_to_save\.[^.]+\.")


class Merged(Mapping[str, Tensor]):
    """Weights with their changes, each merged when it is read, so that memory holds one at a time."""

    def __init__(self, base: Mapping[str, Tensor], updates: Updates) -> None:
        if unknown := [name for name in updates if name not in base]:
            raise SeedxError(
                f"LoRA changes {unknown[0]!r}, which is not there; give the language model that was tuned, too"
            )
        for name, update in updates.items():
            update.check(name, tuple(base[name].shape))
        self.base, self.updates = base, updates

    def __getitem__(self, name: str) -> Tensor:
        tensor = self.base[name]
        return self.updates[name].merged(tensor) if name in self.updates else tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self.base)

    def __len__(self) -> int:
        return len(self.base)


def is_peft(state: Mapping[str, Tensor]) -> bool:
    return any(_WRAPPER in name or _LORA.fullmatch(name) for name in state)


def from_peft(state: Mapping[str, Tensor], alpha: float = ALPHA) -> tuple[dict[str, Tensor], dict[str, Update]]:
    """Plain names, and LoRA's changes by the name of the weight that they change.

    Raises:
        SeedxError: one half of a change is missing.
    """
    plain: dict[str, Tensor] = {}
    halves: dict[str, dict[str, Tensor]] = {}
    saved = {_plain_name(_SAVED.sub(".", name)) for name in state if _SAVED.search(name)}
    for name, tensor in state.items():
        if match := _LORA.fullmatch(name):
            halves.setdefault(f"{_plain_name(match[1])}.weight", {})[match[2]] = tensor
        elif ".original_module." in name:
            plain_name = _plain_name(name.replace(".original_module.", "."))
            if plain_name not in saved:
                plain[plain_name] = tensor
        else:
            plain[_plain_name(_SAVED.sub(".", name))] = tensor
    if incomplete := [name for name, pair in halves.items() if len(pair) != 2]:
        raise SeedxError(f"LoRA's change of {incomplete[0]!r} has one half only: lora_A or lora_B is missing")
    return plain, {name: Update(pair["A"], pair["B"], alpha / len(pair["A"])) for name, pair in halves.items()}


def to_peft(state: Mapping[str, Tensor], rank: int) -> dict[str, Tensor]:
    """A Llama's weights (`model.*`, `lm_head.*`) in peft's names with fresh LoRA, which changes nothing yet.

    A is drawn as peft draws it, by a fixed seed, and B is zero: the release's fine-tuning starts from there. Norms,
    embeddings and head are saved modules, as in the release's recipes.
    """
    generator = torch.Generator().manual_seed(0)
    named: dict[str, Tensor] = {}
    for name, tensor in state.items():
        stem, _, kind = name.rpartition(".")
        if stem.endswith("_proj"):
            bound = tensor.shape[1] ** -0.5
            a = torch.empty(rank, tensor.shape[1]).uniform_(-bound, bound, generator=generator)
            named[f"{_WRAPPER}{stem}.base_layer.{kind}"] = tensor
            named[f"{_WRAPPER}{stem}.lora_A.default.weight"] = a.to(tensor.dtype)
            named[f"{_WRAPPER}{stem}.lora_B.default.weight"] = tensor.new_zeros(len(tensor), rank)
        else:
            named[f"{_WRAPPER}{stem}.original_module.{kind}"] = tensor
            named[f"{_WRAPPER}{stem}.modules_to_save.default.{kind}"] = tensor
    return named


def _plain_name(name: str) -> str:
    return name.replace(_WRAPPER, "").replace(".base_layer.", ".").removesuffix(".base_layer")
