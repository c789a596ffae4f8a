"""`python -m seedx_stickers.claims`: train and measure what is missing, and write docs/claims.md.

Run it from the repository's root. It can be stopped and started again at any time.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from seedx.checkpoint.hub import locate
from seedx.errors import SeedxError
from seedx_stickers.claims import estimate, report, runner
from seedx_stickers.claims.claim import Claim
from seedx_stickers.claims.more_rows import CLAIMS


def main(
    *,
    row: tuple[int, ...] = (),
    seeds: tuple[int, ...] = (1, 2),
    threads: int = 1,
    model: str = "tiny",
    recipes: Path = Path("recipes/claims"),
    root: Path = Path("runs/claims"),
    out: Path = Path("docs/claims.md"),
    quick: bool = False,
    dry_run: bool = False,
    page_only: bool = False,
) -> None:
    """Rerun the paper's claims.

    Args:
        row: numbers of the rows; all unless given. The page has all of them in any case.
        seeds: each decides fresh weights, the order of the data and the examples measured.
        threads: of the CPU.
        model: what every variant begins as.
        recipes: folder of the trainings.
        root: folder for models, caches and results.
        out: the page to write; its pictures go into images/claims beside it.
        quick: two steps and two examples of everything, to see that it runs; give another root and out.
        dry_run: only estimate how long it would take, from a few steps of every training.
        page_only: only write the page from the results that are there.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(threads)
    chosen = pick(row)
    place = runner.Place(root, recipes, locate(model), threads, runner.Cut() if quick else None)
    if dry_run:
        print(estimate.table(chosen, place, len(seeds)))
        return
    for claim in chosen if not page_only else ():
        if not runner.run(claim, seeds, place):
            print("stopped and saved: the same command goes on")
            break
        report.write(CLAIMS, seeds, place, out)
    report.write(CLAIMS, seeds, place, out)


def pick(numbers: tuple[int, ...]) -> tuple[Claim, ...]:
    """The claims of these numbers, all for none.

    Raises:
        SeedxError: a number that no claim has.
    """
    known = {claim.number: claim for claim in CLAIMS}
    if unknown := [number for number in numbers if number not in known]:
        raise SeedxError(f"there is no row {unknown[0]}: choose from {', '.join(map(str, known))}")
    return tuple(known[number] for number in numbers) if numbers else CLAIMS


if __name__ == "__main__":
    import tyro

    tyro.cli(main)
