"""Runs a folder of golden cases, made by the release's own code, against this library.

A case NAME is NAME.json with its sizes and, mostly, NAME.safetensors; the words of NAME are its kind. Sizes, seeds and
names of sub-cases are read from the files, so a folder of other sizes works as well. `tokenizer/` and
`images/`, where a case needs them, are in the folder or beside it; so is manifest.json, the full-size release's names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from seedx.errors import SeedxError
from seedx.terminal import new_table
from seedx.verify import (
    answer_case,
    conversation_cases,
    detokenizer_cases,
    encoding_cases,
    loss_case,
    manifest_case,
    model_cases,
    sampling_case,
)

TOLERANCE = 1e-4

Check = Callable[[Path, str], list[tuple[str, float]]]
CASES: dict[str, Check] = {
    **model_cases.CASES,
    **loss_case.CASES,
    **answer_case.CASES,
    **detokenizer_cases.CASES,
    **sampling_case.CASES,
    **encoding_cases.CASES,
    **conversation_cases.CASES,
}
KINDS = [(name.split("_"), check) for name, check in CASES.items()]


@dataclass(frozen=True)
class Result:
    """
    Attributes:
        error: the worst absolute error; infinite if the case could not be run.
        checks: how many things were compared.
        worst: which of them is the worst, or why the case could not be run.
    """

    name: str
    error: float
    passed: bool
    checks: int
    worst: str


def verify(folder: str | Path) -> list[Result]:
    """Check every case of a folder. A file of an unknown kind is a case that fails.

    Raises:
        SeedxError: no folder, or no case in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SeedxError(f"expected a folder of golden cases, but {str(folder)!r} is not a folder")
    stems = sorted({file.stem for file in folder.iterdir() if file.suffix in (".json", ".safetensors")})
    names = [stem for stem in stems if not stem.startswith("manifest")]
    if not names:
        raise SeedxError(
            f"{str(folder)!r} holds no golden case: expected files such as a_vit.json and a_vit.safetensors"
        )
    results = [run(folder, name) for name in names]
    manifest = next((place for place in (folder, folder.parent) if (place / "manifest.json").is_file()), None)
    return results if manifest is None else [*results, run(manifest, "manifest", manifest_case.check)]


def kind(name: str) -> Check:
    """The check of the kind with the most words in `name`, after its letter: "e_small_sampling" is an "e_sampling".

    Raises:
        SeedxError: no kind fits.
    """
    letter, *words = name.split("_")
    known = [
        (kind_words, check) for kind_words, check in KINDS if kind_words[0] == letter and {*kind_words[1:]} <= {*words}
    ]
    if not known:
        raise SeedxError(f"{name!r} is a case of unknown kind; the kinds are {', '.join(CASES)}")
    return max(known, key=lambda one: len(one[0]))[1]


def run(folder: Path, name: str, check: Check | None = None) -> Result:
    try:
        pairs = (check or kind(name))(folder, name)
    except Exception as error:  # one broken case must not hide the others
        return Result(name, math.inf, False, 0, f"{type(error).__name__}: {error}")
    checks = [(what, math.inf if math.isnan(error) else error) for what, error in pairs]
    if not checks:
        return Result(name, math.inf, False, 0, "nothing was compared")
    what, worst = max(checks, key=lambda result: result[1])
    return Result(name, worst, worst <= TOLERANCE, len(checks), what)


def table(results: list[Result]) -> Table:
    made = new_table("case", "worst error", "checks", "verdict", words=["verdict"])
    for result in results:
        verdict = "pass" if result.passed else f"FAIL at {result.worst}"
        style = None if result.passed else "red"
        made.add_row(result.name, f"{result.error:.1e}", str(result.checks), verdict, style=style)
    return made
