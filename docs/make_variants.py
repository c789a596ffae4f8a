"""Write the table of docs/reference/variants.md from `seedx.variants`: `python docs/make_variants.py`."""

from __future__ import annotations

import re
from pathlib import Path

from seedx.variants import VARIANTS, Variant, Verb

PAGE = Path(__file__).parent / "reference" / "variants.md"
START, END = "<!-- made by docs/make_variants.py -->", "<!-- end of the table -->"
VERBS: tuple[Verb, ...] = ("chat", "caption", "ground", "draw", "edit")


def table() -> str:
    """A row for each verb of each model."""
    rows = ["| `variant` | verb | prompt | grids | de-tokenizer | condition |", "|---|---|---|---|---|---|"]
    for name, variant in VARIANTS.items():
        if not variant.language:
            continue
        rows += [f"| `{name}` | {' | '.join((verb, *_row(variant, verb)))} |" for verb in VERBS]
    return "\n".join(rows)


def _row(variant: Variant, verb: Verb) -> tuple[str, str, str, str]:
    text = "`" + variant.written(verb).replace("\n", "\\n") + "`"
    grids = variant.edit_grids if verb == "edit" else variant.grids
    read = "-" if verb == "draw" else ", ".join(grids) if grids else "of `config.json`"
    if verb == "draw":
        return text, read, variant.free_stage, "none"
    if verb != "edit":
        return text, read, "-", "-"
    return text, read, "second", "the picture" if variant.edits else "the picture, with `condition=True` only"


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    made = f"{START}\n\n{table()}\n\n{END}"
    PAGE.write_text(re.sub(f"{START}.*{END}", lambda _: made, page, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
