"""The eight claims, and one claim from its training to the report."""

import dataclasses
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from seedx.checkpoint import native
from seedx.checkpoint.parts import build as build_model
from seedx.checkpoint.parts import modules, part_state
from seedx.config import TINY
from seedx.errors import SeedxError
from seedx.train.engine.trainable import apply
from seedx.train.recipe import load_recipe
from seedx.train.run import build
from seedx_stickers.claims import report, results, runner
from seedx_stickers.claims.__main__ import select
from seedx_stickers.claims.claim import Claim, Column, Comparison, Measured, Measurement, Sample, Training, Variant
from seedx_stickers.claims.deep_resampler import DeepResampler
from seedx_stickers.claims.definitions import CLAIMS, DEEP
from seedx_stickers.claims.drawing import regression
from seedx_stickers.claims.estimate import estimate, table
from seedx_stickers.claims.init_variant import init_variant, load_variant, with_settings
from seedx_stickers.claims.results import Result, Score
from seedx_stickers.claims.verdict import find, overall

RECIPES = Path(__file__).parents[3] / "recipes/claims"
RESAMPLER = ("bridge.output_resampler.*",)
PLAN = Claim(
    number=4,
    title="One layer or two",
    statement="One.",
    test="Both.",
    limitations="Nearly all.",
    variants=(
        Variant("one layer", (Training("regress"),), {}, RESAMPLER),
        Variant("two layers", (Training("regress", DEEP),), {}, RESAMPLER, output_layers=2),
    ),
    measurements=(Measurement(regression, 100),),
    columns=(Column("draw.error", "error", "{:.2f}", higher=False),),
    comparisons=(Comparison("draw.error", "one layer", "two layers"),),
)


@pytest.fixture
def workspace(tiny_folder, tmp_path):
    return runner.Workspace(tmp_path / "claims", RECIPES, tiny_folder, reduced=runner.Reduced(n=3))


@pytest.mark.slow
def test_a_claim_from_its_training_to_the_report(workspace, tmp_path):
    assert runner.run(PLAN, (1,), workspace)
    one = workspace.result(PLAN, PLAN.variants[0], 1)
    assert one.scores["draw.error"].count == 3 and one.scores["draw.error"].error > 0 and one.minutes > 0
    assert not list((workspace.root / "models").iterdir())  # models are removed once they are measured, logs are kept
    assert sorted(file.name.split("-")[1] for file in (workspace.root / "logs").iterdir()) == ["one", "two"]
    report.write((PLAN,), (1,), workspace, tmp_path / "docs/results/claims.md")
    text = (tmp_path / "docs/results/claims.md").read_text()
    assert f"| one layer | {one.scores['draw.error'].mean:.2f} |" in text and "| missing |" not in text
    assert "Its numbers mean nothing" in text  # it was reduced


def test_results_are_kept_until_the_experiment_changes(workspace, monkeypatch):
    made = []

    def measured(claim, variant, folder, seed, workspace):
        made.append((variant.name, seed))
        return Measured({"draw.error": [1.0, 2.0]})

    monkeypatch.setattr(runner, "measure", measured)
    monkeypatch.setattr(runner, "train", lambda *_, **__: True)
    assert runner.run(PLAN, (1, 2), workspace) and runner.run(PLAN, (1, 2), workspace)
    assert made == [("one layer", 1), ("two layers", 1), ("one layer", 2), ("two layers", 2)]
    longer = dataclasses.replace(PLAN, measurements=(Measurement(regression, 101),))
    assert workspace.result(longer, PLAN.variants[0], 1) is None
    assert dataclasses.replace(workspace, reduced=None).result(PLAN, PLAN.variants[0], 1) is None


def test_an_interrupted_run_has_no_result_and_is_resumed(workspace, monkeypatch):
    folders = []
    monkeypatch.setattr(runner, "train", lambda path, folder, *_, **__: folders.append(folder) is not None)
    assert not runner.run(PLAN, (1,), workspace) and not runner.run(PLAN, (1,), workspace)
    assert folders[0] == folders[1] and (folders[0] / "config.json").exists()
    assert workspace.result(PLAN, PLAN.variants[0], 1) is None


