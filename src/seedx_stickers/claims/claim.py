"""A claim of the paper as data: the variants to compare, how each is initialised and trained, what is measured.

A variant is the base model with some settings changed and some weights reinitialised. It is trained by its recipes in
order, then measured:

    Variant(
        "cosine", (Training("regress"),), {"bridge.regression": "cosine"}, reinitialised=("bridge.output_resampler.*",)
    )
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
        recipe: the name of a file in the folder of recipes, without its extension.
        changes: of the recipe's fields, by their paths.
    """

    recipe: str
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """
    Attributes:
        config: changes of the base model's settings, by their paths: {"vision.pool": 1}.
        reinitialised: patterns of PART.NAME ("bridge.output_resampler.*"): weights that are not the base model's.
        placeholders: reinitialise the embeddings of all placeholders, too.
        output_layers: layers of the output resampler; more than one needs the stage "language-deep-resampler".
        options: for every measurement, besides its own.
    """

    name: str
    trainings: tuple[Training, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    reinitialised: tuple[str, ...] = ()
    placeholders: bool = False
    output_layers: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def is_base(self) -> bool:
        """Whether it is the unchanged base model."""
        changed = self.trainings or self.config or self.reinitialised or self.placeholders
        return not changed and self.output_layers == 1


@dataclass(frozen=True)
class Sample:
    """One of the measured examples, for the report.

    Attributes:
        prompt: empty for a picture to reconstruct.
        input: the picture that was read.
        expected: the right picture or answer.
        output: the variant's picture or answer.
    """

    prompt: str
    input: Image.Image | None
    expected: Image.Image | str
    output: Image.Image | str


@dataclass
class Measured:
    """Scores by name, one for each example; for one seed, all variants of a claim have the same examples."""

    scores: dict[str, list[float]] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def add(self, scores: dict[str, float | None]) -> None:
        """Add the scores of one more example; None where there is nothing to score."""
        for name, value in scores.items():
            if value is not None:
                self.scores.setdefault(name, []).append(value)


@dataclass(frozen=True)
class Measurement:
    """`run(model, seed, n, **options)` scores the first `n` examples of the seed."""

    run: Callable[..., Measured]
    n: int
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """A score in the report's table. `form` is a format string; `higher`: whether higher is better."""

    score: str
    heading: str
    form: str = "{:.1%}"
    higher: bool = True


@dataclass(frozen=True)
class Comparison:
    """The claim predicts that, by `score`, the variant `better` beats the variant `worse`."""

    score: str
    better: str
    worse: str


@dataclass(frozen=True)
class Claim:
    """
    Attributes:
        statement: what the paper says.
        test: how it is tested here, and why the test is fair.
        limitations: what is smaller than in the paper or left out, and what the test therefore can't show.
    """

    number: int
    title: str
    statement: str
    test: str
    limitations: str
    variants: tuple[Variant, ...]
    measurements: tuple[Measurement, ...]
    columns: tuple[Column, ...]
    comparisons: tuple[Comparison, ...]

    def column(self, score: str) -> Column:
        return next(column for column in self.columns if column.score == score)
