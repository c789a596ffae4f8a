"""`seedx train`."""

from __future__ import annotations

from pathlib import Path

from seedx.verbs.options import assignments
from seedx.verbs.output import file_errors


def train(
    recipe: Path,
    /,
    *,
    folder: Path = Path("runs/tiny"),
    threads: int | None = None,
    set: tuple[str, ...] = (),
    dry_run: bool = False,
    accept_changes: bool = False,
) -> None:
    """Train one stage by its recipe. Run the same command again to resume.

    On SIGTERM or Ctrl-C the run saves a checkpoint after the current step and stops with exit code 0.

    Args:
        recipe: TOML file of the stage.
        folder: model folder: weights are read from it and written to it.
        threads: number of CPU threads.
        set: recipe fields to change, as name=value; data.0.weight=2 changes a nested field.
        dry_run: print what would be trained, the memory needed and statistics of the data, and exit.
        accept_changes: resume although the recipe differs from the one that the run started with.
    """
    import logging

    changes = assignments(set)
    from seedx.train.run import dry_run as describe
    from seedx.train.run import run

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    with file_errors():
        if dry_run:
            print(describe(recipe, folder, **changes))
        elif not run(recipe, folder, threads, accept_changes, **changes):
            print("stopped; a checkpoint is saved: run the same command to resume")
