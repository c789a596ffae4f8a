"""Checkpoints that are whole or not there at all.

    RUN/checkpoints/step-00000120/   one checkpoint
        .metadata, __0_0.distcp ...  its tensors by `torch.distributed.checkpoint`: any number of ranks reads them
        rest.pt                      what is no tensor of model or optimiser
        manifest.json                step, score, and size and checksum of every other file; written last

A checkpoint is written aside (`.part`), brought to the disk and renamed: killed at any moment, a run has it or has not.
Reading verifies every byte; a broken checkpoint is put aside (`.broken`) with a warning, and the one before is taken.
With many ranks all of them see the same folder, and all call `save` and `resume` alike.

The state is a dictionary:
    model    nn.Module; its trained parameters are stored, and nothing that is frozen
    optim    torch.optim.Optimizer over them; what it keeps for each parameter, not its settings, which the recipe gives
    average  optional, name -> tensor beside each trained parameter (`parallel.optimised`), sharded as it is
    others   equal on all ranks (the first one's are stored): numbers, strings, tensors, None, lists, tuples and
             dictionaries of these

`resume` fills model, optimiser and average in place and puts the others into the dictionary.
"""

from __future__ import annotations

import functools
import io
import logging
import shutil
import threading
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.staging import BlockingAsyncStager

from seedx.errors import SeedxError
from seedx.train.engine import folders
from seedx.train.engine.parallel import World, local, optimised

log = logging.getLogger(__name__)
T = TypeVar("T")
TENSORS = ("model", "optim", "average")


