"""Every stage of the tiny model from its own recipe, cut to a step or two of a model with one layer."""

import dataclasses
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import seedx
from seedx import plugins
from seedx.checkpoint import native
from seedx.cli import main
from seedx.config import PRESETS, TINY
from seedx.errors import SeedxError
from seedx.model.vision import pool_features
from seedx.tiling import normalise, tile_image
from seedx.train.export import export
from seedx.train.recipe import load_recipe
from seedx.train.run import STAGES, build, dry_run, run
from seedx.train.sample_prompts import SamplePrompt
from seedx.train.stages.language_samples import predict_features
from seedx_stickers import tasks
from seedx_stickers.scenes import Scene, Sticker, render
from seedx_stickers.signs import LETTERS, Sign
from seedx_stickers.training import own_drawings, source, vision_tiles
from seedx_stickers.training.bundle import bundle
from seedx_stickers.training.chain import ordered
from seedx_stickers.training.pixels import as_tile
from seedx_stickers.training.scene_samples import asked
from seedx_stickers.training.vision_tiles import INDEX, PARTS, page, sample_tile, tile_label
from small import narrow as narrow_networks

RECIPES = sorted((Path(__file__).parents[2] / "recipes/tiny").glob("*.toml"))
SMALL = {"steps": 2, "warmup_steps": 1, "global_batch_size": 2, "streams": 2}


@pytest.fixture
def small(monkeypatch):
    config = dataclasses.replace(
        TINY,
        vision=dataclasses.replace(TINY.vision, layers=1),
        language=dataclasses.replace(TINY.language, layers=1),
        detokenizer=dataclasses.replace(TINY.detokenizer, depth=1, steps=1),
    )
    monkeypatch.setitem(PRESETS, "tiny", config)


@pytest.fixture
def narrow(small, monkeypatch):
    """All parts of the tiny model, each of them narrow and with one block: what a step takes is then little."""
    config = PRESETS["tiny"]
    detokenizer = dataclasses.replace(
        narrow_networks(config.detokenizer), dim=64, head_dim=16, heads=4, context_dims=(24, 40)
    )
    vision = dataclasses.replace(config.vision, width=64, output_dim=64)
    language = dataclasses.replace(config.language, hidden_size=64, intermediate_size=128, heads=4)
    monkeypatch.setitem(
        PRESETS, "tiny", dataclasses.replace(config, vision=vision, language=language, detokenizer=detokenizer)
    )


