"""docs/guide/data.md: its tables name what there is, and its code runs."""

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from layouts import make_pictures, rng, shown

from seedx.data import formats
from seedx.data.formats.filters import Filters
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.data.shard_reader import Data
from seedx.data.sources import open_source

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "data.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def table(first, last):
    """The rows between two phrases: the names in their first and in their last cell."""
    rows = PAGE.partition(first)[2].partition(last)[0].splitlines()
    cells = [[re.findall(r"`(\w+)`", cell) for cell in row.split("|")[1:-1]] for row in rows if row.startswith("| `")]
    return [(row[0], row[-1]) for row in cells]


def test_the_table_of_formats_is_complete():
    rows = {name: set(options) for (name,), options in table("## Formats", "[Data formats]")}
    assert rows == {name: set(function.__kwdefaults__ or ()) for name, function in formats.FORMATS.items()}


def test_the_options_of_every_format_are_named():
    named = {name for names, _ in table("Every format also", "### As they are") for name in names}
    assert named == {"images", "roots", "grids", *Filters.__dataclass_fields__}


def test_the_recipes_tables_are_right():
    tables = [table for block in blocks("toml") for table in tomllib.loads(block)["data"]]
    assert len(tables) == 4
    for table in tables:
        data = Data(**table)
        assert formats.get(data.format, **data.options)


@pytest.mark.parametrize(("number", "format"), [(0, "edit"), (1, "messages")])
def test_the_lines_of_json_are_read(number, format, tmp_path):
    line = json.loads(blocks("json")[number])
    make_pictures(line, tmp_path)
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    ((_, record),) = (step for unit in open_source(str(tmp_path / "a.jsonl")) for step in unit.read())
    assert [message.role for message in formats.get(format)(record, rng())] == ["user", "assistant"]


def test_ten_lines_make_a_format(tmp_path, monkeypatch):
    code = blocks("python")[0]
    function = code[code.index("def ") :].strip()
    assert len(function.splitlines()) <= 10
    (tmp_path / "recipes_book.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "recipes_book", raising=False)
    make_pictures("soup.jpg", tmp_path)
    fields = {"rating": 5, "dish": "pea soup", "photo": "soup.jpg", "steps": "Boil the peas."}
    soup = Record("book.jsonl:1", fields, str(tmp_path))
    drawn, read = (shown(formats.get("recipes_book:cooking", draw=draw)(soup, rng())) for draw in (1.0, 0.0))
    assert drawn == [("user", "Show me pea soup"), ("assistant", "@soup.jpg")]
    assert read == [("user", "@soup.jpg", "How is it made?"), ("assistant", "Boil the peas.")]
    with pytest.raises(SampleError, match="filtered"):
        formats.get("recipes_book:cooking")(Record("book.jsonl:2", fields | {"rating": 1}), rng())
    with pytest.raises(SampleError, match="bad format"):
        formats.get("recipes_book:cooking")(Record("book.jsonl:3", {"rating": 5}), rng())
    with pytest.raises(ValueError, match="did you mean 'draw'"):
        formats.get("recipes_book:cooking", drow=0.5)
