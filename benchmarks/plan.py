"""The plan's figures against this machine: memory and time of a training step, predicted and measured.

    python benchmarks/plan.py [--json] [--steps 5]

Three small configurations, each in a process of its own with one thread. Predicted is what
`seedx.train.planning.workload` measures on fake tensors:
    memory  4 bytes a parameter, 8 a trained one for AdamW, and the peak of what the step makes (gradients included)
    time    the sum over all operations of FLOPs / matrix speed, bytes / memory bandwidth, what new memory for the
            results costs (the system clears it) and the call itself; activation functions and dropout's random
            numbers by themselves; the optimizer passes its memory ten times. A GPU hides the bytes behind the FLOPs;
            one core hardly does
With compiled blocks the plan's figures are those without, which are bounds.
Measured are steps of the real model by its own loss, with clipping and AdamW:
    memory  the peak of the process (Linux's VmHWM, reset after the first step) over what it still has when all is
            deleted: libraries keep the kernels that they compiled
    time    the CPU time of a step, the median
The machine's speeds are measured before and after, by CPU time too: other processes may run, as long as memory
bandwidth is not theirs alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedx.config import PRESETS, TINY, Config, LanguageConfig, LoraConfig
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.model.vision import VisionTransformer
from seedx.train.engine import trainable
from seedx.train.engine.activation_checkpoint import prepare_blocks
from seedx.train.planning.meter import Measured
from seedx.train.planning.plan import on_meta
from seedx.train.planning.workload import DetokenizerStep, Load, packed_batch
from seedx.train.planning.workload import measure as measure_without_data
from seedx.train.recipe import Recipe

MIB = 1024**2
PASSES = 10  # over trained parameters: 7 by AdamW, 3 by clipping
REPEATS = 5
CHAIN = 50  # operations one after the other, to time a call


@dataclass(frozen=True)
class Case:
    recipe: Recipe
    load: Load


def language(lora: bool) -> Config:
    sizes = LanguageConfig(
        vocab_size=8192,
        hidden_size=512,
        intermediate_size=1408,
        layers=6,
        heads=8,
        lora=LoraConfig() if lora else None,
    )
    return dataclasses.replace(TINY, language=sizes)


# What the full-size recipes train beside the adapters.
LORA = ("*lora_*", "*.norm.*", "*layernorm*", "*embed_tokens*", "*lm_head*", "*put_resampler.*", "tile_positions")

PRESETS.update(
    {
        "all": language(lora=False),
        "lora": language(lora=True),
        "unet": dataclasses.replace(
            TINY,
            detokenizer=dataclasses.replace(
                TINY.detokenizer, unet=TINY.detokenizer.unet | {"block_out_channels": (128, 256)}
            ),
        ),
    }
)
CASES = {
    "every weight, float32": Case(
        Recipe("all", "language", "all", bf16=False), Load(2, 256, tiles=6, drawn=2, supervised=200)
    ),
    "the same, compiled blocks": Case(
        Recipe("all", "language", "all", bf16=False, compile=True), Load(2, 256, tiles=6, drawn=2, supervised=200)
    ),
    "LoRA, bfloat16, checkpointing": Case(
        Recipe("lora", "language", "lora", trained=LORA, lora=True, activation_checkpointing=True),
        Load(4, 256, tiles=12, drawn=4, supervised=400),
    ),
    "U-Net, float32": Case(Recipe("unet", "condition", "unet", bf16=False), Load(8, 96)),
}


@dataclass(frozen=True)
class Machine:
    """
    Attributes:
        matrix, convolution: FLOPs a second by dtype, the mean of what a trained layer computes: its result, and the
            gradients of its input and of its weights.
        bandwidth: bytes a second that are read and written, of 256 MiB, which no cache holds.
        fresh: seconds that a byte of new memory costs.
        call: seconds that an operation takes whatever its size, forward or backward.
        random: seconds that a random number costs.
        function: seconds that an activation function of one number costs, its memory apart.
    """

    matrix: dict[torch.dtype, float]
    convolution: dict[torch.dtype, float]
    bandwidth: float
    fresh: float
    call: float
    random: float
    function: float

    @staticmethod
    def measure() -> Machine:
        dtypes = (torch.float32, torch.bfloat16)
        values, little, many = torch.randn(1024, 1024), torch.zeros(8, requires_grad=True), torch.zeros(64, 1024, 1024)
        in_place = _seconds(lambda: values.neg_())
        return Machine(
            {dtype: 2 * 512 * 1024 * 1024 / statistics.mean(map(_seconds, _matrices(dtype))) for dtype in dtypes},
            {dtype: 3 * 2 * 8 * 144 * 128 * 128 * 9 / _seconds(_convolution(dtype)) for dtype in dtypes},
            2 * many.nbytes / _seconds(lambda: many.neg_()),
            max(0.0, _seconds(values.neg) - in_place) / values.nbytes,
            _seconds(lambda: _chain(little)) / (2 * CHAIN),
            _seconds(lambda: values.bernoulli_(0.5)) / values.numel(),
            max(0.0, _seconds(lambda: torch.ops.aten.gelu_(values)) - in_place) / values.numel(),
        )

    def seconds(self, reading: Measured) -> float:
        """Of all operations of a step, one after the other."""
        total = 0.0
        for operation, times in reading.operations.items():
            speeds = self.convolution if operation.kind == "convolution" else self.matrix
            busy = operation.flops / speeds[operation.dtype] if operation.flops else 0.0
            if operation.kind in ("random", "function"):  # their bytes are read and written
                each = self.random if operation.kind == "random" else self.function
                busy = operation.bytes / (2 * operation.dtype.itemsize) * each
            total += times * (busy + operation.bytes / self.bandwidth + operation.new * self.fresh + self.call)
        return total


def _chain(x: Tensor) -> None:
    for _ in range(CHAIN):
        x = x * 2
    x.sum().backward()


def _matrices(dtype: torch.dtype) -> list[Callable[[], Tensor]]:
    x, weight = torch.randn(512, 1024).to(dtype), torch.randn(1024, 1024).to(dtype)
    out, gradient = torch.empty_like(x), torch.empty_like(weight)
    return [
        lambda: torch.mm(x, weight.t(), out=out),
        lambda: torch.mm(x, weight, out=out),
        lambda: torch.mm(x.t(), x, out=gradient),
    ]


def _convolution(dtype: torch.dtype) -> Callable[[], object]:
    """Of a trained layer: its result and both gradients."""
    x, weight = torch.randn(8, 128, 12, 12).to(dtype), torch.randn(128, 128, 3, 3).to(dtype)
    gradient = torch.randn_like(x)
    trained = (x.requires_grad_(), weight.requires_grad_())
    return lambda: torch.autograd.grad(F.conv2d(x, weight, padding=1), trained, gradient)


def _seconds(run: Callable[[], object]) -> float:
    """CPU seconds of one call, the median of some rounds of 20 milliseconds."""
    run()
    rounds = []
    for _ in range(REPEATS):
        start, calls = time.process_time(), 0
        while time.process_time() - start < 0.02:
            run()
            calls += 1
        rounds.append((time.process_time() - start) / calls)
    return statistics.median(rounds)


def read(case: Case) -> tuple[Measured, int, int]:
    """What the meter reads, and the numbers of parameters held and trained."""
    recipe = case.recipe

    step = on_meta(recipe)
    how = {"gpu": False, "sharded": False, "bf16": recipe.bf16, "checkpointing": recipe.activation_checkpointing}
    reading = measure_without_data(step, case.load, **how)
    return reading, sum(parameter.numel() for parameter in step.parameters()), trainable.count(step)


def measure(case: Case, steps: int) -> dict[str, float]:
    model, loss = (_language if case.recipe.stage == "language" else _detokenizer)(case)
    parameters = list(trainable.trained(model).values())
    optim = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    times = []
    for number in range(steps + 1):
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=case.recipe.bf16):
            value = loss()
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optim.step()
        optim.zero_grad(set_to_none=True)
        times.append(time.process_time() - start)
        if number == 0:  # the first one makes the optimiser's state and the libraries' workspaces
            Path("/proc/self/clear_refs").write_text("5")
    peak = status("VmHWM")
    del model, loss, parameters, optim, value
    gc.collect()
    return {"memory": peak - status("VmRSS"), "time": statistics.median(times[1:])}


def status(field: str) -> int:
    """Bytes of a field of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def _language(case: Case) -> tuple[nn.Module, Callable[[], Tensor]]:
    model = SeedX(PRESETS[case.recipe.config]).train()
    if case.recipe.lora:
        model.language.add_lora()
    trainable.apply(model, case.recipe.trained or trainable.DEFAULTS["language"])
    prepare_blocks(model, case.recipe)
    batch = packed_batch(model.config, case.load)
    return model, lambda: model(batch).total