def test_missing_results_are_marked(workspace, tmp_path):
    file = results.path(workspace.root, PLAN, PLAN.variants[0], 1)
    results.write(file, workspace.key(PLAN, PLAN.variants[0]), Measured({"draw.error": [0.25]}), 3.0)
    report.write((PLAN,), (1, 2), workspace, tmp_path / "claims.md")
    text = (tmp_path / "claims.md").read_text()
    assert "| one layer (1 of 2 seeds) | 0.25 |" in text and "| two layers | missing |" in text
    assert "one layer against two layers: missing." in text
    assert text.count("Not run completely: no verdict.") == 2


def test_samples_are_in_the_report(workspace, tmp_path):
    drawn, read = Image.new("RGB", (96, 96), "red"), Image.new("RGB", (1024, 256), "blue")
    samples = [Sample("draw it", None, drawn, drawn), Sample("how many?", read, "3", "four")]
    for variant, sample in zip(PLAN.variants, samples, strict=True):
        file = results.path(workspace.root, PLAN, variant, 1)
        results.write(file, workspace.key(PLAN, variant), Measured({"draw.error": [0.25]}, [sample]), 3.0)
        again = results.read(file).samples[0]
        assert (again.prompt, again.output) == (sample.prompt, sample.output) or again.output.size == (96, 96)
    report.write((PLAN,), (1,), workspace, tmp_path / "claims.md")
    text = (tmp_path / "claims.md").read_text()
    assert "![samples of claim 4](images/claims/4.png)" in text
    assert "| ![](images/claims/4-0.png) | how many? | 3 | four |" in text
    assert Image.open(tmp_path / "images/claims/4-0.png").size == (256, 64)


def outcome(better, worse, error=0.01):
    """The finding for scores by seed; smaller is better."""
    pairs = zip(better, worse, strict=True)
    there = {
        (name, seed): Result("", {"draw.error": Score(mean, error, 100)}, 1.0)
        for seed, pair in enumerate(pairs)
        for name, mean in zip(("one layer", "two layers"), pair, strict=True)
        if mean is not None
    }
    return find(PLAN, PLAN.comparisons[0], there, range(len(better)))


@pytest.mark.parametrize(
    ("better", "worse", "outcome_", "sentence"),
    [
        ((0.20, 0.21), (0.30, 0.31), "holds", "Holds."),
        ((0.30, 0.31), (0.20, 0.21), "other way round", "Does not hold: it is the other way round."),
        ((0.30, 0.30), (0.31, 0.31), "not told apart", "Undecided: nothing can be told apart at this size."),
        ((0.20, 0.31), (0.40, 0.30), "not told apart", "Undecided: nothing can be told apart at this size."),
        ((0.20, 0.21), (0.30, None), "missing", "Not run completely: no verdict."),
    ],
)
def test_the_verdict_follows_from_seeds_and_errors(better, worse, outcome_, sentence):
    finding = outcome(better, worse)
    assert finding.outcome == outcome_ and overall([finding]) == sentence


def test_mixed_outcomes_are_counted():
    mixed = [outcome((0.2,), (0.3,)), outcome((0.3,), (0.2,)), outcome((0.2,), (0.3,))]
    assert overall(mixed) == "Mixed: of 3 comparisons 2 as claimed, 1 the other way round."
    assert mixed[0].difference == pytest.approx(0.1) and mixed[0].error == pytest.approx(0.01 * 2**0.5)


def test_a_variant_is_the_base_model_except_for_what_is_reinitialised(tiny_folder, tmp_path):
    variant = Variant("some", (), {"bridge.tile_positions": False}, (*RESAMPLER, "bridge.tile_positions"), True)
    for seed in (1, 1, 2):
        init_variant(variant, seed, tiny_folder, tmp_path / str(seed))
    before, one, two = (load_file(f / "bridge.safetensors") for f in (tiny_folder, tmp_path / "1", tmp_path / "2"))
    assert (
        before.keys() - one.keys() == {"tile_positions"}
        and not native.read_config(tmp_path / "1").bridge.tile_positions
    )
    same = {name for name in one if torch.equal(before[name], one[name])}
    assert "input_resampler.query" in same and "output_resampler.query" not in same
    assert not torch.equal(one["output_resampler.query"], two["output_resampler.query"])
    old, new = (native.load(folder) for folder in (tiny_folder, tmp_path / "1"))
    rows = [model.seedx.language.llm.model.embed_tokens.weight for model in (old, new)]
    changed_rows = (rows[0] != rows[1]).any(dim=1).nonzero()[:, 0].tolist()
    assert changed_rows == sorted(new.tokenizer.specials.placeholders)


