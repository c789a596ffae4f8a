"""docs/claims.md, written from the results that are there. What is missing is said to be."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from inspect import cleandoc
from pathlib import Path

from PIL import Image

from seedx.train.engine.components import replace_text
from seedx_stickers.claims import contact_sheet
from seedx_stickers.claims.claim import Claim, Column, Sample
from seedx_stickers.claims.results import Result
from seedx_stickers.claims.runner import Place
from seedx_stickers.claims.verdict import SAYINGS, Finding, Results, find, overall

INTRODUCTION = """# The paper's claims, rerun in miniature

`make claims` makes this page: it trains and measures what is missing, row by row, from the recipes in
[`recipes/claims`](../recipes/claims), and `make claims ROW=3` does one row. Every variant begins as the tiny model
(digest of its files: {model}), with the weights begun anew that its row names, and is trained by the stages that made
it. Scores are means over the seeds {seeds}, with those of each seed behind them; a seed decides training, fresh weights
and the examples, a quarter of which hold a combination of things that no training showed.

How a verdict is found was settled before there were results: one variant beats another if it is better for every seed
and, on average, by more than two standard errors. What is tested is this tiny model in its world of stickers, after
trainings of minutes. A row that holds, holds at this size; one that does not hold says little of the paper's.
"""
QUICK = """**This page is of a quick try: two steps and two examples of everything. Its figures mean nothing.**
"""


def write(claims: Sequence[Claim], seeds: Sequence[int], place: Place, page: Path) -> None:
    """Write the page, and its pictures into images/claims beside it."""
    every = {claim.number: collect(claim, seeds, place) for claim in claims}
    introduction = INTRODUCTION.format(seeds=" and ".join(map(str, seeds)), model=place.model[:12])
    parts = [introduction, *([QUICK] if place.cut else [])]
    parts.append(overview(claims, every, seeds))
    for claim in claims:
        parts.append(section(claim, every[claim.number], seeds, page))
    page.parent.mkdir(parents=True, exist_ok=True)
    replace_text(page, "\n".join(parts))


def collect(claim: Claim, seeds: Sequence[int], place: Place) -> Results:
    """The results of a claim that are there, by variant and seed."""
    found = {(v.name, seed): place.result(claim, v, seed) for v in claim.variants for seed in seeds}
    return {where: result for where, result in found.items() if result}


def overview(claims: Sequence[Claim], every: dict[int, Results], seeds: Sequence[int]) -> str:
    lines = ["| | claim | verdict | minutes |", "|---|---|---|---|"]
    for claim in claims:
        results = every[claim.number]
        minutes = sum(result.minutes for result in results.values())
        lines.append(f"| {claim.number} | {claim.title} | {overall(findings(claim, results, seeds))} | {minutes:.0f} |")
    return "\n".join(lines) + "\n"


def findings(claim: Claim, results: Results, seeds: Sequence[int]) -> list[Finding]:
    return [find(claim, comparison, results, seeds) for comparison in claim.comparisons]


def section(claim: Claim, results: Results, seeds: Sequence[int], page: Path) -> str:
    found = findings(claim, results, seeds)
    parts = [
        f"## {claim.number}. {claim.title}\n",
        f"**The paper.** {cleandoc(claim.says)}\n",
        f"**The test.** {cleandoc(claim.test)}\n",
        table(claim, results, seeds),
        f"**Verdict.** {overall(found)}\n",
        "\n".join(sentence(claim, finding) for finding in found) + "\n",
        *pictures(claim, results, seeds, page),
        *answers(claim, results, seeds, page),
        f"**What was cut.** {cleandoc(claim.cut)}\n",
        f"Made by `make claims ROW={claim.number}`{recipes(claim)}.\n",
    ]
    return "\n".join(parts)


def table(claim: Claim, results: Results, seeds: Sequence[int]) -> str:
    heads = " | ".join(column.heading for column in claim.columns)
    lines = [f"| | {heads} |", "|---" * (1 + len(claim.columns)) + "|"]
    for variant in claim.variants:
        there = [results[variant.name, seed] for seed in seeds if (variant.name, seed) in results]
        cells = " | ".join(cell(column, there) for column in claim.columns)
        missing = f" ({len(there)} of {len(seeds)} seeds)" if 0 < len(there) < len(seeds) else ""
        lines.append(f"| {variant.name}{missing} | {cells} |")
    return "\n".join(lines) + "\n"


def cell(column: Column, results: Sequence[Result]) -> str:
    """ "61.2% (60.0%, 62.4%)"; "missing" where no seed has been run, "-" where there is no such score."""
    if not results:
        return "missing"
    means = [result.scores[column.score].mean for result in results if column.score in result.scores]
    if not means:
        return "-"
    each = ", ".join(column.form.format(mean) for mean in means)
    return column.form.format(statistics.fmean(means)) + (f" ({each})" if len(means) > 1 else "")


def sentence(claim: Claim, finding: Finding) -> str:
    """One comparison as a line of a list."""
    comparison = finding.comparison
    column = claim.column(comparison.score)
    line = f"- {column.heading}: {comparison.better} against {comparison.worse}: "
    if finding.outcome == "missing":
        return f"{line}{SAYINGS['missing']}."
    by = column.form.format(abs(finding.difference))
    way = "better" if finding.difference >= 0 else "worse"
    return f"{line}{by} {way}, standard error {column.form.format(finding.error)}: {SAYINGS[finding.outcome]}."


def pictures(claim: Claim, results: Results, seeds: Sequence[int], page: Path) -> list[str]:
    """A sheet of the samples that are pictures, of the first seed."""
    drawn = [(name, samples) for name, samples in _samples(claim, results, seeds) if _drawn(samples)]
    if not drawn:
        return []
    first = drawn[0][1]
    rows = [("what is read", _column(first, "shown")), ("what is right", _column(first, "right"))]
    rows += [(name, _column(samples, "given")) for name, samples in drawn]
    sheet = contact_sheet.sheet(rows, [sample.asked for sample in first])
    return [f"![samples of row {claim.number}]({_stored(sheet, page, str(claim.number))})\n"]


def answers(claim: Claim, results: Results, seeds: Sequence[int], page: Path) -> list[str]:
    """A table of the samples that are answers, of the first seed."""
    said = [(name, samples) for name, samples in _samples(claim, results, seeds) if not _drawn(samples)]
    if not said:
        return []
    heads = ["picture", "asked", "right", *(name for name, _ in said)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for index, each in enumerate(zip(*(samples for _, samples in said), strict=True)):
        shown = each[0].shown
        picture = f"![]({_stored(contact_sheet.small(shown), page, f'{claim.number}-{index}')})" if shown else ""
        cells = [picture, each[0].asked, each[0].right, *(one.given for one in each)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return ["\n".join(lines) + "\n"]


def recipes(claim: Claim) -> str:
    names = dict.fromkeys(training.recipe for variant in claim.variants for training in variant.trainings)
    return ", which trains " + ", ".join(f"`{name}.toml`" for name in names) if names else ", which trains nothing"


def _samples(claim: Claim, results: Results, seeds: Sequence[int]) -> Iterator[tuple[str, Sequence[Sample]]]:
    """(variant, samples) of the first seed, in the claim's order."""
    for variant in claim.variants:
        result = results.get((variant.name, seeds[0]))
        if result and result.samples:
            yield variant.name, result.samples


def _column(samples: Sequence[Sample], which: str) -> list[Image.Image | None]:
    """One of the pictures of each sample; None where it has none."""
    return [value if isinstance(value := getattr(sample, which), Image.Image) else None for sample in samples]


def _drawn(samples: Sequence[Sample]) -> bool:
    return isinstance(samples[0].right, Image.Image)


def _stored(picture: Image.Image, page: Path, name: str) -> str:
    """Write a picture beside the page; returns its path from there."""
    file = page.parent / "images" / "claims" / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
    return os.path.relpath(file, page.parent)
