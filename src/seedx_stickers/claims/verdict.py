"""The verdict on a claim, by a rule that was fixed before there were results.

A comparison holds if the better variant wins for every seed, and by more than two standard errors on average. It is the
other way round if the same is true of the worse variant; otherwise the two can't be told apart. The standard error is
the larger of two: from the examples, as if those of the two variants were independent (they are the same examples, so
this is too large rather than too small), and from the differences between seeds.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from seedx_stickers.claims.claim import Claim, Comparison
from seedx_stickers.claims.results import Result, Score

Outcome = Literal["holds", "other way round", "not told apart", "missing"]
Results = Mapping[tuple[str, int], Result]  # by variant and seed
SURE = 2.0  # standard errors
PHRASES: dict[Outcome, str] = {
    "holds": "as claimed",
    "other way round": "the other way round",
    "not told apart": "not told apart",
    "missing": "missing",
}


@dataclass(frozen=True)
class Finding:
    """
    Attributes:
        difference: mean over the seeds, positive if the variant `better` wins.
        error: its standard error.
        seeds: the number of seeds with results of both variants.
    """

    comparison: Comparison
    outcome: Outcome
    difference: float = 0.0
    error: float = 0.0
    seeds: int = 0


def find(claim: Claim, comparison: Comparison, results: Results, seeds: Sequence[int]) -> Finding:
    """The outcome of one comparison; "missing" unless both variants have results for every seed."""
    pairs = [
        (_score(results, comparison.better, comparison, s), _score(results, comparison.worse, comparison, s))
        for s in seeds
    ]
    whole = [(better, worse) for better, worse in pairs if better and worse]
    if len(whole) < len(seeds) or not whole:
        return Finding(comparison, "missing", seeds=len(whole))
    sign = 1 if claim.column(comparison.score).higher else -1
    differences = [sign * (better.mean - worse.mean) for better, worse in whole]
    error = max(_by_examples(whole), _by_seeds(differences))
    mean = statistics.fmean(differences)
    outcome: Outcome = "not told apart"
    if abs(mean) > SURE * error and all(difference * mean > 0 for difference in differences):
        outcome = "holds" if mean > 0 else "other way round"
    return Finding(comparison, outcome, mean, error, len(whole))


def overall(findings: Sequence[Finding]) -> str:
    """The verdict on a claim, one sentence about all its comparisons."""
    total, count = len(findings), Counter(finding.outcome for finding in findings)
    if count["missing"]:
        return "Not run completely: no verdict."
    if count["holds"] == total:
        return "Holds."
    if count["other way round"] == total:
        return "Does not hold: it is the other way round."
    if count["not told apart"] == total:
        return "Undecided: nothing can be told apart at this size."
    parts = [f"{count[outcome]} {phrase}" for outcome, phrase in PHRASES.items() if count[outcome]]
    return f"Mixed: of {total} comparisons {', '.join(parts)}."


def _score(results: Results, variant: str, comparison: Comparison, seed: int) -> Score | None:
    result = results.get((variant, seed))
    return result.scores.get(comparison.score) if result else None


def _by_examples(pairs: Sequence[tuple[Score, Score]]) -> float:
    return math.sqrt(sum(a.error**2 + b.error**2 for a, b in pairs)) / len(pairs)


def _by_seeds(differences: Sequence[float]) -> float:
    return statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
