"""Stages, each from those that it needs, with a record: what it started from, what it made, how long it took."""

import json
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file

from seedx.errors import SeedxError
from seedx.train.engine.run_lock import run_lock
from seedx_stickers.training import chain, chain_record

STARTS = {"vision": [], "vae": [], "language": ["vision"], "tuned": ["language"], "drawn": ["vae", "language"]}
PARTS = {"tuned": "language"}  # of the others their own name


@pytest.fixture
def recipes(tmp_path):
    folder = tmp_path / "recipes"
    folder.mkdir()
    for number, name in enumerate(STARTS, 1):
        stage = name if name in ("vision", "vae") else "language"
        (folder / f"{number}-{name}.toml").write_text(
            f'name = "{name}"\nstage = "{stage}"\nsteps = {number}\nseed = 7\n'
        )
    (folder / "mixture.toml").write_text("")  # not a stage
    (folder / "chain.toml").write_text("".join(f"{name} = {json.dumps(starts)}\n" for name, starts in STARTS.items()))
    return folder


@pytest.fixture
def ran(monkeypatch):
    """The stages that ran, with a stand-in for training: each writes its part, from what is there. Those in `stops`
    are stopped once; what is in `meanwhile` is called during the stage of that name."""
    names, stops, meanwhile = [], set(), {}

    def run(path, folder, threads):
        name = path.stem.partition("-")[2]
        names.append(name)
        meanwhile.get(name, lambda: None)()
        if name in stops:
            stops.remove(name)
            return False
        folder.mkdir(exist_ok=True)
        content = "+".join(sorted(file.read_text() for file in folder.glob("*.safetensors")))
        (folder / f"{PARTS.get(name, name)}.safetensors").write_text(f"{name}({content})")
        return True

    monkeypatch.setattr(chain, "run", run)
    monkeypatch.setattr(chain, "halve", lambda folder, part: None)  # of these texts
    monkeypatch.setattr(chain, "WAIT", 0.01)
    monkeypatch.setattr("seedx.train.engine.run_lock._stale", lambda *lock: False)  # all are this process's here
    return names, stops, meanwhile


def record_of(folder, name):
    return json.loads((folder / name / "record.json").read_text())


def test_each_stage_starts_from_what_those_before_have_made(recipes, ran, tmp_path):
    names, _, _ = ran
    folder = tmp_path / "model"
    chain.train(recipes, folder)
    chain.train(recipes, folder)  # all are done
    assert names == list(STARTS)
    vision, vae, language, tuned, drawn = (record_of(folder, name) for name in names)
    assert vision["started_from"] == vae["started_from"] == {}
    assert list(vision["made"]) == ["vision"] and list(vae["made"]) == ["vae"]
    assert language["started_from"] == vision["made"] and set(language["made"]) == {"vision", "language"}
    assert tuned["started_from"] == language["made"] != tuned["made"]
    assert drawn["started_from"] == vae["made"] | language["made"]
    assert (folder / "drawn/drawn.safetensors").read_text() == "drawn(language(vision())+vae()+vision())"
    assert language["steps"] == 3 and language["seed"] == 7
    assert len(language["code"]) == 1 and language["code"] != vision["code"]
    assert language["core_minutes"] >= 0 and language["versions"]["torch"]
    rows = chain.table(recipes, folder).splitlines()
    assert len(rows) == 7 and rows[4].startswith("| language | 3 | 7 | 0 |")
    assert rows[4].count("language ") == 2  # its name, and the one part that it made


def test_a_model_has_each_part_from_the_last_stage_that_trained_it(recipes, ran, tmp_path):
    folder, target = tmp_path / "model", tmp_path / "whole"
    target.mkdir()
    with pytest.raises(SeedxError, match="drawn is not done: train it first"):
        chain.collect(recipes, folder, target)
    chain.train(recipes, folder)
    chain.collect(recipes, folder, target)
    assert sorted(file.stem for file in target.iterdir()) == ["drawn", "language", "vae", "vision"]
    assert (target / "language.safetensors").read_text() == "tuned(language(vision())+vision())"
    assert (folder / "drawn/language.safetensors").read_text() == "language(vision())"