@pytest.mark.slow
def test_the_stages_in_order_make_a_model(narrow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(source, "corpus", lambda: tasks.texts(200, seed=1))  # the recipe has a hundred times as many
    own_drawings.main(out=Path("runs/own-drawings/1"), n=2)
    monkeypatch.setattr("seedx.train.run.shutdown", lambda world: None)  # collects the garbage of other tests
    once = SMALL | {"steps": 1, "sample_every": 1}
    for path in RECIPES:
        recipe = load_recipe(path)
        if path.name > "08":  # FLOPs of every kind of stage have been counted
            monkeypatch.setattr("seedx.train.engine.loop.count_flops", lambda run: 1)
        few = {"options.scenes": 4, "options.edits": 4} if recipe.stage.endswith("-scenes") else {}
        assert run(path, tmp_path, **once, **few)
        assert (tmp_path / "runs" / recipe.name / "log.jsonl").read_text()
        if recipe.stage != "language":  # whose few rows may have nothing to draw
            drawn = recipe.stage in ("vae", "detokenizer-scenes", "condition-scenes")
            assert (tmp_path / "runs" / recipe.name / "samples/00000001.png").exists() == drawn
    bundle(tmp_path, tmp_path / "model")
    assert native.load(tmp_path / "model").config.language == PRESETS["tiny"].language


@pytest.mark.slow
def test_the_chain_of_the_next_model_makes_a_model(narrow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PRESETS, "tiny2", dataclasses.replace(PRESETS["tiny"], variant="folded"))
    monkeypatch.setattr(source, "grammar_corpus", lambda: tasks.texts(200, seed=1))
    monkeypatch.setattr("seedx.train.run.shutdown", lambda world: None)
    monkeypatch.setattr("seedx.train.engine.loop.count_flops", lambda run: 1)
    twice = SMALL | {"compile": False}
    scenes = {"options.scenes": 4, "options.edits": 4}
    few = {
        "vision": {"options.looks": 0.0},  # other looks need the art of `make art`
        "detokenizer-scenes": scenes,
        "condition-scenes": scenes,
    }
    for path in ordered(RECIPES[0].parents[1] / "tiny2").values():
        assert run(path, tmp_path, **twice, **few.get(load_recipe(path).stage, {}))
    bundle(tmp_path, tmp_path / "model", "tiny2")
    assert native.load(tmp_path / "model").config.variant == "folded"


def recipe_of(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return path


LANGUAGE = """
name = "mine"
stage = "language"
lr = 1e-2
bf16 = false
max_seq_len = 200

[[data]]
source = "stickers:draw"
"""


PREDICTED = """
name = "predicted"
stage = "condition-scenes"

[options]
scenes = 12
edits = 4
predicted_feature_ratio = 0.5
"""


def test_features_are_predicted_for_the_pictures_that_text_asks_for(tiny_folder, tmp_path):
    recipe = load_recipe(recipe_of(tmp_path, PREDICTED), init_from=str(tiny_folder), global_batch_size=2)
    stage = build(recipe, tmp_path)
    scenes = stage.predicted_scenes
    wanted = [asked(random.Random(f"scenes/{i}")) is not None for i in range(12)]
    assert [not torch.equal(a, b) for a, b in zip(scenes, stage.scenes.features, strict=True)] == wanted
    assert set(wanted) == {True, False}
    assert not any(torch.equal(a, b) for a, b in zip(stage.predicted_targets, stage.targets.features, strict=True))
    again = build(recipe, tmp_path)  # from the files
    assert torch.equal(again.predicted_targets, stage.predicted_targets)
    assert torch.isfinite(stage.losses(stage.batch(0))["drawing"])
    with pytest.raises(ValueError, match="of the stage condition-scenes"):
        build(load_recipe(recipe_of(tmp_path, PREDICTED.replace('"condition-', '"detokenizer-'))), tmp_path)


def test_adapters_on_a_whole_model_give_a_whole_model(tiny_folder, tmp_path):
    path = recipe_of(tmp_path, LANGUAGE)
    assert run(path, tmp_path / "mine", **SMALL, init_from=str(tiny_folder), lora=True)
    before, after = native.load(tiny_folder), native.load(tmp_path / "mine")
    assert after.config == before.config
    same = {n for n, t in after.seedx.state_dict().items() if torch.equal(t, before.seedx.state_dict()[n])}
    assert "vision.proj" in same and "language.llm.model.layers.0.mlp.up_proj.weight" not in same


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["language", "condition"])
def test_an_adapter_is_trained_alone(tiny_folder, tmp_path, stage):
    """It changes the model that it was trained on, which stays as it is, also from a checkpoint of the run."""
    path = recipe_of(tmp_path, LANGUAGE if stage == "language" else PICTURES)
    name = "mine" if stage == "language" else "pictures"
    assert run(path, tmp_path / "out", **SMALL, init_from=str(tiny_folder), adapter=2)
    folder = tmp_path / "out" / "adapters" / name
    assert sorted(file.name for file in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert not (tmp_path / "out" / "config.json").exists()  # the folder is no model
    tensors = load_file(folder / "adapter_model.safetensors")
    assert all(2 in tensor.shape for tensor in tensors.values())
    assert all(tensor.any() for key, tensor in tensors.items() if "lora_B" in key and "attn2" not in key)
    model = seedx.load(tiny_folder, adapter=folder)
    assert model.adapters == (name,)
    export(tmp_path / "out" / "runs" / name, tmp_path / "exported")
    again = load_file(tmp_path / "exported" / "adapter_model.safetensors")
    assert all(torch.equal(again[key], tensor) for key, tensor in tensors.items())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    with pytest.raises(ValueError, match="is not empty and holds no adapter"):
        export(tmp_path / "out" / "runs" / name, tmp_path / "full")


def test_what_trains_no_adapter_says_so(tmp_path):
    with pytest.raises(ValueError, match="give one of the two"):
        load_recipe(recipe_of(tmp_path, LANGUAGE), lora=True, adapter=4)
    with pytest.raises(ValueError, match="'vae' trains no adapters"):
        build(load_recipe(RECIPES[2], adapter=4), tmp_path)


def test_the_language_stage_shows_what_it_draws(tiny_folder, tmp_path):
    settings = {**SMALL, "max_seq_len": 60, "sample_every": 2, "init_from": str(tiny_folder)}
    path = recipe_of(tmp_path, LANGUAGE)
    prompts = [{"text": "What is this?", "images": ["examples/meadow.png"]}, {"text": "Draw a dog."}]
    assert run(path, tmp_path / "out", **settings, prompts=prompts)
    sheet = Image.open(tmp_path / "out/runs/mine/samples/00000002.png")
    stage = build(load_recipe(path, **settings), tmp_path)
    assert stage.sample(0) == []  # before there was a row
    batch = next(stage.batches(0, None, 0, 1)).micro[0]
    shown = len(batch.targets)
    assert 1 <= shown <= 4 and sheet.size == (2 * shown * 96, 96)
    wanted = torch.from_numpy(np.array(sheet.crop((0, 0, 96, 96)))).permute(2, 0, 1)
    assert torch.equal(wanted, batch.targets[0])
    features = pool_features(stage.model.vision(batch.targets), stage.config.vision.pool)
    errors = (predict_features(stage.model, stage.shown) - features).square().sum()
    assert float(errors) == pytest.approx(float(stage.losses(batch)["image"].detach()), rel=1e-4)
    replies_are_those_of_the_trained_model(tmp_path / "out")
    bare = tmp_path / "bare"
    shutil.copytree(tiny_folder, bare, ignore=shutil.ignore_patterns("detokenizer*"))
    other = build(load_recipe(path, **settings | {"init_from": str(bare)}), tmp_path)
    next(other.batches(0, None, 0, 1))
    assert other.shown is not None and other.sample(0) == []  # nobody is there to draw
    assert not other.replies([SamplePrompt("Draw a dog.")])[0].images


def replies_are_those_of_the_trained_model(folder):
    """The last samples of a run without a moving average were made with the weights that it wrote."""
    samples, model = folder / "runs/mine/samples", seedx.load(folder)
    replies = [
        model.chat("What is this?", images=["examples/meadow.png"], max_new_tokens=200),
        model.chat("Draw a dog.", max_new_tokens=200),
    ]
    pictures = [image for reply in replies for image in reply.images]
    shown = (samples / "00000002.md").read_text()
    assert shown.startswith("**[examples/meadow.png] What is this?**\n\n") and "**Draw a dog.**" in shown
    assert pictures and len(pictures) == shown.count("[00000002-")
    assert all(reply.text in shown for reply in replies)
    for number, image in enumerate(pictures, start=1):
        kept = np.array(Image.open(samples / f"00000002-{number}.png")).astype(int)
        assert np.abs(kept - np.array(image)).max() <= 2  # decoded together, or one by one


def test_features_from_a_cache_give_the_same_losses(tiny_folder, tmp_path):
    path = recipe_of(tmp_path, LANGUAGE)
    losses = []
    for options in ({}, {"feature_cache": str(tmp_path / "cache")}, {"feature_cache": str(tmp_path / "cache")}):
        stage = build(load_recipe(path, **SMALL, init_from=str(tiny_folder), options=options), tmp_path)
        step = next(stage.batches(0, None, 0, 1))
        losses.append(float(stage.losses(step.micro[0])["image"].detach()))
    assert stage.cache.hits and not stage.cache.misses
    assert losses[1] == losses[2] == pytest.approx(losses[0], rel=1e-3)


def test_the_rows_of_a_step_are_the_same_for_any_number_of_ranks(tiny_folder, tmp_path):
    recipe = load_recipe(
        recipe_of(tmp_path, LANGUAGE), steps=2, global_batch_size=4, streams=4, init_from=str(tiny_folder)
    )
    stage = build(recipe, tmp_path)

    def keys(ranks, start, state):
        steps = [next(stage.batches(start, state, rank, ranks)) for rank in range(ranks)]
        own = [[row for batch in step.micro for row in batch.input_ids] for step in steps]
        return [row.tolist() for rows in zip(*own, strict=True) for row in rows], [step.state for step in steps]

    alone, state = keys(1, 0, None)
    together, states = keys(2, 0, None)
    assert alone == together and stage.merge_states(states) == state[0]
    assert keys(2, 1, state[0])[0] == keys(1, 1, stage.merge_states(states))[0]


PICTURES = """
name = "pictures"
stage = "condition"
bf16 = false

[[data]]
source = "stickers:edit"

[[data]]
source = "stickers:draw"
"""


@pytest.mark.slow
def test_the_detokenizer_learns_from_pictures_of_any_data(tiny_folder, tmp_path):
    path = recipe_of(tmp_path, PICTURES)
    assert run(path, tmp_path / "out", **SMALL | {"global_batch_size": 4}, init_from=str(tiny_folder), sample_every=2)
    before, after = (load_file(folder / "detokenizer.safetensors") for folder in (tiny_folder, tmp_path / "out"))
    assert before.keys() == after.keys() and any(not torch.equal(before[n], after[n]) for n in before)
    stage = build(load_recipe(path, **SMALL | {"global_batch_size": 4}, init_from=str(tiny_folder)), tmp_path)
    whole = next(stage.batches(0, None, 0, 1)).micro[0]
    assert set(whole.conditioned.tolist()) == {True, False}  # edits have a source, drawings have none
    assert not stage.encoded(whole).condition[~whole.conditioned].any()
    halves = build(
        load_recipe(path, **SMALL | {"global_batch_size": 4}, micro_batch_size=2, init_from=str(tiny_folder)), tmp_path
    )
    apart = sum(float(halves.losses(batch)["drawing"].detach()) for batch in next(halves.batches(0, None, 0, 1)).micro)
    assert apart == pytest.approx(float(stage.losses(whole)["drawing"].detach()), rel=1e-4)


@pytest.mark.slow
def test_a_changed_recipe_has_to_be_accepted(tiny_folder, tmp_path, capsys):
    path = recipe_of(tmp_path, LANGUAGE)
    command = ["train", str(path), "--folder", str(tmp_path / "out"), "--set"]
    command += [*(f"{name}={value}" for name, value in SMALL.items()), f"init_from={tiny_folder}"]
    assert main(command) == 0
    assert json.loads((tmp_path / "out/runs/mine/recipe.json").read_text())["lr"] == 1e-2
    assert main([*command, "workers=1"]) == 0  # changes nothing that is learnt
    capsys.readouterr()
    assert main([*command, "lr=0.5", "steps=3"]) == 2
    assert "lr: 0.01 -> 0.5" in (told := capsys.readouterr().err) and "--accept-changes" in told
    assert main([*command, "lr=0.5", "steps=3", "--accept-changes"]) == 0
    assert json.loads((tmp_path / "out/runs/mine/recipe.json").read_text())["lr"] == 0.5


def test_a_look_tells_what_would_be_trained_on_what(tiny_folder, tmp_path):
    text = dry_run(recipe_of(tmp_path, LANGUAGE), tmp_path, init_from=str(tiny_folder), **SMALL)
    assert "output_resampler.query" in text and "100.0%  stickers:draw" in text
    assert "nine in ten" in text and "of it used" in text
    assert not (tmp_path / "runs").exists()


def test_every_recipe_names_a_stage():
    known = {*STAGES, *plugins.names("seedx.stages")}
    assert {load_recipe(path).stage for path in RECIPES} <= known


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stage": "visio"}, "no stage 'visio'; did you mean 'vision'"),
        ({"config": "huge"}, "config must be the name of a preset, not 'huge'; known: "),
        ({"options": {"nois": 1}}, "'options.nois'; did you mean 'options.noise'"),
        ({"losses": {"al.names": 1}}, "unknown loss 'al.names'; did you mean 'all.names'"),
        ({"init_from": "run:none"}, "has no whole.safetensors to start from"),
    ],
)
def test_mistakes_in_a_recipe_are_explained(small, tmp_path, changed, message):
    with pytest.raises(ValueError, match=message):
        run(RECIPES[0], tmp_path, **changed)


