"""What a run is asked to do. Standard library only: the command line is made from this."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seedx.bulk.tasks import Columns, TaskName

Runner = Literal["local", "ray"]
Form = Literal["jsonl", "parquet"]
PictureForm = Literal["files", "tar"]


@dataclass(frozen=True)
class RayOptions:
    """How Ray runs it; ignored without `--runner ray`."""

    actors: int = 1
    """Workers, each with a model of its own."""
    cpus_per_actor: float = 1
    """CPUs of a worker, which are its threads too."""
    gpus_per_actor: float = 0
    """GPUs of a worker; above 0, give --device cuda as well."""


@dataclass(frozen=True)
class Job:
    """
    Attributes:
        source: INPUT.
        prompt: the text of inputs without one.
        settings: fields of `Settings`.
        load_options: as `seedx.load` takes them.
    """

    task: TaskName
    source: str
    output: Path
    prompt: str | None = None
    model: str = "tiny"
    columns: Columns = field(default_factory=Columns)
    batch_size: int = 32
    drawing: Any = "auto"
    condition: bool | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    load_options: dict[str, Any] = field(default_factory=dict)
    format: Form = "jsonl"
    pictures: PictureForm = "files"

    def worker_options(self) -> dict[str, Any]:
        """Keyword arguments of `Worker`, all of which can be pickled."""
        return {
            "task": self.task,
            "model": self.model,
            "prompt": self.prompt,
            "batch_size": self.batch_size,
            "drawing": self.drawing,
            "condition": self.condition,
            "settings": self.settings,
            "load_options": self.load_options,
        }


@dataclass(frozen=True)
class Summary:
    """Rows that are there and errors among them, rows of this run, and its seconds without loading the model."""

    rows: int
    errors: int
    new: int
    seconds: float
