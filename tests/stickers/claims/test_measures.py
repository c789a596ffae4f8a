"""The measurements of a variant, on a model with random weights."""

import pytest
import torch

from seedx.batch import collate
from seedx.data.pictures import decode
from seedx.messages import map_images
from seedx.prompt import prepare
from seedx_stickers.claims import contact_sheet, drawing, reading, redrawing
from seedx_stickers.claims.examples import examples, many_tiles
from seedx_stickers.claims.predicted_features import predicted_and_true, relative_errors, with_norms_of
from seedx_stickers.scenes import is_unseen


def test_examples_follow_from_the_seed_and_a_quarter_is_unseen():
    first, again, other = examples("draw", 1, 8), examples("draw", 1, 8), examples("draw", 2, 8)
    scenes = [[item.example.scenes for item in items] for items in (first, again, other)]
    assert scenes[0] == scenes[1] != scenes[2]
    assert [any(map(is_unseen, item.example.scenes)) for item in first] == 2 * [True, False, False, False]
    assert all(map(many_tiles, examples("box", 1, 4, many_tiles)))
    assert examples("scene", 1, 2)[0].pictures[0].width == 96


def test_the_error_is_that_of_training(tiny):
    items = examples("draw", 1, 3)
    predicted, true = predicted_and_true(tiny.model, items)
    model = tiny.model
    rows = [prepare(map_images(item.example.messages, decode), model.tokenizer, model.config) for item in items]
    with torch.no_grad():
        losses = model.seedx(collate(rows, model.tokenizer.specials.pad))
    assert float((predicted - true).square().sum()) == pytest.approx(float(losses.sums["image"]), rel=1e-4)


def test_errors_are_relative_to_the_mean_picture():
    wanted = torch.randn(5, 4, 8)
    mean = wanted.mean(dim=0).expand(5, -1, -1)
    assert sum(relative_errors(mean, wanted)) / 5 == pytest.approx(1, rel=1e-5)
    assert relative_errors(wanted, wanted) == [0] * 5
    rescaled = with_norms_of(3 * wanted[:1], wanted[:1])
    assert torch.allclose(rescaled, wanted[:1], atol=1e-5)


def test_reading_is_scored_by_kind_and_type(tiny):
    measured = reading.questions(tiny, 1, 2, kind="panorama")
    assert len(measured.scores["panorama"]) == 2 and any(name.startswith("panorama.") for name in measured.scores)
    assert measured.samples[0].input.width == 4 * measured.samples[0].input.height
    assert len(reading.boxes(tiny, 1, 2, tiled=True).scores["boxes"]) == 2


def test_drawings_are_judged_as_they_are_and_rescaled(tiny):
    measured = drawing.drawings(tiny, 1, 2, rescaled=True)
    assert {"all_objects", "rescaled.all_objects"} <= measured.scores.keys()
    assert measured.samples[0].output.size == (96, 96)
    variety = drawing.variety(tiny, 1, 2).scores
    assert min(variety["between seeds"]) > 0 and len(variety["true pictures"]) == 2


def test_redrawing_by_features_condition_and_autoencoder_differ(tiny):
    ways = {by: redrawing.reconstructions(tiny, 1, 1, by=by) for by in ("features", "condition", "autoencoder")}
    assert len({measured.scores["psnr"][0] for measured in ways.values()}) == 3
    edited = {by: redrawing.edits(tiny, 1, 2, by=by).samples[0].output for by in ("features", "condition")}
    assert edited["features"].tobytes() != edited["condition"].tobytes()


def test_a_sheet_has_a_row_for_each_name_and_captions_below(tiny):
    shown = examples("scene", 1, 1)[0].pictures[0]
    plain, captioned = (
        contact_sheet.sheet([("right", [shown]), ("given", [shown])], [text]) for text in ("", "two words")
    )
    assert (
        plain.height == 2 * (contact_sheet.SIDE + contact_sheet.GAP) + contact_sheet.GAP
        and captioned.height > plain.height
    )
