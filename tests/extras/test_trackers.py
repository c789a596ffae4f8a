"""Curves and pictures of a training run, as TensorBoard reads them."""

from __future__ import annotations

import PIL.Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seedx.train.engine.trackers import open_tracker
from seedx.train.recipe import Recipe


def test_tensorboard_has_curves_and_pictures(tmp_path):
    tracker = open_tracker(tmp_path, Recipe("tracked", "toy", tracker="tensorboard"), 0)
    tracker.numbers({"loss": 2.5, "validation/loss": 3.5}, 7)
    tracker.picture("samples", PIL.Image.new("RGB", (4, 4)), 7)
    tracker.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("validation/loss")] == [(7, 3.5)]
    assert events.Images("samples")[0].width == 4
