"""Writes docs/results/claims.md from the existing results; missing results are marked as missing."""

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
from seedx_stickers.claims.runner import Workspace
from seedx_stickers.claims.verdict import PHRASES, Finding, Results, find, overall

INTRODUCTION = """# The paper's claims, tested in miniature

`make claims` writes this report: it trains and measures what is missing, claim by claim, with the recipes in
`recipes/claims`; `make claims ROW=3` does one claim. Every variant starts from the tiny model
(digest of its files: {model}), with the weights reinitialised that its claim names, and is trained by the stages that
trained that model. Scores are means over the seeds {seeds}, followed by the score of each seed; a seed determines the
training, the reinitialised weights and the examples, a quarter of which contain a combination of things that never
occurs in training.

The rule for a verdict was fixed before there were results: one variant beats another if it is better for every seed
and, on average, by more than two standard errors. What is tested is this tiny model in its world of stickers, after
trainings of minutes. A claim that holds, holds at this size; one that does not says little about the paper's model.
"""
QUICK = """**This report is a smoke test with two steps and two examples of everything. Its numbers mean nothing.**
"""


def write(claims: Sequence[Claim], seeds: Sequence[int], workspace: Workspace, report: Path) -> None:
    """Write the report, and its pictures into images/claims beside it."""
    every = {claim.number: collect(claim, seeds, workspace) for claim in claims}
    introduction = INTRODUCTION.format(seeds=" and ".join(map(str, seeds)), model=workspace.base_digest[:12])
    parts = [introduction, *([QUICK] if workspace.reduced else [])]
    parts.append(overview(claims, every, seeds))
    for claim in claims:
        parts.append(section(claim, every[claim.number], seeds, report))
    report.parent.mkdir(parents=True, exist_ok=True)
    replace_text(report, "\n".join(parts))


def collect(claim: Claim, seeds: Sequence[int], workspace: Workspace) -> Results:
    """The existing results of a claim, by variant and seed."""
    found = {(v.name, seed): workspace.result(claim, v, seed) for v in claim.variants for seed in seeds}
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


def section(claim: Claim, results: Results, seeds: Sequence[int], report: Path) -> str:
    found = findings(claim, results, seeds)
    parts = [
        f"## {claim.number}. {claim.title}\n",
        f"**The paper.** {cleandoc(claim.statement)}\n",
        f"**The test.** {cleandoc(claim.test)}\n",
        table(claim, results, seeds),
        f"**Verdict.** {overall(found)}\n",
        "\n".join(sentence(claim, finding) for finding in found) + "\n",
        *pictures(claim, results, seeds, report),
        *answers(claim, results, seeds, report),
        f"**Limitations.** {cleandoc(claim.limitations)}\n",
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
    """ "61.2% (60.0%, 62.4%)"; "missing" without results, "-" without such a score."""
    if not results:
        return "missing"
    means = [result.scores[column.score].mean for result in results if column.score in result.scores]
    if not means:
        return "-"
    each = ", ".join(column.form.format(mean) for mean in means)
    return column.form.format(statistics.fmean(means)) + (f" ({each})" if len(means) > 1 else "")


def sentence(claim: Claim, finding: Finding) -> str:
    """One comparison as a list item."""
    comparison = finding.comparison
    column = claim.column(comparison.score)
    line = f"- {column.heading}: {comparison.better} against {comparison.worse}: "
    if finding.outcome == "missing":
        return f"{line}{PHRASES['missing']}."
    by = column.form.format(abs(finding.difference))
    way = "better" if finding.difference >= 0 else "worse"
    return f"{line}{by} {way}, standard error {column.form.format(finding.error)}: {PHRASES[finding.outcome]}."


def pictures(claim: Claim, results: Results, seeds: Sequence[int], report: Path) -> list[str]:
    """A contact sheet of the picture samples of the first seed."""
    drawn = [(name, samples) for name, samples in _samples(claim, results, seeds) if _drawn(samples)]
    if not drawn:
        return []
    first = drawn[0][1]
    rows = [("input", _column(first, "input")), ("expected", _column(first, "expected"))]
    rows += [(name, _column(samples, "output")) for name, samples in drawn]
    sheet = contact_sheet.sheet(rows, [sample.prompt for sample in first])
    return [f"![samples of claim {claim.number}]({_stored(sheet, report, str(claim.number))})\n"]


def answers(claim: Claim, results: Results, seeds: Sequence[int], report: Path) -> list[str]:
    """A table of the text samples of the first seed."""
    written = [(name, samples) for name, samples in _samples(claim, results, seeds) if not _drawn(samples)]
    if not written:
        return []
    heads = ["picture", "prompt", "expected", *(name for name, _ in written)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for index, each in enumerate(zip(*(samples for _, samples in written), strict=True)):
        read = each[0].input
        picture = f"![]({_stored(contact_sheet.small(read), report, f'{claim.number}-{index}')})" if read else ""
        cells = [picture, each[0].prompt, each[0].expected, *(one.output for one in each)]
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
    """One picture of each sample; None where it has none."""
    return [value if isinstance(value := getattr(sample, which), Image.Image) else None for sample in samples]


def _drawn(samples: Sequence[Sample]) -> bool:
    return isinstance(samples[0].expected, Image.Image)


def _stored(picture: Image.Image, report: Path, name: str) -> str:
    """Write a picture beside the report; returns its path relative to the report."""
    file = report.parent / "images" / "claims" / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file)
    return os.path.relpath(file, report.parent)
