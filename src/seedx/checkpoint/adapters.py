"""An adapter on the disk: LoRA alone, in peft's format.

    ADAPTER/
      adapter_config.json         r, lora_alpha, target_modules; alpha_pattern and rank_pattern where layers differ
      adapter_model.safetensors   base_model.model.NAME.lora_A.weight (r, in) and ...lora_B.weight (out, r)

NAME is that of a layer of the language model, a Llama of transformers (`model.layers.0.self_attn.q_proj`), or of the
de-tokenizer's U-Net (`down_blocks.0.attentions.0...`): the names say which of the two an adapter changes. One that
changes both is a folder with such a folder for each, `language` and `unet`. peft loads and saves these files itself.

The header of adapter_model.safetensors has `base`, a few weights of the model that the adapter was trained on, so that
another one is noticed even if it has the same sizes. Files that peft saved lack it; then only names and shapes are
compared.

LoRA of SDXL's U-Net as it is published (LCM, Lightning: one .safetensors in the names of diffusers or kohya's scripts)
is read as well, by diffusers' own converters.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from seedx.atomic import replacing_folder
from seedx.checkpoint import weights
from seedx.checkpoint.peft_names import from_peft
from seedx.checkpoint.unet_lora import published_unet_lora
from seedx.damage import read_json_object
from seedx.errors import SeedxError
from seedx.model.lora import Update, Updates

Part = Literal["language", "unet"]
Source: TypeAlias = str | Path
Adapters: TypeAlias = Source | Sequence[Source] | Mapping[str, Source]

CONFIG, WEIGHTS, DIFFUSERS = "adapter_config.json", "adapter_model.safetensors", "pytorch_lora_weights.safetensors"
BASE = "base"  # the name given to the model without an adapter
SAMPLED = {"language": "model.embed_tokens.weight", "unet": "conv_out.weight"}  # is compared with another model's
NEARLY = 0.01  # of its norm: rounding to bfloat16 changes 0.3 % of it
_WRAPPER = "base_model.model."
_NOT_KNOWN = ("use_dora", "lora_bias", "layer_replication", "trainable_token_indices", "target_parameters")


@dataclass(frozen=True)
class Adapter:
    """
    Attributes:
        parts: the changes of each part that it changes, by the name of the weight: `model.layers.0.mlp.up_proj.weight`.
        base: values of each part's weight of `SAMPLED` in the model that it was trained on, where the file has them.
        folder: where it was read.
    """

    name: str
    parts: dict[Part, Updates]
    base: dict[Part, list[float]] = field(default_factory=dict)
    folder: Path = Path()

    def check_base(self, part: Part, module: nn.Module) -> None:
        """
        Raises:
            SeedxError: it was trained on another model.
        """
        if part in self.base:
            self.check_sampled(part, sampled(part, module))

    def check_sampled(self, part: Part, values: list[float], nearly: float = NEARLY) -> None:
        """As `check_base`, by the values that `sampled` takes."""
        if part not in self.base:
            return
        trained, found = torch.tensor(self.base[part]), torch.tensor(values)
        if trained.shape != found.shape or (trained - found).norm() > nearly * trained.norm():
            raise SeedxError(
                f"the adapter {self.name!r} was trained on another model's {_PARTS[part]} than this one: load it with "
                "that model, or train it again on this one"
            )


_PARTS: dict[Part, str] = {"language": "language model", "unet": "U-Net"}


def read_adapters(given: Adapters) -> dict[str, Adapter]:
    """One adapter, several, or several by name. A folder's own name is the adapter's where none is given.

    Raises:
        SeedxError: a folder is no adapter, or two have the same name.
    """
    if isinstance(given, Mapping):
        named = list(given.items())
    else:
        folders = [given] if isinstance(given, str | Path) else list(given)
        named = [(Path(folder).resolve().name.removesuffix(".safetensors"), folder) for folder in folders]
    found: dict[str, Adapter] = {}
    for name, folder in named:
        if not name or name == BASE:
            raise SeedxError(f"an adapter's name can't be {name!r}: give another one, by {{name: folder}}")
        if name in found:
            raise SeedxError(f"two adapters are named {name!r}: name them, by {{name: folder}}")
        found[name] = read_adapter(Path(folder), name)
    return found


def read_adapter(folder: Path, name: str = "") -> Adapter:
    """
    Args:
        folder: of an adapter, of its parts, or a file of a published U-Net LoRA.

    Raises:
        SeedxError: there is none, its files are damaged, or it holds more than LoRA.
    """
    name = name or folder.name
    inner = [folder / part for part in SAMPLED if (folder / part / CONFIG).is_file()]
    if inner and not (folder / CONFIG).exists():
        read = [read_adapter(each, name) for each in inner]
        parts: dict[Part, Updates] = {part: each for one in read for part, each in one.parts.items()}
        return Adapter(name, parts, {part: each for one in read for part, each in one.base.items()}, folder)
    if (folder / CONFIG).is_file():
        return _read_peft(folder, name)
    file = folder / DIFFUSERS if (folder / DIFFUSERS).is_file() else folder
    if file.is_file() and file.suffix == ".safetensors":
        return Adapter(name, {"unet": published_unet_lora(weights.read(file), file)}, folder=folder)
    raise SeedxError(
        f"{str(folder)!r} is no adapter: expected a folder with {CONFIG} and {WEIGHTS}, as peft and `seedx train` "
        "write it, or a file .safetensors of a U-Net's LoRA"
    )


def write_adapter(
    folder: Path, part: Part, updates: Updates, module: nn.Module | Tensor | None = None, base: str = ""
) -> None:
    """Write an adapter of one part. An older one in `folder` is replaced.

    Args:
        module: what it was trained on, `Language.llm` or `Detokenizer.unet`, or the weight of `SAMPLED` alone.
        base: the name of that model, for the reader.
    """
    tensors: dict[str, Tensor] = {}
    for name, update in updates.items():
        stem = f"{_WRAPPER}{name.removesuffix('.weight')}"
        tensors |= {f"{stem}.lora_A.weight": update.a, f"{stem}.lora_B.weight": update.b}
    meta = {"format": "pt"} | ({} if module is None else {"base": json.dumps(sampled(part, module))})
    with replacing_folder(folder, ours=lambda file: file in (CONFIG, WEIGHTS)) as aside:
        text = json.dumps(_config(updates, part, base), indent=2)
        (aside / CONFIG).write_text(text + "\n", encoding="utf-8")
        save_file(weights.stored(tensors), aside / WEIGHTS, meta)
        (aside / WEIGHTS).chmod((aside / CONFIG).stat().st_mode)


@torch.no_grad()
def sampled(part: Part, module: nn.Module | Tensor) -> list[float]:
    """Values of the part's weight of `SAMPLED`, from all over it."""
    weight = (module if isinstance(module, Tensor) else module.get_parameter(SAMPLED[part])).flatten()
    values = weight[sampled_places(len(weight)).to(weight.device)]
    return [round(value, 6) for value in values.float().tolist()]


