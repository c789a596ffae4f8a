"""A golden case read from its files, and helpers of all checks.

A check returns pairs: what was compared, and its worst absolute error. Names, sizes and numbers come from the files of
a case; none of them is written in the code.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from seedx.checkpoint import weights
from seedx.errors import SeedxError

Results = list[tuple[str, float]]
ABSENT = float("inf")  # the error of a tensor that is missing


@dataclasses.dataclass
class Case:
    """
    Attributes:
        facts: NAME.json.
        tensors: NAME.safetensors: `state/PART/...`, `in/...`, `out/...`, `grad/...`.
    """

    facts: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = self.facts["config"]
        return config

    def state(self, part: str, prefix: str = "") -> dict[str, Tensor]:
        """The official state dict stored as `part`, with `prefix` put before its names."""
        return {prefix + name: tensor for name, tensor in self.under(f"state/{part}/").items()}

    def under(self, head: str) -> dict[str, Tensor]:
        """The tensors whose names start with `head`, by the rest of their names."""
        return {name[len(head) :]: tensor for name, tensor in self.tensors.items() if name.startswith(head)}

    def setting(self, key: str, sub: str, default: Any = None) -> Any:
        """A setting of one sub-case: its own, else that of the whole case."""
        for place in (self.facts.get("inputs"), self.facts.get("outputs"), self.config):
            own = place.get(sub) if isinstance(place, dict) else None
            if isinstance(own, dict) and key in own:
                return own[key]
        shared = self.config.get(key, default)
        return shared.get(sub, default) if isinstance(shared, dict) else shared

    def compare(self, name: str, ours: Tensor, unit: float = 1.0) -> Iterator[tuple[str, float]]:
        """The error against `out/NAME` in units of `unit`, if the case has it."""
        if f"out/{name}" in self.tensors:
            yield name, worst(ours, self.tensors[f"out/{name}"]) / unit


def read_case(folder: Path, name: str) -> Case:
    return Case(read_facts(folder, name), load_file(folder / f"{name}.safetensors"))


def read_facts(folder: Path, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return facts


def find(folder: Path, name: str) -> Path:
    """A shared input of the cases: in their folder or beside it.

    Raises:
        SeedxError: it is in neither.
    """
    for place in (folder / name, folder.parent / name):
        if place.exists():
            return place
    raise SeedxError(f"the cases in {str(folder)!r} need {name!r} there or in the folder above")


def fill(module: nn.Module, state: Mapping[str, Tensor], without: str = "\0") -> None:
    """Load a state dict, strict but for names that start with `without`."""
    expected = {key: value for key, value in module.state_dict().items() if not key.startswith(without)}
    weights.check(state, expected, type(module).__name__)
    module.load_state_dict(state, strict=False)


def worst(ours: Tensor, expected: Tensor) -> float:
    """Largest absolute difference; infinite where the shapes differ or a value is not a number."""
    if ours.shape != expected.shape or not ours.isfinite().all():
        return ABSENT
    return (ours.double() - expected.double()).abs().max().item() if ours.numel() else 0.0


def of_norm(ours: float, expected: float) -> float:
    """The error of a norm of gradients, relative if that is over 1: a sum over so many is rounded at its own size."""
    return abs(ours - expected) / max(expected, 1.0)


def largest(results: Results) -> float:
    return max(error for _, error in results)


def unlike(ours: Iterable[str], expected: Iterable[str]) -> float:
    """How many names are in one list only."""
    return float(len(set(ours) ^ set(expected)))
