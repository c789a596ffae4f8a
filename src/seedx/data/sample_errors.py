"""Bad data is normal: it is skipped, counted by its cause, and stops a run only when there is too much of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from seedx.errors import SeedxError

CHOSEN = ("filtered", "too long", "cut")  # causes that somebody chose: nothing is wrong with the data
EXAMPLES = 3  # places kept of each cause
LENGTH = 300  # of their texts: some data has a picture where a name should be


class Fault(ValueError):
    """Why one sample is left out.

    Attributes:
        cause: short, from a small set, since causes are counted: "broken json", "missing file", "torn tar",
            "broken image", "bad format", "too long", "filtered", ...
        where: the sample, as in `Record.where`; whoever knows it fills it in.
        detail: what exactly is wrong, for a message.
    """

    def __init__(self, cause: str, where: str = "", detail: str = "") -> None:
        super().__init__(cause, where, detail)  # all of them, or it could not be pickled
        self.cause, self.where, self.detail = cause, where, detail

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.cause}" + (f" ({self.detail})" if self.detail else "")


@dataclass
class Faults:
    """How many samples were good, and how many were left out for which cause.

    Attributes:
        good: samples that were used.
        causes: samples left out, by cause.
        last: the latest faults of each cause as text, at most `EXAMPLES`, oldest first.
    """

    good: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    last: dict[str, list[str]] = field(default_factory=dict)

    def add(self, fault: Fault) -> None:
        self._count(fault.cause, 1, [str(fault)[:LENGTH]])

    def merge(self, later: Faults) -> None:
        """Add what `later` counted, which came after what this one did (or on another rank)."""
        self.good += later.good
        for cause, count in later.causes.items():
            self._count(cause, count, later.last.get(cause, []))

    def _count(self, cause: str, count: int, examples: list[str]) -> None:
        self.causes[cause] = self.causes.get(cause, 0) + count
        self.last[cause] = [*self.last.get(cause, []), *examples][-EXAMPLES:]

    @property
    def bad(self) -> int:
        """Samples with something wrong; those left out on purpose are not."""
        return sum(count for cause, count in self.causes.items() if cause not in CHOSEN)

    @property
    def share(self) -> float:
        """Bad samples among the good and the bad; 0 before the first."""
        return self.bad / max(1, self.good + self.bad)

    def check(self, most: float, after: int = 100) -> None:
        """Stop when too much of the data is bad.

        Args:
            most: the largest share of bad samples that is accepted, 0 to 1.
            after: samples to see before judging: among a handful, one bad sample says nothing.

        Raises:
            SeedxError: there is more; the causes, how many of each, and the latest places.
        """
        seen = self.good + self.bad
        if seen < after or self.share <= most:
            return
        causes = "; ".join(
            f"{cause}: {count}, the latest {' | '.join(self.last[cause])}"
            for cause, count in sorted(self.causes.items(), key=lambda item: -item[1])
            if cause not in CHOSEN
        )
        raise SeedxError(
            f"{self.share:.1%} of {seen:,} samples are bad, and at most {most:.1%} may be: mend the data or raise "
            f"max_faults. {causes}"
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> Faults:
        return cls(state["good"], dict(state["causes"]), {cause: list(last) for cause, last in state["last"].items()})
