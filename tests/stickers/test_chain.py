"""Stages in order, with a record of each: what it started from, what it made, how long it took."""

import json

import pytest

from seedx.errors import SeedxError
from seedx_stickers.training import chain


@pytest.fixture
def recipes(tmp_path):
    folder = tmp_path / "recipes"
    folder.mkdir()
    for number, name in enumerate(("vision", "vae", "language"), 1):
        (folder / f"{number}-{name}.toml").write_text(
            f'name = "{name}"\nstage = "{name}"\nsteps = {number}\nseed = 7\n'
        )
    (folder / "mixture.toml").write_text("")  # not a stage
    return folder


@pytest.fixture
def ran(monkeypatch):
    """The stages that ran, with a stand-in for training: each writes its part, from what is there. Those in `stops`
    are stopped once."""
    names, stops = [], set()

    def run(path, folder, threads):
        name = path.stem.partition("-")[2]
        names.append(name)
        if name in stops:
            stops.remove(name)
            return False
        folder.mkdir(exist_ok=True)
        content = "".join(sorted(file.read_text() for file in folder.glob("*.safetensors")))
        (folder / f"{name}.safetensors").write_text(content + name)
        return True

    monkeypatch.setattr(chain, "run", run)
    return names, stops


def record_of(folder, name):
    return json.loads((folder / "runs" / name / "record.json").read_text())


def test_each_stage_starts_from_what_those_before_have_made(recipes, ran, tmp_path):
    names, _ = ran
    folder = tmp_path / "model"
    chain.train(recipes, folder)
    chain.train(recipes, folder)  # all are done
    assert names == ["vision", "vae", "language"]
    first, second, third = (record_of(folder, name) for name in names)
    assert first["started_from"] == {}
    assert second["started_from"] == first["made"] and list(first["made"]) == ["vision"]
    assert third["started_from"] == second["made"] and set(third["made"]) == {"vision", "vae", "language"}
    assert third["steps"] == 3 and third["seed"] == 7 and len(third["code"]) == 1 and third["code"] != first["code"]
    assert third["core_minutes"] >= 0 and third["versions"]["torch"]
    rows = chain.table(recipes, folder).splitlines()
    assert len(rows) == 5 and rows[4].startswith("| language | 3 | 7 | 0 |")
    assert rows[4].count("language ") == 2  # its name, and the one part that it made


def test_a_stage_that_was_stopped_goes_on_and_its_time_is_added(recipes, ran, tmp_path, monkeypatch):
    names, stops = ran
    stops.add("vae")
    clock = iter(range(0, 60_000, 60))
    monkeypatch.setattr(chain, "_cpu_seconds", lambda: next(clock))
    folder = tmp_path / "model"
    chain.train(recipes, folder)
    assert names == ["vision", "vae"] and "made" not in record_of(folder, "vae")
    before = record_of(folder, "vae")
    assert before["core_minutes"] > 0
    chain.train(recipes, folder)
    assert names == ["vision", "vae", "vae", "language"]
    after = record_of(folder, "vae")
    assert after["core_minutes"] > before["core_minutes"] and after["started_from"] == before["started_from"]


def test_a_stage_of_other_parts_is_named(recipes, ran, tmp_path):
    names, _ = ran
    folder = tmp_path / "model"
    chain.train(recipes, folder)
    (folder / "runs" / "vision" / "record.json").unlink()  # trained again, on what is there now
    with pytest.raises(SeedxError, match="vae began with other parts than the stage before"):
        chain.train(recipes, folder)
    assert names == ["vision", "vae", "language", "vision"]


def test_a_folder_without_recipes(tmp_path):
    with pytest.raises(SeedxError, match="no recipes whose names begin with a number"):
        chain.train(tmp_path, tmp_path)