def test_a_stage_can_start_with_the_heads_of_the_one_before(recipes, ran, tmp_path):
    _, _, meanwhile = ran
    folder = tmp_path / "model"
    heads = folder / "vision/runs/vision/whole.safetensors"

    def keep_heads():
        heads.parent.mkdir(parents=True)
        heads.write_text("heads")

    meanwhile["vision"] = keep_heads
    chain.train(recipes, folder)
    assert (folder / "language/runs/vision/whole.safetensors").read_text() == "heads"


def test_what_a_stage_has_made_is_stored_in_half_precision(tmp_path):
    save_file({"a": torch.full((2,), 0.1)}, tmp_path / "vision.safetensors")
    for _ in range(2):  # a stage that was stopped in between does it again
        chain.halve(tmp_path, "vision")
        assert load_file(tmp_path / "vision.safetensors")["a"].equal(torch.full((2,), 0.1, dtype=torch.float16))
    chain.halve(tmp_path, "tokenizer")  # no weights


def test_a_stage_that_was_stopped_goes_on_and_its_time_is_added(recipes, ran, tmp_path, monkeypatch):
    names, stops, _ = ran
    stops.add("vae")
    clock = iter(range(0, 60_000, 60))
    monkeypatch.setattr(chain_record, "_cpu_seconds", lambda: next(clock))
    folder = tmp_path / "model"
    chain.train(recipes, folder)
    assert names == ["vision", "vae"] and "made" not in record_of(folder, "vae")
    before = record_of(folder, "vae")
    assert before["core_minutes"] > 0
    chain.train(recipes, folder)
    assert names == ["vision", "vae", *list(STARTS)[1:]]
    after = record_of(folder, "vae")
    assert after["core_minutes"] > before["core_minutes"] and after["started_from"] == before["started_from"]


def test_two_of_the_command_share_the_stages(recipes, ran, tmp_path):
    names, _, meanwhile = ran
    folder, other = tmp_path / "model", []

    def start_another():
        other.append(threading.Thread(target=chain.train, args=(recipes, folder)))
        other[0].start()
        while "made" not in chain_record.read(folder / "vae"):  # the other one's, as this one trains
            assert other[0].is_alive()

    meanwhile["vision"] = start_another
    chain.train(recipes, folder)
    other[0].join()
    assert sorted(names) == sorted(STARTS) and names[:2] == ["vision", "vae"]


def test_a_stage_that_another_process_trains_is_waited_for(recipes, ran, tmp_path, monkeypatch):
    names, _, _ = ran
    folder = tmp_path / "model"
    with run_lock(folder / "vision"):
        monkeypatch.setattr(chain.time, "sleep", lambda seconds: (_ for _ in ()).throw(InterruptedError))
        with pytest.raises(InterruptedError):
            chain.train(recipes, folder)
    assert names == ["vae"]  # the one that does not need it


def test_a_stage_of_other_parts_is_named(recipes, ran, tmp_path):
    names, _, _ = ran
    folder = tmp_path / "model"
    chain.train(recipes, folder)
    record = folder / "vision/record.json"
    record.write_text(record.read_text().replace('"vision": "', '"vision": "0'))  # trained again, with another result
    with pytest.raises(SeedxError, match=r"language began with other parts than vision made: delete .*language"):
        chain.train(recipes, folder)
    assert names == list(STARTS)


def test_a_folder_without_recipes(tmp_path):
    with pytest.raises(SeedxError, match="no recipes whose names begin with a number"):
        chain.train(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            "vision = []",
            "a line for each stage in their order, such as vision = ..: vision, vae, language, tuned, drawn",
        ),
        (
            'vision = ["vae"]\nvae = []\nlanguage = []\ntuned = []\ndrawn = []',
            "vision can't start from vae, which is no stage before",
        ),
    ],
)
def test_what_starts_from_what_must_be_whole(recipes, tmp_path, lines, said):
    (recipes / "chain.toml").write_text(lines)
    with pytest.raises(SeedxError, match=said):
        chain.train(recipes, tmp_path / "model")
