"""A claim of the paper as data: variants to compare, how each begins and is trained, what is measured, what should win.

A variant begins as a trained model with some settings changed and some weights begun anew, goes through the trainings
in order, and is measured:

    Variant("cosine", (Training("regress"),), {"bridge.regression": "cosine"}, anew=("bridge.output_resampler.*",))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image


@dataclass(frozen=True)
class Training:
    """
    Attributes:
        recipe: a file of the recipes' folder, without its ending.
        changes: of the recipe's fields, by their paths.
    """

    recipe: str
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """
    Attributes:
        config: changes of the model's settings, by their paths: {"vision.pool": 1}.
        anew: patterns of PART.NAME ("bridge.output_resampler.*") whose weights are not those of the trained model.
        placeholders: whether the embeddings of all placeholders begin anew, too.
        options: for every measurement, besides its own.
    """

    name: str
    trainings: tuple[Training, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    anew: tuple[str, ...] = ()
    placeholders: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def as_trained(self) -> bool:
        """Whether it is the trained model as it stands."""
        return not (self.trainings or self.config or self.anew or self.placeholders)


@dataclass(frozen=True)
class Sample:
    """One of the things measured, to be seen.

    Attributes:
        asked: what was said; empty for a picture to redraw.
        shown: what was read.
        right: picture or answer.
        given: the same, by the variant.
    """

    asked: str
    shown: Image.Image | None
    right: Image.Image | str
    given: Image.Image | str


@dataclass
class Measured:
    """Scores by name, one for each example; all variants of a claim see the same examples for a seed."""

    scores: dict[str, list[float]] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def add(self, scores: dict[str, float | None]) -> None:
        """The scores of one more example; None where there is nothing to score."""
        for name, value in scores.items():
            if value is not None:
                self.scores.setdefault(name, []).append(value)


@dataclass(frozen=True)
class Measurement:
    """`run(model, seed, n, **options)` scores `n` examples that follow from the seed."""

    run: Callable[..., Measured]
    n: int
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """A score in the table. `form` is a format; `higher` says which way is better."""

    score: str
    heading: str
    form: str = "{:.1%}"
    higher: bool = True


@dataclass(frozen=True)
class Comparison:
    """By `score`, the variant `better` should beat the variant `worse`, if the claim is right."""

    score: str
    better: str
    worse: str


@dataclass(frozen=True)
class Claim:
    """
    Attributes:
        says: the paper's side.
        test: how it is tried here, and why that is fair.
        cut: what is smaller or left out, and so what the test can't tell.
    """

    number: int
    title: str
    says: str
    test: str
    cut: str
    variants: tuple[Variant, ...]
    measurements: tuple[Measurement, ...]
    columns: tuple[Column, ...]
    comparisons: tuple[Comparison, ...]

    def column(self, score: str) -> Column:
        return next(column for column in self.columns if column.score == score)
