"""Curves, pictures and answers of a training run, as TensorBoard and Weights & Biases have them."""

from __future__ import annotations

import json
import re
import time

import PIL.Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seedx.train.engine.trackers import open_tracker
from seedx.train.recipe import Recipe


def test_tensorboard_has_curves_and_pictures(tmp_path):
    tracker = open_tracker(tmp_path, Recipe("tracked", "toy", tracker="tensorboard"), 0)
    tracker.numbers({"loss": 2.5, "validation/loss": 3.5}, 7)
    tracker.picture("samples", PIL.Image.new("RGB", (4, 4)), 7)
    tracker.answers("answers", [("Who?", "a cat")], 7)
    tracker.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("validation/loss")] == [(7, 3.5)]
    assert events.Images("samples")[0].width == 4
    text = events.Tensors("answers/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text == "**Who?**\n\na cat\n\n"


def test_weights_and_biases_offline_has_the_recipe_curves_pictures_and_answers(tmp_path, monkeypatch):
    """By its own package, without a network: its file holds protobuf records, in which names and values are plain."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    for step in (7, 8):  # the second time as a resumed run
        tracker = open_tracker(tmp_path, Recipe("tracked", "toy", tracker="wandb", global_batch_size=48), step)
        tracker.numbers({"loss": 2.5, "validation/loss": 3.5 + step}, step)
        tracker.picture("samples", PIL.Image.new("RGB", (4, 4)), step)
        tracker.answers("answers", [("Who?", "a cat")], step)
        tracker.close()
    files = sorted(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
    assert len({file.name for file in files}) == 1  # the same run again
    deadline, found = time.monotonic() + 30, set[bytes]()
    while not {b"10.5", b"11.5"} <= found and time.monotonic() < deadline:  # its service may write on after the end
        time.sleep(0.1)
        written = b"".join(file.read_bytes() for file in files)
        found = set(re.findall(rb"validation/loss.{0,4}?(\d+\.5)", written, re.DOTALL))
    assert {b"10.5", b"11.5"} <= found
    assert re.search(rb"global_batch_size.{0,4}?48", written, re.DOTALL)
    tables = list(tmp_path.glob("wandb/offline-run-*/files/media/table/answers_*.json"))
    assert json.loads(tables[0].read_text())["data"] == [["Who?", "a cat"]]
    pictures = [PIL.Image.open(file) for file in tmp_path.glob("wandb/offline-run-*/files/media/images/samples_*.png")]
    assert pictures and all(picture.size == (4, 4) for picture in pictures)