class Saver:
    """Writes and reads a run's checkpoints.

    Args:
        keep: how many of the last ones stay, at least 1. The one of the best score stays besides.

    Raises:
        SeedxError: `keep` is less than 1.
    """

    def __init__(self, run: Path, world: World, keep: int = 2) -> None:
        if keep < 1:
            raise SeedxError(f"a run keeps at least its last checkpoint: keep must be 1 or more, not {keep}")
        self.folder, self.world, self.keep = Path(run) / "checkpoints", world, keep
        # A save in the background talks while training does: on the same group their messages would be mixed up.
        self._group = dist.new_group(backend="gloo") if world.size > 1 else None
        self._thread: threading.Thread | None = None
        self._failure: str | None = None
        if world.first:
            folders.tidy(self.folder)
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # said at each save of one process

    def save(self, step: int, state: dict[str, Any], score: float | None = None) -> None:
        """Copy the state and write it in the background; waits only for the save before this one.

        A save that fails (a full disk) is told by a warning and leaves no trace: the older checkpoints stay, training
        goes on and the next save tries again. `wait` raises if it was the last.

        Args:
            step: optimiser steps done. A step that is saved already is not written again.
            score: the greater the better.
        """
        self._join()
        tensors, rest = BlockingAsyncStager().stage(_tensors(state)), io.BytesIO()
        torch.save({key: value for key, value in state.items() if key not in TENSORS}, rest)
        work = functools.partial(self._try, step, tensors, rest.getvalue(), score)
        self._thread = threading.Thread(target=work, name=f"save-{step}", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until the last save is on the disk.

        Raises:
            OSError: it failed.
        """
        self._join()
        if self._failure:
            raise OSError(self._failure)

    def resume(self, state: dict[str, Any]) -> int | None:
        """Load the newest whole checkpoint into the state, in place.

        Returns:
            Its step; None if the run has no checkpoint yet.

        Raises:
            SeedxError: all checkpoints are broken, or it holds other parameters than the model trains.
        """
        steps = self._together(lambda: folders.steps(self.folder))[0]
        for step in reversed(steps):
            path = folders.path(self.folder, step)
            check = functools.partial(folders.problem, path, self.world.rank, self.world.size)
            problems = [problem for problem in self._together(check) if problem]
            if not problems:
                self._load(path, state)
                return step
            if self.world.first:
                folders.put_aside(path)
                log.warning("%s is broken (%s) and is passed over", path, problems[0])
        if steps:
            raise SeedxError(f"every checkpoint in {self.folder} is broken; to begin again, remove that folder")
        return None

    def _join(self) -> None:
        if self._thread:
            self._thread.join()
            self._thread = None

    def _try(self, step: int, tensors: dict[str, Tensor], rest: bytes, score: float | None) -> None:
        self._failure = None
        try:
            self._write(step, tensors, rest, score)
        except (Exception, CheckpointException) as error:  # the latter is no Exception
            last = folders.steps(self.folder)
            stays = f"the checkpoint of step {last[-1]} stays" if last else "there is no checkpoint yet"
            free = f"{shutil.disk_usage(self.folder.parent).free / 2**20:,.0f} MB are free there"
            self._failure = f"step {step} could not be saved in {self.folder} ({free}): {_cause(error)}; {stays}"
            log.warning("%s; training goes on", self._failure)
            if self.world.first:
                folders.tidy(self.folder)

    def _write(self, step: int, tensors: dict[str, Tensor], rest: bytes, score: float | None) -> None:
        aside = folders.aside(self.folder, step)
        if step in self._together(lambda: folders.steps(self.folder))[0]:
            return
        self._on_first(lambda: folders.begin(aside, rest))
        dcp.save(tensors, storage_writer=dcp.FileSystemWriter(aside), process_group=self._group)
        sums = self._together(lambda: folders.checksums(aside, self.world.rank))
        self._on_first(lambda: folders.finish(aside, step, score, {k: v for part in sums for k, v in part.items()}))
        self._on_first(lambda: folders.prune(self.folder, self.keep))

    def _load(self, path: Path, state: dict[str, Any]) -> None:
        reader = dcp.FileSystemReader(path)
        targets = _targets(state, reader.read_metadata(), path)
        try:
            dcp.load(targets, storage_reader=reader, process_group=self._group)
        except CheckpointException as error:
            raise SeedxError(f"{path} can't be loaded: {_cause(error)}") from error
        for name, value in (state.get("average") or {}).items():
            if f"average/{name}" not in targets:  # a run that begins to average only now
                local(value).copy_(local(targets[f"model/{name}"]))
        state.update(torch.load(path / folders.REST, weights_only=True))

    def _on_first(self, function: Callable[[], None]) -> None:
        self._together(function if self.world.first else lambda: None)

    def _together(self, function: Callable[[], T]) -> list[T]:
        """What `function` gives on each rank; where it fails on one, all raise."""
        if self._group is None:
            return [function()]
        outcome: tuple[T | None, str | None] = (None, None)
        try:
            outcome = (function(), None)
        except Exception as error:
            outcome = (None, f"rank {self.world.rank}: {_cause(error)}")
        outcomes: list[Any] = [None] * self.world.size
        dist.all_gather_object(outcomes, outcome, group=self._group)
        failures = [failure for _, failure in outcomes if failure]
        if failures:
            raise OSError(failures[0])
        return [value for value, _ in outcomes]


@torch.no_grad()
def load_weights(path: Path, model: nn.Module, average: bool) -> None:
    """Load the trained parameters of one checkpoint into a model on one process, whatever number of ranks wrote it.

    Args:
        average: take their moving average, if the checkpoint has it.

    Raises:
        SeedxError: it holds other parameters than the model trains, or can't be loaded.
    """
    reader = dcp.FileSystemReader(path)
    stored = reader.read_metadata().state_dict_metadata
    parameters = optimised(model)
    _expect_parameters({name: p.shape for name, p in parameters.items()}, stored, path)
    prefix = "average" if average and any(key.startswith("average/") for key in stored) else "model"
    try:
        dcp.load({f"{prefix}/{name}": p.detach() for name, p in parameters.items()}, storage_reader=reader)
    except CheckpointException as error:
        raise SeedxError(f"{path} can't be loaded: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    if isinstance(error, CheckpointException):
        rank, (inner, _) = next(iter(error.failures.items()))
        return f"rank {rank}: {_cause(inner)}"
    return str(error) or type(error).__name__


def _tensors(state: dict[str, Any]) -> dict[str, Tensor]:
    """Every tensor of the state under a flat name: model/NAME, optim/NAME/exp_avg, average/NAME."""
    parameters = optimised(state["model"])
    tensors = {f"model/{name}": p.detach() for name, p in parameters.items()}
    for name, p in parameters.items():
        kept = state["optim"].state.get(p, {})
        tensors |= {f"optim/{name}/{key}": value for key, value in kept.items() if isinstance(value, Tensor)}
    return tensors | {f"average/{name}": value for name, value in (state.get("average") or {}).items()}


@torch.no_grad()
def _targets(state: dict[str, Any], metadata: Metadata, path: Path) -> dict[str, Tensor]:
    """The tensors to read into, by the names in the checkpoint; the optimiser's are made here, as it has none yet."""
    parameters, optim = optimised(state["model"]), state["optim"]
    stored = metadata.state_dict_metadata
    _expect_parameters({n: p.shape for n, p in parameters.items()}, stored, path)
    targets = {f"model/{name}": p.detach() for name, p in parameters.items()}
    on_device = optim.defaults.get("fused") or optim.defaults.get("capturable")
    for key, entry in stored.items():
        if not key.startswith("optim/"):
            continue
        assert isinstance(entry, TensorStorageMetadata)
        name, kind = key.removeprefix("optim/").rsplit("/", 1)
        p, dtype = parameters[name], entry.properties.dtype
        like = p.detach() if entry.size == p.shape else torch.empty(entry.size, device=p.device if on_device else "cpu")
        targets[key] = optim.state[p][kind] = torch.zeros_like(like, dtype=dtype)
    averages = {f"average/{name}": value.detach() for name, value in (state.get("average") or {}).items()}
    return targets | {key: value for key, value in averages.items() if key in stored}


def _expect_parameters(expected: dict[str, Iterable[int]], stored: dict[str, Any], path: Path) -> None:
    found = {name.removeprefix("model/"): entry.size for name, entry in stored.items() if name.startswith("model/")}
    wrong = sorted({*expected, *found} - {name for name in expected if found.get(name) == expected[name]})
    if wrong:
        raise SeedxError(
            f"{path} holds other parameters than this recipe trains ({len(wrong)} differ, the first is {wrong[0]!r}); "
            "go on with the recipe that wrote it, or choose another run folder"
        )
