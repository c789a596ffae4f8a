"""A converted model checked on the machine of those who have its weights, and a report that they can send.

    parts     of each the number of weights, a hash of names and shapes, means and norms, values that are not finite,
              and whether names and shapes are those of the released 17B model (Llama-2-13B's and SDXL's included)
    modules   one fixed picture and prompt through every module: statistics of what comes out
    replies   one answer and one drawing

Nothing here proves that the weights are right: values are finite, and of a size that such modules give. The report lets
somebody who knows compare.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from seedx.checkpoint import native, weights
from seedx.checkpoint.hub import locate
from seedx.checkpoint.parts import build, modules, part_state
from seedx.checkpoint.placement import Dtype
from seedx.config import SEED_X_17B, Config
from seedx.inference import pipeline
from seedx.terminal import new_table
from seedx.verify.model_probes import probes

LONGEST = 160  # characters of a line's numbers; the report has all
LARGEST = 1e4  # of the deviation of a module's output: beyond it, something is wrong


@dataclass(frozen=True)
class Check:
    """
    Attributes:
        detail: the numbers, or what was wrong.
        seconds: that it took.
    """

    name: str
    passed: bool
    detail: str
    seconds: float


def report(
    name: str | Path, device: str = "cpu", steps: int | None = None, dtype: Dtype | None = None
) -> tuple[list[Check], dict[str, Any]]:
    """Check a model folder; returns the checks, and the report as plain JSON types.

    Args:
        name: "tiny", a folder, or a hub id.
        steps: of the drawing; None: as the config has it.
        dtype: of the weights; None: as `seedx.load`.

    Raises:
        SeedxError: no such model, or weights that do not fit its config.json.
    """
    folder = locate(name)
    config = native.read_config(folder)
    checks, parts = [], {}
    for part, expected in expected_parts(config, folder):
        start = time.perf_counter()
        parts[part] = fingerprint(native.read_part(folder, part, expected)) | {"released": is_released(part, expected)}
        checks.append(_of_part(part, parts[part], time.perf_counter() - start))
    model = pipeline.load(folder, device=device, dtype=getattr(torch, dtype) if dtype else None)
    model.model.need(*modules(model.model.seedx, model.model.detokenizer))
    outputs: dict[str, Any] = {}
    for what, run in probes(model, steps).items():
        checks.append(_run(what, run, outputs))
    facts = {"folder": folder.name, "config": dataclasses.asdict(config), "machine": machine(device)}
    return checks, facts | {"parts": parts, "outputs": outputs, "checks": [dataclasses.asdict(each) for each in checks]}


def write(facts: Mapping[str, Any], file: Path) -> None:
    file.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def table(checks: list[Check]) -> Table:
    made = new_table("check", "verdict", "seconds", "numbers", words=["verdict", "numbers"])
    for check in checks:
        verdict, style = ("pass", None) if check.passed else ("FAIL", "red")
        made.add_row(check.name, verdict, f"{check.seconds:.1f}", check.detail, style=style)
    return made


def expected_parts(config: Config, folder: Path) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Names and shapes of every part that the folder has."""
    for part, module in modules(*build(config)).items():
        yield part, part_state(part, module)
    other = native.other_name(config)
    if weights.find(folder, other):
        yield other, part_state("detokenizer", native.other_stage(config))


def fingerprint(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Numbers by which two copies of a part can be compared. One tensor is in memory at a time.

    `shapes` is a hash of names and shapes in order; `mean` and `norm` are over all values; `tensors` has the mean and
    the norm of each.
    """
    shapes, each, count, bad = hashlib.sha256(), {}, 0, 0
    total = squares = 0.0
    for name in sorted(tensors):
        tensor = tensors[name]
        shapes.update(f"{name} {tuple(tensor.shape)}\n".encode())
        finite = torch.isfinite(tensor)
        bad += int((~finite).sum())
        values = torch.where(finite, tensor, 0).double()
        mean, norm = float(values.mean()), float(values.norm())
        each[name] = [float(f"{mean:.6g}"), float(f"{norm:.6g}")]
        count, total, squares = count + tensor.numel(), total + float(values.sum()), squares + norm**2
    return {
        "weights": count,
        "precision": sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}),
        "shapes": shapes.hexdigest()[:16],
        "mean": total / max(count, 1),
        "norm": squares**0.5,
        "not_finite": bad,
        "all_zero": sorted(name for name, (_, norm) in each.items() if norm == 0),
        "tensors": each,
    }


def is_released(part: str, expected: Mapping[str, Tensor]) -> bool:
    """Whether a part has the names and shapes of the released 17B model."""
    name = "detokenizer" if part.endswith("_stage") else part
    return {key: tensor.shape for key, tensor in expected.items()} in [each[name] for each in _released()]


@functools.cache
def _released() -> list[dict[str, dict[str, torch.Size]]]:
    """Names and shapes by part of the released model with either stage of the de-tokenizer."""
    found = []
    for condition in (True, False):
        sizes = dataclasses.replace(SEED_X_17B.detokenizer, condition=condition)
        parts = modules(*build(dataclasses.replace(SEED_X_17B, detokenizer=sizes)))
        found.append({part: {k: t.shape for k, t in part_state(part, each).items()} for part, each in parts.items()})
    return found


def machine(device: str) -> dict[str, Any]:
    import diffusers
    import transformers

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    found = {
        "seedx": metadata.version("seedx"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "diffusers": diffusers.__version__,
        "platform": platform.platform(),
        "device": device,
        "peak_memory": peak,
    }
    if torch.device(device).type == "cuda":
        found |= {"gpu": torch.cuda.get_device_name(device), "peak_gpu_memory": torch.cuda.max_memory_allocated(device)}
    return found


@torch.no_grad()
def _run(name: str, run: Callable[[], dict[str, Any]], outputs: dict[str, Any]) -> Check:
    start = time.perf_counter()
    try:
        numbers = run()
    except (RuntimeError, ValueError) as error:  # such as memory that is not enough: the other probes still tell
        text = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        outputs[name] = {"error": text}
        return Check(name, False, text, time.perf_counter() - start)
    outputs[name] = numbers
    shown = [f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value!r}" for key, value in numbers.items()]
    sane = numbers.get("not_finite", 0) == 0 and 0 < numbers.get("deviation", 1.0) < LARGEST
    return Check(name, sane, ", ".join(shown)[:LONGEST], time.perf_counter() - start)


def _of_part(part: str, facts: dict[str, Any], seconds: float) -> Check:
    sizes = "the released model's names and shapes" if facts["released"] else "other sizes than the released model"
    detail = f"{facts['weights']:,} weights, shapes {facts['shapes']}, norm {facts['norm']:.6g}, {sizes}"
    if facts["not_finite"]:
        detail = f"{facts['not_finite']:,} weights are not finite; {detail}"
    return Check(f"weights of {part}", facts["not_finite"] == 0, detail, seconds)