def test_a_rank_makes_its_own_rows_of_a_vision_batch_alone(small, tmp_path):
    stage = build(load_recipe(RECIPES[0], global_batch_size=4), tmp_path)
    (whole,), (half,) = (next(stage.batches(3, None, ranks - 1, ranks)).micro for ranks in (1, 2))
    for name, value in vars(whole).items():
        assert torch.equal(getattr(half, name), value[2:]), name


def test_a_vision_run_goes_on_from_one_that_has_ended(small, tmp_path):
    first = build(load_recipe(RECIPES[0]), tmp_path)
    once = {name: tensor.clone() for name, tensor in first.model.state_dict().items()}
    first.save(first.model, tmp_path)  # which scales the features of what it hands over
    second = build(load_recipe(RECIPES[0], seed=5, init_from="run:vision"), tmp_path)
    again = second.model.state_dict()
    assert all(torch.equal(once[name], again[name]) for name in once)
    with pytest.raises(ValueError, match="train its recipe to the end"):
        build(load_recipe(RECIPES[0], init_from="run:none"), tmp_path)


def test_a_letter_is_labelled_where_it_is_printed():
    scene = Scene(96, 96, "blue", (), (Sign("AB7", 0.5, 0.5, 0.3),))
    letters = tile_label(scene, (0, 0, 1, 1)).letters
    line = [LETTERS[i - 1] for i in letters[PARTS // 2] if i]
    assert "".join(dict.fromkeys(line)) == "AB7" and (letters[0] == 0).all()


def test_a_tile_is_labelled_by_what_is_under_its_parts():
    scene = Scene(192, 96, "blue", (Sticker("red heart", 0.75, 0.5, 0.6),))
    image, names, corners, _, drawn = tile_label(scene, (0.5, 0, 1, 1))
    assert image.shape == (96, 96, 3) and names.shape == (PARTS, PARTS) and not drawn
    assert names[PARTS // 2, PARTS // 2] == INDEX["red heart"]
    assert names[0, 0] == INDEX["blue"] and (corners[0, 0] == [0, 0, 1, 1]).all()
    x0, y0, x1, y1 = corners[PARTS // 2, PARTS // 2]  # of the tile, not of the scene
    assert abs((x0 + x1) / 2 - 0.5) < 0.02 and abs((y0 + y1) / 2 - 0.5) < 0.02 and 0.5 < x1 - x0 < 0.62
    assert (tile_label(scene, (0, 0, 0.5, 1)).names == INDEX["blue"]).all()


def test_tiles_are_those_that_the_model_cuts(monkeypatch):
    """Every tile of a picture is met, at its own size: one of 200 x 280 is cut into six, and seen whole."""
    scene = Scene(200, 280, "blue", (Sticker("red heart", 0.3, 0.3, 0.5),))
    monkeypatch.setattr(vision_tiles, "sample", lambda rng, size: scene)
    monkeypatch.setattr(vision_tiles, "panorama_scene", lambda rng: scene)
    rng = random.Random(3)
    met = [sample_tile(rng, 0.0) for _ in range(80)]
    cut = tile_image(render(scene), TINY.tiling).pixels
    for pixels, drawn in zip(cut, [False] * 6 + [True], strict=True):
        same = [tile for tile in met if _difference(tile.pixels, pixels) < 0.02]  # but for how a border is shrunk
        assert same and all(tile.drawn == drawn for tile in same)


def _difference(pixels, tile):
    return float((normalise(torch.from_numpy(pixels.copy()).permute(2, 0, 1)) - tile).abs().mean())


def test_pages_of_letters_are_of_one_tile_and_of_more():
    pages = [page(random.Random(seed)) for seed in range(12)]
    assert {(one.width, one.height) == (96, 96) for one in pages} == {True, False}
    assert all(one.signs for one in pages)


def test_a_large_scene_is_drawn_no_larger_than_its_tiles(monkeypatch):
    sizes = []
    scene = Scene(1024, 512, "blue", ())
    monkeypatch.setattr(vision_tiles, "sample", lambda rng, size: scene)
    monkeypatch.setattr(Scene, "render", lambda one: sizes.append((one.width, one.height)) or render(one))
    for seed in range(12):
        sample_tile(random.Random(seed), 0.0)
    assert set(sizes) == {(1024, 512), (384, 192)}  # whole, and for 4 x 2 tiles of 96


def test_a_vision_run_can_leave_what_is_drawn_where_it_is(small, tmp_path):
    first = build(load_recipe(RECIPES[0]), tmp_path)
    first.save(first.model, tmp_path)
    recipe = load_recipe(RECIPES[0], init_from="", global_batch_size=16, options={"hold": True, "signs": 0.3})
    second = build(recipe, tmp_path)
    batch = second.batch(0)
    assert 0 < batch.drawn.sum() < 16
    held = second.losses(batch)["pooled.held"]
    assert held < 1e-6  # a sum of squares: fewer rows may round otherwise
    assert second.counts(batch)["pooled.held"] == batch.drawn.sum() * 16 * 256
    assert "pooled.held" in second.weights and "pooled.held" not in first.weights
    with torch.no_grad():
        second.model.vision.proj.mul_(1.5)
    moved = second.losses(batch)["pooled.held"] / second.counts(batch)["pooled.held"]
    was = pool_features(second.before(as_tile(batch.pixels[batch.drawn].float() / 127.5 - 1)), TINY.vision.pool)
    assert torch.isclose(moved, 0.25 * was.square().mean(), rtol=1e-3)
    second.save(second.model, tmp_path / "out")  # as it is: not brought to a unit deviation
    stored = load_file(tmp_path / "out/vision.safetensors")
    assert torch.equal(stored["proj"], second.model.vision.proj)


def test_tiles_are_the_same_for_the_same_seed():
    first, second = (sample_tile(random.Random(5), 0.2) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_variant_with_plans_needs_a_tokenizer_with_plans(tiny_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    native.write_config(dataclasses.replace(native.read_config(folder), variant="folded"), folder)
    recipe = recipe_of(tmp_path, 'name = "more"\nstage = "language"\n[[data]]\nsource = "stickers:draw"\nweight = 1.0')
    with pytest.raises(SeedxError, match="a tokenizer without plans"):
        run(recipe, folder)
