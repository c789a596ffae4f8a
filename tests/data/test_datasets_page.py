"""docs/results/datasets.md: every published form is read as its table says, and each odd record is one error."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from published import FORMS, Published

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "results" / "datasets.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| [")]
MAKE = runpy.run_path(str(ROOT / "docs" / "make_datasets.py"))


@pytest.mark.parametrize("form", FORMS, ids=[form.name for form in FORMS])
def test_a_published_form_is_read_and_each_odd_record_is_one_error(form: Published, tmp_path: Path) -> None:
    found = form.check(tmp_path)
    assert (found.errors.used, found.errors.counts) == form.expected
    assert MAKE["row"](form, found) in ROWS, "python docs/make_datasets.py writes the table"
    assert len(found.lengths) == found.errors.used and bool(found.supervised) == bool(found.errors.used)
    if "URLs alone" in form.form:
        assert all("img2dataset" in texts[-1] for texts in found.errors.examples.values())


def test_the_table_has_a_row_for_each_form() -> None:
    assert len(ROWS) == len(FORMS)
