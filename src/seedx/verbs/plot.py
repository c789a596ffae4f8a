"""`seedx plot`."""

from __future__ import annotations

from pathlib import Path

from seedx.errors import SeedxError
from seedx.verbs.output import file_errors


def plot(runs: tuple[Path, ...], /, *, out: Path | None = None) -> None:
    """Plot the curves of training runs: losses, learning rate, gradient norm, throughput.

    Args:
        runs: folders of runs, such as runs/tiny/runs/vision; several share each plot.
        out: image file to write; by default curves.png in the first folder.
    """
    if not runs:
        raise SeedxError("give at least one run's folder, such as runs/tiny/runs/vision")
    from seedx.train.plot import plot as draw

    with file_errors():
        print(draw(runs, out or runs[0] / "curves.png"))
