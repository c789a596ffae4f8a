"""Rows on disk: each once, whatever kills the process."""

import json
import tarfile

import killed
import pyarrow.parquet
import pytest

import processes
from seedx.bulk.picture_names import file_stem
from seedx.bulk.results import Done, Results
from seedx.data.sources import open_source
from seedx.errors import SeedxError

COUNT = 30


def row(name, picture=None, error=None):
    return {
        "id": name,
        "source": f"in.jsonl@{name}",
        "answer": f"it is {name}",
        "boxes": [{"label": "cat", "box": [0.0, 0.1, 0.5, 1.0]}],
        "picture": picture,
        "error": error,
        "seconds": 0.5,
    }


@pytest.fixture
def asks(tmp_path):
    """Texts to draw; two have the same id, one none, one line is broken."""
    lines = [json.dumps({"id": f"a/{number % 29}", "prompt": f"text {number}"}) for number in range(COUNT)]
    lines[3] = json.dumps({"prompt": "text 3", "id": ""})
    (tmp_path / "asks.jsonl").write_text("\n".join([*lines[:10], "{broken", *lines[10:]]) + "\n")
    return tmp_path / "asks.jsonl"


def rows_of(folder, form):
    if form == "parquet":
        return pyarrow.parquet.read_table(folder / "rows").to_pylist()
    return [json.loads(line) for file in sorted((folder / "rows").iterdir()) for line in file.open()]


def picture(folder, place):
    if ".tar/" not in place:
        return (folder / place).read_bytes()
    tar, name = place.split(".tar/")
    with tarfile.open(folder / f"{tar}.tar") as shard:
        return shard.extractfile(name).read()


@pytest.mark.parametrize(("form", "pictures"), [("jsonl", "files"), ("parquet", "tar")])
def test_killed_again_and_again_no_row_is_lost_or_doubled(asks, tmp_path, form, pictures):
    out, deaths = tmp_path / "out", 0
    for at, after in [(2, False), (4, True), (5, True), (9, False)]:
        [code] = processes.run(killed.run_and_die, (asks, out, form, pictures, at, after))
        deaths += code == -9
    assert deaths >= 3
    killed.run(asks, out, form, pictures)
    rows = rows_of(out, form)
    assert len(rows) == COUNT + 1 and len({each["source"] for each in rows}) == COUNT + 1
    good = [each for each in rows if each["error"] is None]
    assert sorted(each["answer"] for each in good) == sorted(f"text {number}" for number in range(COUNT))
    assert len({each["picture"] for each in good}) == COUNT  # also of the two with the same id
    assert all(picture(out, each["picture"]).decode() == each["answer"] for each in good)
    [bad] = [each for each in rows if each["error"] is not None]
    assert "broken json" in bad["error"] and bad["picture"] is None and bad["id"] == "asks.jsonl:11"
    assert {each["id"] for each in good} >= {"a/0", "a/28", "asks.jsonl:4"}
    assert not list(out.glob("*.journal"))
    if pictures == "tar":  # each shard can be read as WebDataset
        units = open_source(str(out / "pictures" / "*.tar"))
        assert sum(len(list(unit.read())) for unit in units) == COUNT


def test_a_folder_of_another_command_is_refused(tmp_path):
    with Results(tmp_path / "out", {"prompt": "a", "files": {"x": [1, 2]}}) as results:
        results.add([row("1")])
    with Results(tmp_path / "out", {"prompt": "a", "files": {"x": [1, 2], "new": [3, 4]}}) as results:
        assert list(results.sources()) == ["in.jsonl@1"] and results.rows == 1
    for job, said in (
        ({"prompt": "b", "files": {"x": [1, 2], "new": [3, 4]}}, 'prompt was "a", and is "b" now'),
        ({"prompt": "a", "files": {"x": [1, 3], "new": [3, 4]}}, "x has changed"),
    ):
        with pytest.raises(SeedxError, match=said):
            Results(tmp_path / "out", job)
    with pytest.raises(SeedxError, match="format was"):
        Results(tmp_path / "out", {"prompt": "a", "files": {"x": [1, 2], "new": [3, 4]}}, "parquet")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "thesis.tex").touch()
    with pytest.raises(SeedxError, match="holds other files"):
        Results(tmp_path / "else", {})


def test_one_process_writes_at_a_time(tmp_path):
    with (
        Results(tmp_path / "out", {}),
        pytest.raises(SeedxError, match="another process writes"),
    ):
        Results(tmp_path / "out", {})


def test_an_interrupted_run_leaves_a_part_that_people_can_read(tmp_path):
    with pytest.raises(KeyboardInterrupt), Results(tmp_path / "out", {}) as results:
        results.add([row("1", b"p", None), row("2", None, "bad")])
        raise KeyboardInterrupt
    assert [each["id"] for each in rows_of(tmp_path / "out", "jsonl")] == ["1", "2"]
    with Results(tmp_path / "out", {}) as results:
        assert len(Done(results.sources())) == 2 and (results.rows, results.errors) == (2, 1)


def test_names_of_pictures_stay_within_the_folder():
    assert file_stem("a/b.jpg") == "a/b"
    assert file_stem("../../etc/passwd") == "%2E%2E/%2E%2E/etc/passwd"
    assert file_stem("/v1.2: x?") == "v1%2E2%3A x%3F"
    assert file_stem("//") == "picture"
    assert len(file_stem("é" * 300)) <= 150 and file_stem("é" * 300) != file_stem("é" * 301)


def test_done_knows_its_sources_and_no_other():
    done = Done(f"a@{number}" for number in range(1000))
    assert len(done) == 1000 and "a@7" in done and "a@1000" not in done and "b@7" not in done
    assert "x" not in Done([])
