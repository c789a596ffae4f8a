"""INPUT -> inputs: their sources, ids, pictures and texts."""

import io
import json
import tarfile

import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest

from seedx.bulk.inputs import inputs
from seedx.bulk.tasks import TASKS, Columns
from seedx.errors import SeedxError


def png(color="red"):
    file = io.BytesIO()
    PIL.Image.new("RGB", (8, 8), color).save(file, "PNG")
    return file.getvalue()


def read(source, task="caption", columns=None, output=""):
    return list(inputs(str(source), TASKS[task], columns or Columns(), str(output)).read())


@pytest.fixture
def photos(tmp_path):
    for name in ("b.png", "sub/c.JPG", "sub/a.webp", "out/pictures/x.png", ".hidden.png"):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png())
    (tmp_path / "photos" / "notes.txt").touch()
    return tmp_path / "photos"


def test_a_folder_is_read_in_order_without_the_output_that_lies_in_it(photos):
    found = inputs(str(photos), TASKS["caption"], Columns(), str(photos / "out"))
    assert [(each.source, each.id) for each in found.read()] == [
        (name, name) for name in ("b.png", "sub/a.webp", "sub/c.JPG")
    ]
    assert found.count() == 3
    assert len(read(photos)) == 4
    [first, *_] = read(photos)
    assert first.image == str(photos / "b.png") and not first.error


def test_a_glob_and_an_object_store_give_the_same(photos):
    assert [each.id for each in read(f"{photos}/sub/*")] == ["a.webp", "c.JPG"]
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe({f"/photos/{name}": png() for name in ("b.png", "sub/a.png")})
    assert [each.id for each in read("memory://photos/*.png")] == ["b.png"]
    assert [each.id for each in read("memory://photos/")] == ["b.png", "sub/a.png"]
    assert read("memory://photos/*.png")[0].image == "memory:///photos/b.png"


def test_jsonl_has_ids_texts_pictures_and_errors(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    lines = [
        {"id": 7, "image": "a.png", "question": "what?", "seed": 3},
        {"id": " ", "image": "gone.png", "prompt": "what?"},
        {"image": ["a.png", "a.png"], "prompt": 5},
    ]
    text = "\n".join(map(json.dumps, lines)) + "\n[1]\n"
    (tmp_path / "asks.jsonl").write_text(text)
    one, two, three, four = read(tmp_path / "asks.jsonl", "chat")
    assert (one.id, one.source, one.text, one.seed) == ("7", "asks.jsonl@0", "what?", 3)
    assert one.image == str(tmp_path / "a.png")
    assert two.id == "asks.jsonl:2" and two.error.startswith("missing file")
    assert three.error == "the text is int, not a string"
    assert four.error.startswith("broken json") and four.source == f"asks.jsonl@{text.index('[1]')}"
    assert inputs(str(tmp_path / "asks.jsonl"), TASKS["chat"], Columns()).count() == 4
    chosen = read(tmp_path / "asks.jsonl", "draw", Columns(column="question", id_column="seed"))
    assert (chosen[0].text, chosen[0].id, chosen[0].image) == ("what?", "3", None)


def test_parquet_and_tar_hold_their_pictures(tmp_path):
    rows = [{"id": f"x/{n}", "image": {"bytes": png(), "path": None}, "instruction": "night"} for n in range(3)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "in.parquet")
    found = inputs(str(tmp_path / "in.parquet"), TASKS["edit"], Columns())
    assert [(each.id, each.source, each.text) for each in found.read()] == [
        (f"x/{n}", f"in.parquet@{n}", "night") for n in range(3)
    ]
    assert found.count() == 3
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        for name, content in (("k/1.jpg", png()), ("k/1.txt", b"a cat"), ("k/2.jpg", png())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    one, two = read(tmp_path / "in.tar")
    assert (one.id, two.id) == ("in.tar/k/1", "in.tar/k/2") and one.image == png() and one.source != two.source
    assert read(tmp_path / "in.tar", "draw")[0].text == "a cat"


def test_what_is_no_input_is_refused(tmp_path, photos):
    for source, said in ((tmp_path / "none", "there is no"), (tmp_path / "none.*", "no file has such a name")):
        with pytest.raises(SeedxError, match=said):
            read(source)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SeedxError, match="no picture is in the folder"):
        read(tmp_path / "empty")
    with pytest.raises(SeedxError, match="reads texts, not pictures"):
        read(photos / "b.png", "draw")
