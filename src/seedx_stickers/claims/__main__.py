"""`python -m seedx_stickers.claims`: train and measure what is missing, and write docs/results/claims.md.

Run it from the root of the repository. An interrupted run is resumed by the same command.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from seedx.checkpoint.hub import locate
from seedx.errors import SeedxError
from seedx_stickers.claims import estimate, report, runner
from seedx_stickers.claims.claim import Claim
from seedx_stickers.claims.definitions import CLAIMS


def main(
    *,
    row: tuple[int, ...] = (),
    seeds: tuple[int, ...] = (1, 2),
    threads: int = 1,
    model: str = "tiny",
    recipes: Path = Path("recipes/claims"),
    root: Path = Path("runs/claims"),
    out: Path = Path("docs/results/claims.md"),
    quick: bool = False,
    dry_run: bool = False,
    report_only: bool = False,
) -> None:
    """Test the paper's claims.

    Args:
        row: numbers of claims; all by default. The report always has all of them.
        seeds: each determines the initial weights, the order of the data and the examples measured.
        threads: CPU threads.
        model: the base model of all variants.
        recipes: folder of the training recipes.
        root: folder for models, caches and results.
        out: the report to write; its pictures go into images/claims beside it.
        quick: a smoke test with two steps and two examples of everything; use another root and out.
        dry_run: only estimate the time, from a few steps of every training.
        report_only: only write the report from the existing results.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(threads)
    chosen = select(row)
    workspace = runner.Workspace(root, recipes, locate(model), threads, runner.Reduced() if quick else None)
    if dry_run:
        print(estimate.table(chosen, workspace, len(seeds)))
        return
    for claim in chosen if not report_only else ():
        if not runner.run(claim, seeds, workspace):
            print("stopped and saved; run the same command to resume")
            break
        report.write(CLAIMS, seeds, workspace, out)
    report.write(CLAIMS, seeds, workspace, out)


def select(numbers: tuple[int, ...]) -> tuple[Claim, ...]:
    """The claims with these numbers; all claims if none are given.

    Raises:
        SeedxError: there is no claim with a number.
    """
    known = {claim.number: claim for claim in CLAIMS}
    if unknown := [number for number in numbers if number not in known]:
        raise SeedxError(f"there is no claim {unknown[0]}; choose from {', '.join(map(str, known))}")
    return tuple(known[number] for number in numbers) if numbers else CLAIMS


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
