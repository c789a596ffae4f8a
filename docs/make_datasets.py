"""Write the table of docs/results/datasets.md, from the files that tests/data/published.py makes."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results" / "datasets.md"
START, END = "<!-- made by docs/make_datasets.py -->", "<!-- end of the table -->"
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "data")]

from published import FORMS, Published  # noqa: E402

from seedx.data.check import SourceCheck  # noqa: E402


def table() -> str:
    """A row for each published form: what a check of its file, with some odd records, has read."""
    rows = ["| data set | published form | lines of the recipe | read | used | left out |", "|---|---|---|---|---|---|"]
    for form in FORMS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row(form, form.check(Path(folder))))
    return "\n".join(rows)


def row(form: Published, found: SourceCheck) -> str:
    causes = ", ".join(f"{count} {cause}" for cause, count in sorted(found.errors.counts.items()))
    cells = (f"[{form.name}]({form.where})", form.form, _lines(form), str(found.read), str(found.errors.used), causes)
    return f"| {' | '.join(cells)} |"


def _lines(form: Published) -> str:
    lines = [f'source = "{form.source}"', f'format = "{form.format}"']
    lines += [f"options = {{ {', '.join(f'{name} = {_toml(v)}' for name, v in form.options.items())} }}"] * bool(
        form.options
    )
    return "<br>".join(f"`{line}`" for line in lines)


def _toml(value: Any) -> str:
    return json.dumps(value)


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    made = f"{START}\n\n{table()}\n\n{END}"
    PAGE.write_text(re.sub(f"{START}.*{END}", lambda _: made, page, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