def _detokenizer(case: Case) -> tuple[nn.Module, Callable[[], Tensor]]:
    config = PRESETS[case.recipe.config]
    model = Detokenizer(config.detokenizer, config.vision.output_dim)
    step = DetokenizerStep(model, VisionTransformer(config.vision).requires_grad_(False)).train()
    trainable.apply(model, trainable.DEFAULTS["condition"])
    return model, lambda: step(case.load)


def one(name: str, steps: int) -> dict[str, Any]:
    """A case, in this process."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    reading, held, count = read(CASES[name])  # first: it imports what the measured model needs, too
    gc.collect()
    first = Machine.measure()
    measured = measure(CASES[name], steps)
    machines = [first, Machine.measure()]
    seconds = [machine.seconds(reading) + PASSES * 4 * count / machine.bandwidth for machine in machines]
    predicted = {"memory": 4 * held + 8 * count + reading.peak, "time": statistics.mean(seconds)}
    return {
        "case": name,
        "predicted_mib": predicted["memory"] / MIB,
        "measured_mib": measured["memory"] / MIB,
        "memory_error": predicted["memory"] / measured["memory"] - 1,
        "predicted_seconds": predicted["time"],
        "measured_seconds": measured["time"],
        "time_error": predicted["time"] / measured["time"] - 1,
        "machine": [
            {
                **{f"matrix_{str(d)[6:]}_gflops": v / 1e9 for d, v in m.matrix.items()},
                "bandwidth_gbs": m.bandwidth / 1e9,
                "fresh_ns_per_kb": m.fresh * 1e12,
                "call_us": m.call * 1e6,
            }
            for m in machines
        ],
    }


def apart(name: str, steps: int) -> dict[str, Any]:
    """A case in a process of its own, whose memory goes back to the system as soon as it is free."""
    settings = {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    command = [sys.executable, __file__, "--one", name, "--steps", str(steps)]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the case {name!r} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--steps", type=int, default=5, help="steps measured of each case")
    parser.add_argument("--one", choices=list(CASES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one, options.steps)))
        return
    results = [apart(name, options.steps) for name in CASES]
    if options.json:
        print(json.dumps({"threads": 1, "results": results}, indent=1))
        return
    for r in results:
        print(
            f"{r['case']:<32} memory {r['predicted_mib']:6.0f} MiB, measured {r['measured_mib']:6.0f} "
            f"({r['memory_error']:+.0%})   time {r['predicted_seconds']:.2f} s, measured {r['measured_seconds']:.2f} "
            f"({r['time_error']:+.0%})"
        )


if __name__ == "__main__":
    main()
