"""`seedx export`: a model folder from a run's checkpoint."""

import json

import pytest
import torch
from safetensors.torch import load_file

import seedx
from seedx.checkpoint import native
from seedx.cli import main
from seedx.errors import SeedxError
from seedx.train.engine.checkpointing import CheckpointManager
from seedx.train.engine.components import copy_missing
from seedx.train.engine.optimizer import build_optimizer
from seedx.train.engine.parallel import World, optimizer_parameters
from seedx.train.export import export
from seedx.train.recipe import Recipe
from seedx.train.recipe_changes import as_json
from seedx.train.run import build


@pytest.fixture
def make_run(tiny_folder, tmp_path):
    """A run that has saved steps 3 and 6: at step n every trained weight is n, and its average n + 0.5."""

    def make(**settings):
        recipe = Recipe(**{"name": "tune", "stage": "language", "init_from": str(tiny_folder), "steps": 6, **settings})
        folder = tmp_path / "model"
        stage = build(recipe, folder)
        averages = (
            {name: torch.empty_like(p) for name, p in optimizer_parameters(stage.model).items()}
            if recipe.ema_decay
            else None
        )
        saver = CheckpointManager(folder / "runs" / "tune", World(), keep_last=2)
        for step in (3, 6):
            with torch.no_grad():
                for name, parameter in optimizer_parameters(stage.model).items():
                    parameter.fill_(step)
                    if averages:
                        averages[name].fill_(step + 0.5)
            saver.save(step, {"model": stage.model, "optim": build_optimizer(stage.model, recipe), "average": averages})
            saver.wait()
        (folder / "runs" / "tune" / "recipe.json").write_text(json.dumps(as_json(recipe)))
        return folder / "runs" / "tune"

    return make


def values(folder, part):
    return {float(value) for tensor in load_file(folder / f"{part}.safetensors").values() for value in tensor.unique()}


def test_the_newest_checkpoint_becomes_a_whole_model(make_run, tiny_folder, tmp_path):
    assert export(make_run(ema_decay=0.9), tmp_path / "out") == (6, [])
    assert values(tmp_path / "out", "language") == {6.5}
    for name in ("vision.safetensors", "detokenizer.safetensors", "config.json", "tokenizer.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tiny_folder / name).read_bytes(), name
    model = native.load(tmp_path / "out")
    assert float(model.seedx.tile_positions.detach().unique()) == 6.5


def test_another_step_and_the_weights_themselves(make_run, tmp_path, capsys):
    run = make_run(ema_decay=0.9)
    assert main(["export", f"{run}@3", str(tmp_path / "out"), "--no-ema"]) == 0
    assert capsys.readouterr() == (f"{tmp_path / 'out'}: step 3\n", "")
    assert values(tmp_path / "out", "language") == {3.0}


def test_a_run_without_averages_gives_its_weights(make_run, tmp_path):
    assert export(make_run(), tmp_path / "out", step=3)[0] == 3
    assert values(tmp_path / "out", "language") == {3.0}


def test_adapters_are_merged(make_run, tiny_folder, tmp_path):
    assert export(make_run(lora=True), tmp_path / "out") == (6, [])
    before, after = (load_file(folder / "language.safetensors") for folder in (tiny_folder, tmp_path / "out"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys() and any("q_proj" in name for name in changed)


def test_adapters_are_kept_apart(make_run, tiny_folder, tmp_path):
    run = make_run(lora=True)
    export(run, tmp_path / "merged")
    assert main(["export", str(run), str(tmp_path / "out"), "--keep-adapter"]) == 0
    before, after, merged = (
        load_file(folder / "language.safetensors") for folder in (tiny_folder, tmp_path / "out", tmp_path / "merged")
    )
    projections = [name for name in before if "_proj" in name]
    assert projections and all(torch.equal(before[name], after[name]) for name in projections)
    assert all(torch.equal(merged[name], after[name]) for name in before if "_proj" not in name)
    model = seedx.load(tmp_path / "out", adapter=tmp_path / "out" / "adapters" / "tune")
    model.merge_adapter("tune")
    again = dict(model.engine.model.seedx.language.named_parameters())
    for name in projections:
        torch.testing.assert_close(again[name], merged[name].float())
    with pytest.raises(SeedxError, match="lora = true"):
        export(make_run(), tmp_path / "out", keep_adapter=True)


def test_the_run_is_not_touched(make_run, tmp_path):
    run = make_run(ema_decay=0.9)
    (run / "checkpoints" / "step-00000009.part").mkdir()  # a save that is going on
    before = sorted(run.parent.parent.rglob("*"))
    export(run, tmp_path / "out")
    assert before == sorted(run.parent.parent.rglob("*"))


def test_mistakes_are_named(make_run, tmp_path, tiny_folder):
    run = make_run()
    with pytest.raises(SeedxError, match="no checkpoint of step 4; there are: steps 3, 6"):
        export(run, tmp_path / "out", step=4)
    with pytest.raises(SeedxError, match="holds training runs"):
        export(run, run.parent.parent)
    recipe = json.loads((run / "recipe.json").read_text())
    for other in ({"trained": ["language.*.layers.0.*"]}, {"lora": True, "trained": ["*lora_*"]}):
        (run / "recipe.json").write_text(json.dumps(recipe | other))
        with pytest.raises(SeedxError, match="has other parameters than this recipe trains"):
            export(run, tmp_path / "out")
    file = next((run / "checkpoints" / "step-00000006").glob("__0_*"))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(SeedxError, match="step-00000006 is broken"):
        export(run, tmp_path / "broken")


def test_files_of_a_part_are_not_mixed(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    for folder, names in (
        (source, ["language.safetensors", "detokenizer.safetensors", "config.json", "vae-00001.safetensors"]),
        (target, ["language-00001.safetensors", "language-00002.safetensors", "detokenizer-1.safetensors"]),
    ):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(folder.name)
    copy_missing(source, target)
    assert sorted(file.name for file in target.iterdir() if file.read_text() == "source") == [
        "config.json",
        "detokenizer.safetensors",
        "vae-00001.safetensors",
    ]
