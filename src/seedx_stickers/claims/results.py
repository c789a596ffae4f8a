"""Results as files, one for each claim, variant and seed: the scores and some samples.

ROOT/results/3/4-features-1.json           scores, minutes, and the key of the experiment
ROOT/results/3/4-features-1-0-output.png   a picture of a sample
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from seedx.train.engine.components import replace_text
from seedx_stickers.claims.claim import Claim, Measured, Sample, Variant


@dataclass(frozen=True)
class Score:
    """Mean over `count` examples, and the standard error of that mean."""

    mean: float
    error: float
    count: int

    @classmethod
    def of(cls, values: list[float]) -> Score:
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        return cls(statistics.fmean(values), deviation / len(values) ** 0.5, len(values))


@dataclass(frozen=True)
class Result:
    """
    Attributes:
        key: of the experiment, from the function `key`.
        minutes: the time of training and measuring.
    """

    key: str
    scores: dict[str, Score]
    minutes: float
    samples: tuple[Sample, ...] = ()


def key(claim: Claim, variant: Variant, recipes: Path, base: str, reduced: Any) -> str:
    """A hash of everything that a result depends on: the variant, its recipes, the measurements, the digest of the base
    model, and how the run was reduced."""
    measured = [(m.run.__name__, m.n, m.options) for m in claim.measurements]
    texts = [(recipes / f"{training.recipe}.toml").read_text(encoding="utf-8") for training in variant.trainings]
    whole = json.dumps([dataclasses.asdict(variant), measured, texts, base, repr(reduced)])
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def digest(model: Path) -> str:
    """A hash of the files of a model folder."""
    files = (file for file in sorted(model.iterdir()) if file.suffix in (".safetensors", ".json", ".model"))
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def path(root: Path, claim: Claim, variant: Variant, seed: int) -> Path:
    return root / "results" / str(claim.number) / f"{slug(variant.name)}-{seed}.json"


def slug(name: str) -> str:
    """ "Keys and values" -> "keys-and-values"."""
    return re.sub(r"\W+", "-", name.lower()).strip("-")


def write(file: Path, key: str, measured: Measured, minutes: float) -> None:
    """Write a result; the JSON file is written last, so that a result is complete or missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scores = {name: dataclasses.asdict(Score.of(values)) for name, values in measured.scores.items()}
    samples = [_stored(file.with_suffix(""), index, sample) for index, sample in enumerate(measured.samples)]
    content = {"key": key, "scores": scores, "minutes": round(minutes, 2), "samples": samples}
    replace_text(file, json.dumps(content, indent=1) + "\n")


def read(file: Path) -> Result | None:
    """The result in a file; None if there is no file."""
    if not file.is_file():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    scores = {name: Score(**score) for name, score in content["scores"].items()}
    samples = tuple(_loaded(file.parent, sample) for sample in content["samples"])
    return Result(content["key"], scores, content["minutes"], samples)


def _stored(stem: Path, index: int, sample: Sample) -> dict[str, Any]:
    """The sample as JSON; its pictures become files."""
    stored: dict[str, Any] = {"prompt": sample.prompt}
    for name in ("input", "expected", "output"):
        value = getattr(sample, name)
        if isinstance(value, Image.Image):
            file = stem.with_name(f"{stem.name}-{index}-{name}.png")
            value.save(file)
            value = {"picture": file.name}
        stored[name] = value
    return stored


def _loaded(folder: Path, stored: dict[str, Any]) -> Sample:
    def opened(value: Any) -> Any:
        return Image.open(folder / value["picture"]).convert("RGB") if isinstance(value, dict) else value

    return Sample(**{name: opened(value) for name, value in stored.items()})