def test_a_deep_resampler_is_stored_loaded_and_trained(tiny_folder, tmp_path):
    init_variant(PLAN.variants[1], 1, tiny_folder, tmp_path)
    stored = load_file(tmp_path / "bridge.safetensors")
    loaded = load_variant(tmp_path).model.seedx.output_resampler
    assert isinstance(loaded, DeepResampler) and len(loaded.further) == 1
    assert torch.equal(loaded.further[0].up.weight, stored["output_resampler.further.0.up.weight"])
    states = torch.randn(2, 16, native.read_config(tmp_path).language.hidden_size)
    assert loaded(states).shape == (2, len(loaded.query), loaded.query.shape[1])
    stage = build(load_recipe(RECIPES / "regress.toml", **DEEP), tmp_path)
    assert torch.equal(stage.model.output_resampler.query, loaded.query)
    with pytest.raises(SeedxError, match="further"):
        native.load(tmp_path)  # the library has no deep resampler


def test_a_variant_with_one_layer_is_loaded_as_the_library_loads_it(tiny_folder):
    one, other = load_variant(tiny_folder).model, native.load(tiny_folder)
    assert one.config == other.config and type(one.seedx.output_resampler) is type(other.seedx.output_resampler)
    for module, same in ((one.seedx, other.seedx), (one.detokenizer, other.detokenizer)):
        theirs = same.state_dict()
        assert all(torch.equal(tensor, theirs[name]) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (Variant("x", config={"bridge.querys": 4}), "no setting 'bridge.querys'; did you mean 'queries'"),
        (Variant("x", output_layers=2), "output_resampler.further"),
        (Variant("x", reinitialised=("bridge.nothing.*",)), "no weight .* 'bridge.nothing.\\*'"),
    ],
)
def test_mistakes_in_a_variant_are_explained(tiny_folder, tmp_path, variant, message):
    with pytest.raises(ValueError, match=message):
        init_variant(variant, 0, tiny_folder, tmp_path / "model")


def test_every_claim_is_consistent():
    assert [claim.number for claim in CLAIMS] == list(range(1, 9)) and select((3,)) == CLAIMS[2:3]
    for claim in CLAIMS:
        names = [variant.name for variant in claim.variants]
        assert len(set(map(results.slug, names))) == len(names)
        for comparison in claim.comparisons:
            assert {comparison.better, comparison.worse} <= set(names) and claim.column(comparison.score)
    with pytest.raises(ValueError, match="no claim 9"):
        select((9,))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.title)
def test_every_variant_fits_the_bundled_sizes(claim):
    for variant in claim.variants:
        config = with_settings(TINY, variant.config)
        seedx, detokenizer = build_model(config)
        parts = modules(seedx, detokenizer)
        names = [f"{part}.{name}" for part, module in parts.items() for name in part_state(part, module)]
        gone = {"bridge.tile_positions"} if not config.bridge.tile_positions else set()
        assert all(
            any(fnmatchcase(name, pattern) for name in names) or pattern in gone for pattern in variant.reinitialised
        )
        for training in variant.trainings:
            recipe = load_recipe(RECIPES / f"{training.recipe}.toml", **training.changes)
            model = detokenizer if recipe.stage.startswith("condition") else seedx
            assert apply(model, recipe.trained or ["*"])


@pytest.mark.slow
def test_the_time_of_a_claim_is_estimated_from_a_few_steps(workspace):
    short = dataclasses.replace(PLAN, variants=PLAN.variants[:1])
    minutes = estimate(short, workspace)
    assert minutes.training > 0 and minutes.measuring > 0 and minutes.encoding == 0
    assert minutes.total(2) == pytest.approx(2 * (minutes.training + minutes.measuring))
    assert not workspace.root.exists()
    assert "all" in table((), workspace, 2)