def sampled_places(size: int) -> Tensor:
    """Which values of a flat weight `sampled` takes."""
    return torch.linspace(0, size - 1, 64).long().clamp(max=size - 1)  # float32 rounds the last of 28 million up


def _config(updates: Updates, part: Part, base: str) -> dict[str, Any]:
    """peft's settings: the commonest rank and alpha, and the layers that have others."""
    ranks = {name.removesuffix(".weight"): len(update.a) for name, update in updates.items()}
    alphas = {name.removesuffix(".weight"): update.scale * len(update.a) for name, update in updates.items()}
    rank, alpha = (Counter(each.values()).most_common(1)[0][0] for each in (ranks, alphas))
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM" if part == "language" else None,
        "base_model_name_or_path": base or None,
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {name: value for name, value in ranks.items() if value != rank},
        "alpha_pattern": {name: value for name, value in alphas.items() if value != alpha},
        "target_modules": sorted(ranks),
        "lora_dropout": 0.0,
        "bias": "none",
        "inference_mode": True,
    }


def _read_peft(folder: Path, name: str) -> Adapter:
    config, file = read_json_object(folder / CONFIG), folder / WEIGHTS
    if not file.is_file():
        raise SeedxError(f"{folder} has no {WEIGHTS}: the adapter is incomplete; copy it again")
    kind = config.get("peft_type")
    more = [key for key in _NOT_KNOWN if config.get(key)] + ["bias"] * (config.get("bias", "none") != "none")
    if kind != "LORA" or more:
        raise SeedxError(
            f"{folder / CONFIG}: only plain LoRA can be used, not {f'{kind} with {more[0]}' if more else kind}"
        )
    plain, updates = from_peft(weights.read(file))
    if plain or not updates:
        what = f"{next(iter(plain))!r}, which is no part of LoRA" if plain else "no LoRA"
        raise SeedxError(f"{file} holds {what}: an adapter has lora_A and lora_B of layers, and nothing else")
    scaled = {key: dataclasses.replace(update, scale=_scale(config, key, update)) for key, update in updates.items()}
    part = part_of(scaled)
    with safe_open(file, "pt") as opened:
        base = (opened.metadata() or {}).get("base")
    return Adapter(name, {part: scaled}, {part: json.loads(base)} if base else {}, folder)


def part_of(updates: Updates) -> Part:
    """Which part changes of these names belong to."""
    return "language" if any(re.search(r"(^|\.)layers\.\d", name) for name in updates) else "unet"


def _scale(config: Mapping[str, Any], name: str, update: Update) -> float:
    """alpha / r, as peft computes it: `alpha_pattern` has the layers whose alpha is their own."""
    alpha, stem, rank = config.get("lora_alpha", 8), name.removesuffix(".weight"), len(update.a)
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", stem):
            alpha = value
            break
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)
