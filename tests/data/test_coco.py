"""COCO's tables: joined by image without holding the file, resumed at any image; boxes and captions as messages."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from layouts import FIXTURES, joined, make_pictures, rng, shown

from seedx.data import formats, json_text
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.data.sources import open_source

BOX = (0.5, 0.5, 0.75, 0.75)
OTHER = (0.1, 0.1, 0.3, 0.3)


def read(path: Path, position: Any = None) -> list[tuple[Any, Any]]:
    (unit,) = open_source(str(path), parts=4)
    return list(unit.read(position))


@pytest.fixture
def images(tmp_path: Path) -> list[Record]:
    """The images of the fixture's instances; the first has two dogs, a bottle and a crowd of people."""
    found = joined("coco_instances")
    make_pictures([image["file_name"] for image in found], tmp_path)
    return [Record(f"instances.json#{image['id']}", image, str(tmp_path)) for image in found]


@pytest.mark.parametrize("window", [7, 1 << 18])
def test_annotations_are_joined_to_their_images(window: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(json_text, "WINDOW", window)
    path = tmp_path / "instances.json"
    path.write_text((FIXTURES / "coco_instances.json").read_text())
    steps = read(path)
    published = json.loads(path.read_text())
    for (_, record), image in zip(steps, published["images"], strict=True):
        own = [one for one in published["annotations"] if one["image_id"] == image["id"]]
        assert record.fields["annotations"] == own and record.fields["file_name"] == image["file_name"]
        assert record.fields["categories"] == {1: "person", 17: "cat", 18: "dog", 44: "bottle"}
    assert [record.where for _, record in steps] == [f"{path}#397133", f"{path}#37777"]
    assert read(path, json.loads(json.dumps(steps[0][0]))) == steps[1:] and read(path, steps[-1][0]) == []


@pytest.mark.slow
def test_the_file_is_not_held_in_memory(tmp_path: Path) -> None:
    annotation = {"category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": [[1.5] * 200], "iscrowd": 0}
    tables = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(500)],
        "annotations": [annotation | {"image_id": i % 500, "id": i} for i in range(5000)],
        "categories": [{"id": 1, "name": "dog"}],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(tables))
    del tables
    assert path.stat().st_size > 5 << 20
    (unit,) = open_source(str(path))
    tracemalloc.start()
    count = sum(len(record.fields["annotations"]) for _, record in unit.read())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5000 and peak < 3 << 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"info": {}, "images": [{"id": 1}], "annotations": [{"image_id": 1}, ', "breaks off"),
        ('{"info": {}, "images": [{"id": [1]}]}', "expected 'id', a number or a text"),
        ('{"info": {}, "images": [7]}', "images holds int"),
        ('{"info": {}, "images": {}}', "expected to have images and annotations"),
        ('{"info" 1}', "a colon"),
        ('{"info": {}, "questions": []}', "expected to have images and annotations"),
    ],
)
def test_broken_tables_are_one_error(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    ((_, error),) = read(tmp_path / "a.json")
    assert isinstance(error, SampleError) and message in error.detail


def test_annotations_of_no_image_are_errors(tmp_path: Path) -> None:
    tables = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 9}, {"image_id": 9}]}
    (tmp_path / "a.json").write_text(json.dumps(tables))
    (_, first), (position, error) = read(tmp_path / "a.json")
    assert first.fields["annotations"] == [] and error.cause == "bad format" and "the image 9" in error.detail
    assert read(tmp_path / "a.json", position) == []


def test_the_boxes_of_one_kind_are_asked_for(images: list[Record]) -> None:
    made = [shown(formats.get("coco_instances", locate=1.0)(images[0], rng(seed))) for seed in range(20)]
    dogs = next(conversation for conversation in made if "dog" in conversation[0][2])
    assert dogs[0][:2] == ("user", "@000000397133.jpg") and ("every dog" in dogs[0][2] or "each dog" in dogs[0][2])
    assert dogs[1] == ("assistant", ("dog", *OTHER), ("", *BOX))
    assert not any("person" in conversation[0][2] for conversation in made)  # a crowd
    (one,) = {conversation[1] for conversation in made if "the bottle" in conversation[0][2]}
    assert one == ("assistant", ("bottle", 0.75, 0.12, 0.95, 0.5))


def test_all_objects_are_listed(images: list[Record]) -> None:
    made = shown(formats.get("coco_instances", locate=0.0)(images[0], rng()))
    assert made[1] == ("assistant", ("dog", *OTHER), ("", *BOX), ", ", ("bottle", 0.75, 0.12, 0.95, 0.5))


def test_too_many_boxes_are_filtered(images: list[Record]) -> None:
    for locate in (0.0, 1.0):
        with pytest.raises(SampleError, match="filtered") if locate == 0 else pytest.raises(SampleError, match="kind"):
            formats.get("coco_instances", locate=locate, max_boxes=0)(images[0], rng())
    few = [shown(formats.get("coco_instances", locate=1.0, max_boxes=1)(images[0], rng(seed))) for seed in range(9)]
    assert {conversation[1][1][0] for conversation in few} == {"bottle"}


def test_one_caption_of_an_image_and_in_other_epochs_another(tmp_path: Path) -> None:
    image = joined("coco_captions")[1]
    make_pictures(image["file_name"], tmp_path)
    record, format = Record("a.json#1", image, str(tmp_path)), formats.get("coco_captions", draw=0.0)
    made = [shown(format(record, rng(seed))) for seed in range(20)]
    assert {conversation[1] for conversation in made} == {
        ("assistant", "A cat lies on a bed."),
        ("assistant", "A grey cat asleep."),
    }
    drawn = shown(formats.get("coco_captions", draw=1.0)(record, rng()))
    assert drawn[0][0] == "system" and drawn[1] == ("assistant", "@000000037777.jpg")


def test_the_other_file_is_named(images: list[Record], tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="coco_instances"):
        formats.get("coco_captions")(images[0], rng())
    captions = Record("a.json#1", joined("coco_captions")[0], str(tmp_path))
    with pytest.raises(SampleError, match="coco_captions"):
        formats.get("coco_instances")(captions, rng())
