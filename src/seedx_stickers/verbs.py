"""The verbs of the command line that need the stickers: demo, eval. They are entry points of the group seedx.verbs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Literal

from seedx.verbs.shared import TINY, Source, print_json


def evaluate(
    suite: Literal["stickers"],
    /,
    *,
    seed: int = 7,
    n: int = 500,
    batch: int = 16,
    abilities: tuple[str, ...] = (),
    shift: Literal["sizes-noise", "jpeg", "rotated"] | None = None,
    json: bool = False,
    html: Path | None = None,
    source: Source = TINY,
) -> None:
    """Score a model on held-out scenes, beside chance and a simple baseline.

    Args:
        suite: what to ask about.
        seed: of the scenes.
        n: scenes for each ability.
        batch: scenes at a time.
        abilities: which of them, all unless given.
        shift: ask about pictures unlike those of training; only reading and reconstruction.
        json: print one object of all scores.
        html: file or folder of a page with the scores, and the best, the worst and random examples as pictures.
    """
    from seedx_stickers.evaluation import as_table, evaluate_stickers
    from seedx_stickers.evaluation.report import Report

    model = source.load()
    model.engine.image_decoder.progress = False  # there is one bar for all
    report, bar = Report(), sys.stderr.isatty()
    scores = evaluate_stickers(
        model, seed, n, batch, abilities, progress=bar, shift=shift, watch=report.add if html else None
    )
    print_json(scores) if json else print(as_table(scores))
    if html:
        print(f"page: {report.write(html, scores, source.model)}", file=sys.stderr)


def demo(
    *,
    out: Path = Path("demo"),
    examples: Path = Path("examples"),
    quick: bool = False,
    source: Source = TINY,
) -> None:
    """Read, point, draw and edit on real files, and show it all on one page.

    Args:
        out: folder of the page, index.html.
        examples: folder of the pictures, which come with the code.
        quick: one of each kind.
    """
    from tqdm import tqdm

    from seedx_stickers import demo, demo_page

    steps, done = demo.steps(quick), []
    with tqdm(desc="loading the model", total=1 + len(steps), disable=None) as bar:
        start = time.perf_counter()
        model = source.load()
        model.engine.image_decoder.progress = False  # there is one bar for all
        loading = time.perf_counter() - start
        for step in steps:
            bar.update()
            bar.set_description(step.kind)
            done.append(demo.perform(model, step, examples))
            bar.write(done[-1].line, file=sys.stdout)
        bar.update()
    page = demo_page.write(out, done, source.model, examples, loading)
    print(f"{page}: {len(done)} things done in {sum(each.seconds for each in done):.1f} s; open it in a browser")
