"""`seedx demo` and `seedx eval stickers`: entry points of the group seedx.verbs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Literal

from seedx.verbs.options import TINY, Source
from seedx.verbs.output import file_errors, print_json


def eval_stickers(
    *,
    seed: int = 7,
    n: int = 500,
    batch: int = 16,
    abilities: tuple[str, ...] = (),
    shift: Literal["sizes-noise", "jpeg", "rotated"] | None = None,
    strict: bool = False,
    json: bool = False,
    html: Path | None = None,
    source: Source = TINY,
) -> None:
    """Score a model on held-out scenes of stickers, beside chance and a simple baseline.

    Args:
        seed: random seed of the scenes.
        n: number of scenes for each ability.
        batch: number of scenes at a time.
        abilities: the abilities to evaluate; by default all.
        shift: evaluate on out-of-distribution images; only reading and reconstruction.
        strict: score drawings by the judge that has learnt to reject blobs, which is still in training.
        json: print one object of all scores.
        html: file or folder to write a report to: the scores, and the best, worst and random examples as images.
    """
    from seedx.terminal import print_table
    from seedx_stickers.evaluation import as_table, evaluate_stickers
    from seedx_stickers.evaluation.report import Report
    from seedx_stickers.judge import STRICT, WEIGHTS, load_judge

    model = source.load(progress=False)  # there is one bar for all scenes
    report, bar = Report(), sys.stderr.isatty()
    judge, watch = load_judge(STRICT if strict else WEIGHTS), report.add if html else None
    scores = evaluate_stickers(model, seed, n, batch, abilities, progress=bar, shift=shift, watch=watch, judge=judge)
    print_json(scores) if json else print_table(as_table(scores))
    if html:
        with file_errors():
            print(f"report: {report.write(html, scores, source.model)}", file=sys.stderr)


def demo(
    *,
    out: Path = Path("demo"),
    examples: Path = Path("examples"),
    quick: bool = False,
    source: Source = TINY,
) -> None:
    """Chat, locate, draw and edit on the example images, and show the results on an HTML page.

    Args:
        out: folder to write index.html to.
        examples: folder of the example images, which come with the source code.
        quick: one example of each kind.
    """
    from tqdm import tqdm

    from seedx_stickers import demo, demo_page

    steps, done = demo.steps(quick), []
    with tqdm(desc="loading the model", total=1 + len(steps), disable=None) as bar:
        start = time.perf_counter()
        model = source.load(progress=False)  # there is one bar for all examples
        loading = time.perf_counter() - start
        for step in steps:
            bar.update()
            bar.set_description(step.kind)
            done.append(demo.perform(model, step, examples))
            bar.write(done[-1].line, file=sys.stdout)
        bar.update()
    with file_errors():
        page = demo_page.write(out, done, source.model, examples, loading)
    print(f"{page}: {len(done)} examples in {sum(each.seconds for each in done):.1f} s; open it in a browser")
