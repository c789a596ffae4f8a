"""Checkpoints: atomic, verified, written in the background, loadable on any number of ranks.

    RUN/checkpoints/step-00000120/   one checkpoint
        .metadata, __0_0.distcp ...  tensors, by `torch.distributed.checkpoint`
        rest.pt                      the rest of the state
        manifest.json                step, score, and size and checksum of every other file; written last

A checkpoint is written as `.part`, synced to the disk and renamed: killed at any moment, a run has all of it or none.
Loading verifies every byte; a broken checkpoint is renamed to `.broken` with a warning, and the one before is loaded.
All ranks see the same folder, and `save` and `resume` are collectives.

The state is a dictionary:
    model    nn.Module; its trained parameters are stored, frozen ones are not
    optim    torch.optim.Optimizer over them; its state of each parameter, not its settings, which are the recipe's
    average  optional, name -> tensor for each trained parameter (`parallel.optimizer_parameters`), sharded alike
    others   equal on all ranks: numbers, strings, tensors, None, lists, tuples and dictionaries of these

`resume` loads model, optimizer and average in place and puts the others into the dictionary.
"""

from __future__ import annotations

import functools
import io
import logging
import shutil
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.staging import BlockingAsyncStager

from seedx.deprecated import rename_keys
from seedx.errors import SeedxError, first_line, shorten
from seedx.train.engine import checkpoint_files
from seedx.train.engine.checkpoint_reader import CheckpointReader, read_rest
from seedx.train.engine.parallel import World, local_shard, optimizer_parameters

log = logging.getLogger(__name__)
T = TypeVar("T")
TENSORS = ("model", "optim", "average")


