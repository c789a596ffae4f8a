"""The training loop: one for every stage.

A stage says what is trained and what its loss is; the loop owns the optimiser, the schedule, the average of the
weights, checkpoints and the log. The batch of a step is a function of (seed, step) alone, so a resumed run sees exactly
what an uninterrupted one would have seen, and its random numbers start from the step too.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm import tqdm

from seedx.train.recipe import Recipe


class Stage(Protocol):
    """What the loop trains. `model` holds the trained parameters (`requires_grad`) and whatever the loss needs."""

    model: nn.Module

    def batch(self, step: int) -> Any:
        """The data of a step; depends on nothing but the step."""

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Scalars to log; "loss" is the one that is minimised."""

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write what was trained into a model's folder."""


def learning_rate(recipe: Recipe, step: int) -> float:
    """The factor of a step (counted from 0): linear warm-up, then a cosine down to `min_ratio` at the last step."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - 1 - recipe.warmup)
    return recipe.min_ratio + (1 - recipe.min_ratio) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over what requires gradients; vectors (biases, norms, positions) are not decayed."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        factor = next((f for prefix, f in recipe.lr_factors.items() if name.startswith(prefix)), 1.0)
        groups.setdefault((factor, parameter.dim() > 1), []).append(parameter)
    settings = [
        {"params": p, "lr": recipe.lr * factor, "weight_decay": recipe.weight_decay if decayed else 0.0}
        for (factor, decayed), p in groups.items()
    ]
    return torch.optim.AdamW(settings, betas=recipe.betas, eps=recipe.eps, fused=True)


class Average:
    """Exponential moving average of a model's trained parameters."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}

    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        current = dict(model.named_parameters())
        torch._foreach_lerp_(list(self.values.values()), [current[n].detach() for n in self.values], 1 - decay)

    def apply(self, model: nn.Module) -> nn.Module:
        """A copy of the model with the averaged weights."""
        averaged = copy.deepcopy(model)
        for name, parameter in averaged.named_parameters():
            if name in self.values:
                parameter.data.copy_(self.values[name])
        return averaged


def train(stage: Stage, recipe: Recipe, run: Path, folder: Path) -> None:
    """Train from the last checkpoint in `run`, or from the start, and write the result into `folder`.

    Raises:
        FloatingPointError: a loss or gradient was not finite; the last checkpoint stays.
    """
    run.mkdir(parents=True, exist_ok=True)
    optim = optimiser(stage.model, recipe)
    base = [group["lr"] for group in optim.param_groups]
    average = Average(stage.model, recipe.ema) if recipe.ema else None
    start = _resume(run, stage.model, optim, average)
    saved = time.monotonic()
    for step in _progress(range(start, recipe.steps), recipe):
        for group, lr in zip(optim.param_groups, base, strict=True):
            group["lr"] = lr * learning_rate(recipe, step)
        record = _step(stage, recipe, optim, step)
        if average:
            average.update(stage.model, step)
        if step % recipe.log_every == 0 or step == recipe.steps - 1:
            _log(run, {"step": step, "lr": optim.param_groups[0]["lr"], "time": time.time(), **record})
        if time.monotonic() - saved > recipe.save_seconds:
            _checkpoint(run, step + 1, stage.model, optim, average)
            stage.save(average.apply(stage.model) if average else stage.model, run)
            saved = time.monotonic()
    _checkpoint(run, recipe.steps, stage.model, optim, average)
    stage.save(average.apply(stage.model) if average else stage.model, folder)


def _step(stage: Stage, recipe: Recipe, optim: torch.optim.Optimizer, step: int) -> dict[str, float]:
    torch.manual_seed(recipe.seed * 1_000_003 + step)
    batch = stage.batch(step)
    # On a CPU the fused attention's backward is slower than the plain products by half.
    with sdpa_kernel(SDPBackend.MATH), torch.autocast("cpu", torch.bfloat16, enabled=recipe.bf16):
        losses = stage.losses(batch)
    losses["loss"].backward()
    parameters = [p for group in optim.param_groups for p in group["params"]]
    norm = nn.utils.clip_grad_norm_(parameters, recipe.clip)
    if not (torch.isfinite(losses["loss"]) and torch.isfinite(norm)):
        raise FloatingPointError(f"loss or gradient is not finite at step {step} of {recipe.name}")
    optim.step()
    optim.zero_grad(set_to_none=True)
    return {**{name: float(value.detach()) for name, value in losses.items()}, "grad_norm": float(norm)}


def _progress(steps: range, recipe: Recipe) -> Iterator[int]:
    return iter(tqdm(steps, initial=steps.start, total=steps.stop, desc=recipe.name, mininterval=2))


def _log(run: Path, record: dict[str, Any]) -> None:
    with (run / "log.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")


def _checkpoint(run: Path, step: int, model: nn.Module, optim: torch.optim.Optimizer, average: Average | None) -> None:
    trained = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
    state = {"step": step, "model": trained, "optim": optim.state_dict(), "average": average and average.values}
    aside = run / "checkpoint.pt.part"
    torch.save(state, aside)
    os.replace(aside, run / "checkpoint.pt")


def _resume(run: Path, model: nn.Module, optim: torch.optim.Optimizer, average: Average | None) -> int:
    path = run / "checkpoint.pt"
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if parameters.keys() != state["model"].keys():
        raise ValueError(f"{path} holds other parameters than this recipe trains; choose another run folder")
    with torch.no_grad():
        for name, value in state["model"].items():
            parameters[name].copy_(value)
    optim.load_state_dict(state["optim"])
    if average and state["average"]:
        average.values = state["average"]
    return state["step"]
