"""Bad samples are normal in large data: they are skipped, counted by cause, and stop a run only above a rate.

A source and a format raise or return a `SampleError`; other errors that a sample raises become one in `boundary.py`.
`SampleErrors` counts them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from seedx.deprecated import rename_keys
from seedx.errors import SeedxError

INTENDED = ("filtered", "too long", "truncated")  # causes that the recipe asks for: nothing is wrong with the data
MAX_EXAMPLES = 3  # kept of each cause
MAX_LENGTH = 300  # characters of an example
MAX_DETAIL = 400  # characters of a detail: some data has a picture where a name should be


class SampleError(SeedxError):
    """Why one sample can't be used.

    Attributes:
        cause: short, from a small set, since causes are counted: "broken json", "missing file", "torn tar",
            "broken image", "bad format", "too large", "too long", "filtered", "unexpected error", ...
        where: the sample, as in `Record.where`; empty where the raiser does not know it.
        detail: what exactly is wrong, for a message.
    """

    def __init__(self, cause: str, where: str = "", detail: str = "") -> None:
        detail = detail if len(detail) <= MAX_DETAIL else f"{detail[: MAX_DETAIL // 2]}...{detail[-MAX_DETAIL // 4 :]}"
        super().__init__(cause, where, detail)  # all of them, or it could not be pickled
        self.cause, self.where, self.detail = cause, where, detail

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.cause}" + (f" ({self.detail})" if self.detail else "")


@dataclass
class SampleErrors:
    """Counts of the samples that were used, and of the others by cause.

    Attributes:
        used: samples that were used.
        counts: sample errors by cause. A truncated sample is used, and counted here too.
        examples: the latest errors of each cause as text, at most `MAX_EXAMPLES`, oldest first.
    """

    used: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, error: SampleError) -> None:
        self._count(error.cause, 1, [str(error)[:MAX_LENGTH]])

    def merge(self, later: SampleErrors) -> None:
        """Add the counts of `later`, which come after these or from another rank."""
        self.used += later.used
        for cause, count in later.counts.items():
            self._count(cause, count, later.examples.get(cause, []))

    def _count(self, cause: str, count: int, examples: list[str]) -> None:
        self.counts[cause] = self.counts.get(cause, 0) + count
        self.examples[cause] = [*self.examples.get(cause, []), *examples][-MAX_EXAMPLES:]

    @property
    def bad(self) -> int:
        """Samples with something wrong; those that the recipe leaves out are not."""
        return sum(count for cause, count in self.counts.items() if cause not in INTENDED)

    @property
    def rate(self) -> float:
        """Bad samples among those used and the bad ones, 0 to 1; 0 before the first."""
        return self.bad / max(1, self.used + self.bad)

    def check(self, max_rate: float, min_samples: int = 100) -> None:
        """Stop a run whose data is too bad.

        Args:
            max_rate: the largest rate of bad samples that is accepted, 0 to 1.
            min_samples: no rate is judged before as many samples were read.

        Raises:
            SeedxError: the rate is above; the causes, how many of each, and the latest examples.
        """
        seen = self.used + self.bad
        if seen < min_samples or self.rate <= max_rate:
            return
        causes = "; ".join(
            f"{cause}: {count}, the latest {' | '.join(self.examples[cause])}"
            for cause, count in sorted(self.counts.items(), key=lambda item: -item[1])
            if cause not in INTENDED
        )
        raise SeedxError(
            f"{self.rate:.1%} of {seen:,} samples are bad, more than the {max_rate:.1%} allowed: repair the data or "
            f"raise max_sample_errors. {causes}"
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> SampleErrors:
        state = rename_keys("sample errors", state)
        counts, examples = (rename_keys("causes of sample errors", state[key]) for key in ("counts", "examples"))
        return cls(state["used"], counts, {cause: list(texts) for cause, texts in examples.items()})
