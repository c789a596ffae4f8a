"""Files that are one JSON array: read piece by piece, resumed at any record, broken ones with one error."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from layouts import layout, make_pictures, rng, shown

from seedx.data import formats, json_text
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.data.sources import open_source

RECORDS = [
    {"number": i, "text": "größer 猫 \U0001f600" * (i % 7), "inner": [{"a": "]},{"}, 1.5, None]} for i in range(50)
]


def read(path: Path, position: Any = None) -> list[tuple[Any, Any]]:
    (unit,) = open_source(str(path), parts=4)
    return list(unit.read(position))


def values(steps: list[tuple[Any, Any]]) -> list[Any]:
    return [item.fields if isinstance(item, Record) else item.cause for _, item in steps]


@pytest.mark.parametrize("window", [1, 7, 1000, 1 << 18])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("start", ["", "\ufeff \n"])
def test_the_records_are_those_of_json(
    window: int, indent: int | None, start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_text, "WINDOW", window)
    path = tmp_path / "a.json"
    path.write_text(start + json.dumps(RECORDS, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")
    steps = read(path)
    assert values(steps) == RECORDS
    assert [item.where for _, item in steps] == [f"{path}:{i + 1}" for i in range(50)]
    for number in (0, 17, 48):
        again = read(path, json.loads(json.dumps(steps[number][0])))
        assert again == steps[number + 1 :]
    assert read(path, steps[-1][0]) == []


def test_an_object_of_sessions_is_read_as_magicbrush_publishes_it(tmp_path: Path) -> None:
    """edit_sessions.json by https://github.com/OSU-NLP-Group/MagicBrush: {img_id: [turn, ...]}."""
    turn = {"input": "7-input.png", "mask": "7-mask1.png", "output": "7-output1.png", "instruction": "Add a cat."}
    path = tmp_path / "edit_sessions.json"
    path.write_text(json.dumps({"7": [turn], "8": [turn, turn]}, indent=4))
    assert values(read(path)) == [{"img_id": "7", "turns": [turn]}, {"img_id": "8", "turns": [turn, turn]}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[{"a": 1}, {"a": ', [{"a": 1}, "broken json"]),
        ('[{"a": 1}, {"a" 2}, {"a": 3}]', [{"a": 1}, "broken json"]),
        ('[{"a": 1}', [{"a": 1}, "broken json"]),
        ('[{"a": 1}, 7, "x", null, [1], {"b": 2}]', [{"a": 1}, *["broken json"] * 4, {"b": 2}]),
        ("", ["broken json"]),
        ('"text"', ["broken json"]),
        ("[]", []),
        ("{}", []),
        ("[" * 100_000, ["broken json"]),
    ],
)
def test_broken_files(content: str, expected: list[Any], tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    steps = read(tmp_path / "a.json")
    assert values(steps) == expected
    if steps and isinstance(steps[-1][1], SampleError):
        assert read(tmp_path / "a.json", steps[-1][0]) == []


def test_bytes_that_are_no_utf8_do_not_move_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"a": "caf\xe9"}, {"a": "\xff\xfe"}, {"b": 2}]')
    steps = read(path)
    assert values(steps)[2] == {"b": 2} == values(read(path, steps[1][0]))[0]


def test_a_record_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "WINDOW", 100)
    monkeypatch.setattr(json_text, "MAX_JSON", 1000)
    (tmp_path / "a.json").write_text(json.dumps([{"a": 1}, {"a": "x" * 5000}, {"a": 2}]))
    assert values(read(tmp_path / "a.json")) == [{"a": 1}, "too large"]


def test_one_record_is_in_memory_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"number": i, "text": "x" * 1000} for i in range(20_000)]))  # 20 MB
    (unit,) = open_source(str(path))
    tracemalloc.start()
    try:
        assert sum(1 for _ in unit.read()) == 20_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


def test_llavas_file_as_it_is_published(tmp_path: Path) -> None:
    (tmp_path / "llava_v1_5_mix665k.json").write_text(json.dumps([layout("llava")] * 3))
    make_pictures(layout("llava"), tmp_path)
    for _, item in read(tmp_path / "llava_v1_5_mix665k.json"):
        made = shown(formats.get("llava")(item, rng()))
        assert made[0] == ("user", "@000000033471.jpg", "What are the colors of the bus in the image?")