class CheckpointManager:
    """Saves and loads a run's checkpoints.

    Args:
        keep_last: checkpoints to keep, at least 1, besides the one of the best score.

    Raises:
        SeedxError: `keep_last` is less than 1.
    """

    def __init__(self, run: Path, world: World, keep_last: int = 2) -> None:
        if keep_last < 1:
            raise SeedxError(f"a run keeps its last checkpoint: keep_last must be 1 or more, not {keep_last}")
        self.folder, self.world, self.keep_last = Path(run) / "checkpoints", world, keep_last
        # Saves run in the background, beside training: their collectives need a process group of their own.
        self._group = dist.new_group(backend="gloo") if world.size > 1 else None
        self._thread: threading.Thread | None = None
        self._failure: str | None = None
        if world.first:
            checkpoint_files.tidy(self.folder)

    def save(self, step: int, state: dict[str, Any], score: float | None = None) -> None:
        """Copy the state and write it in the background, after the previous save is done.

        A save that fails (a full disk) is a warning and leaves nothing behind: older checkpoints are kept and training
        continues until the next save. `wait` raises if the last save failed.

        Args:
            step: optimizer steps done. A step that is saved already is not saved again.
            score: the greater the better.
        """
        self._join()
        tensors, rest = BlockingAsyncStager().stage(_tensors(state)), io.BytesIO()
        torch.save({key: value for key, value in state.items() if key not in TENSORS}, rest)
        work = functools.partial(self._try, step, tensors, rest.getvalue(), score)
        self._thread = threading.Thread(target=work, name=f"save-{step}", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Block until the last save is on the disk.

        Raises:
            OSError: it failed.
        """
        self._join()
        if self._failure:
            raise OSError(self._failure)

    def resume(self, state: dict[str, Any]) -> int | None:
        """Load the latest intact checkpoint into the state, in place.

        Returns:
            Its step; None if the run has no checkpoint yet.

        Raises:
            SeedxError: all checkpoints are broken, or it has other parameters than the model trains.
        """
        steps = self._together(lambda: checkpoint_files.steps(self.folder))[0]
        for step in reversed(steps):
            path = checkpoint_files.path(self.folder, step)
            check = functools.partial(checkpoint_files.problem, path, self.world.rank, self.world.size)
            problems = [problem for problem in self._together(check) if problem]
            if not problems:
                self._load(path, state)
                return step
            if self.world.first:
                checkpoint_files.mark_broken(path)
                log.warning("%s is broken (%s), trying the one before", path, problems[0])
        if steps or self._together(lambda: checkpoint_files.any_broken(self.folder))[0]:
            raise SeedxError(f"every checkpoint in {self.folder} is broken; to start over, remove that folder")
        return None

    def _join(self) -> None:
        if self._thread:
            self._thread.join()
            self._thread = None

    def _try(self, step: int, tensors: dict[str, Tensor], rest: bytes, score: float | None) -> None:
        self._failure = None
        try:
            self._write(step, tensors, rest, score)
        except (Exception, CheckpointException) as error:  # a BaseException
            last = checkpoint_files.steps(self.folder)
            kept = f"the checkpoint of step {last[-1]} is kept" if last else "there is no checkpoint yet"
            free = f"{shutil.disk_usage(self.folder.parent).free / 2**20:,.0f} MB are free there"
            self._failure = f"step {step} could not be saved in {self.folder} ({free}): {_cause(error)}; {kept}"
            log.warning("%s; training continues", self._failure)
            if self.world.first:
                checkpoint_files.tidy(self.folder)

    def _write(self, step: int, tensors: dict[str, Tensor], rest: bytes, score: float | None) -> None:
        part = checkpoint_files.part_path(self.folder, step)
        if step in self._together(lambda: checkpoint_files.steps(self.folder))[0]:
            return
        self._on_first(lambda: checkpoint_files.create(part, rest))
        with _one_process_is_fine():
            dcp.save(tensors, storage_writer=dcp.FileSystemWriter(part), process_group=self._group)
        sums = self._together(lambda: checkpoint_files.checksums(part, self.world.rank))
        self._on_first(
            lambda: checkpoint_files.commit(part, step, score, {k: v for files in sums for k, v in files.items()})
        )
        self._on_first(lambda: checkpoint_files.prune(self.folder, self.keep_last))

    def _load(self, path: Path, state: dict[str, Any]) -> None:
        reader, rest = CheckpointReader(path), read_rest(path / checkpoint_files.REST)
        targets = _targets(state, reader.read_metadata(), path)
        try:
            with _one_process_is_fine():
                dcp.load(targets, storage_reader=reader, process_group=self._group)
        except CheckpointException as error:
            raise SeedxError(f"{path} can't be loaded: {_cause(error)}") from error
        for name, value in (state.get("average") or {}).items():
            if f"average/{name}" not in targets:  # a run that averages only from now on
                local_shard(value).copy_(local_shard(targets[f"model/{name}"]))
        state.update(rename_keys("checkpoint", rest))

    def _on_first(self, function: Callable[[], None]) -> None:
        self._together(function if self.world.first else lambda: None)

    def _together(self, function: Callable[[], T]) -> list[T]:
        """The result of `function` on each rank; if it fails on one, all raise."""
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
    reader = CheckpointReader(path)
    stored = reader.read_metadata().state_dict_metadata
    parameters = optimizer_parameters(model)
    _expect_parameters({name: p.shape for name, p in parameters.items()}, stored, path)
    prefix = "average" if average and any(key.startswith("average/") for key in stored) else "model"
    try:
        with _one_process_is_fine():
            dcp.load({f"{prefix}/{name}": p.detach() for name, p in parameters.items()}, storage_reader=reader)
    except CheckpointException as error:
        raise SeedxError(f"{path} can't be loaded: {_cause(error)}") from error


@contextmanager
def _one_process_is_fine() -> Iterator[None]:
    """Without the warning that torch gives whenever a single process saves or loads."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


def _cause(error: BaseException) -> str:
    if isinstance(error, CheckpointException):
        rank, (inner, _) = next(iter(error.failures.items()))
        return f"rank {rank}: {_cause(inner)}"
    return first_line(error)


def _tensors(state: dict[str, Any]) -> dict[str, Tensor]:
    """Every tensor of the state by a flat name: model/NAME, optim/NAME/exp_avg, average/NAME."""
    parameters = optimizer_parameters(state["model"])
    tensors = {f"model/{name}": p.detach() for name, p in parameters.items()}
    for name, p in parameters.items():
        moments = state["optim"].state.get(p, {})
        tensors |= {f"optim/{name}/{key}": value for key, value in moments.items() if isinstance(value, Tensor)}
    return tensors | {f"average/{name}": value for name, value in (state.get("average") or {}).items()}


@torch.no_grad()
def _targets(state: dict[str, Any], metadata: Metadata, path: Path) -> dict[str, Tensor]:
    """The tensors to load into, by their names in the checkpoint; those of the optimizer are created here."""
    parameters, optim = optimizer_parameters(state["model"]), state["optim"]
    stored: dict[str, Any] = metadata.state_dict_metadata  # of tensors: the reader has checked them
    _expect_parameters({n: p.shape for n, p in parameters.items()}, stored, path)
    targets = {f"model/{name}": p.detach() for name, p in parameters.items()}
    on_device = optim.defaults.get("fused") or optim.defaults.get("capturable")
    for key, entry in stored.items():
        if not key.startswith("optim/"):
            continue
        assert isinstance(entry, TensorStorageMetadata)  # the reader has checked it
        name, _, kind = key.removeprefix("optim/").rpartition("/")
        p, dtype = parameters.get(name), entry.properties.dtype
        if p is None or entry.size.numel() > max(1, p.numel()):  # a huge one would take all memory
            raise SeedxError(f"{path} has a state of the optimizer, {shorten(key)}, that fits no parameter")
        like = p.detach() if entry.size == p.shape else torch.empty(entry.size, device=p.device if on_device else "cpu")
        targets[key] = optim.state[p][kind] = torch.zeros_like(like, dtype=dtype)
    averages = {f"average/{name}": value.detach() for name, value in (state.get("average") or {}).items()}
    return targets | {key: value for key, value in averages.items() if key in stored}


def _expect_parameters(expected: dict[str, Iterable[int]], stored: dict[str, Any], path: Path) -> None:
    found = {name.removeprefix("model/"): entry.size for name, entry in stored.items() if name.startswith("model/")}
    wrong = sorted({*expected, *found} - {name for name in expected if found.get(name) == expected[name]})
    if wrong:
        raise SeedxError(
            f"{path} has other parameters than this recipe trains ({len(wrong)} differ, the first is {wrong[0]!r}); "
            "resume with the recipe that wrote it, or give the run another name"
        )
