"""The memory of the modes, computed without weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from seedx.checkpoint.native import read_config
from seedx.checkpoint.parts import modules, part_state
from seedx.checkpoint.placement import Placement
from seedx.config import TINY, Config
from seedx.inference import pipeline
from seedx.train.planning.inference import PROCESS, Activations, Usage, needs


@pytest.fixture(scope="module")
def config(tiny_folder: Path) -> Config:
    return read_config(tiny_folder)


@pytest.fixture(scope="module")
def activations(config: Config) -> Activations:
    return Activations(config)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_are_those_of_a_loaded_model(config: Config, tiny_folder: Path, dtype: str) -> None:
    where = Placement(dtype=dtype)  # type: ignore[arg-type]
    model = pipeline.load(tiny_folder, memory=where).model
    parts = modules(model.seedx, model.detokenizer)
    model.need(*parts)
    held = {part: sum(t.nbytes for t in part_state(part, module).values()) for part, module in parts.items()}
    assert Usage(config, where).weights == held


@pytest.mark.slow
def test_lines_hold_at_other_sizes(activations: Activations) -> None:
    """Between and beyond the two sizes that were run, the line gives what a run gives."""
    side = activations.config.vision.image_size
    alone = activations._peak("vision", 4, lambda n: (torch.empty(n, 3, side, side),), 7)
    assert activations.vision(7, 4) == pytest.approx(alone, rel=0.02)
    factor, channels = activations._detokenizer.vae.factor, activations._detokenizer.vae.channels
    alone = activations._peak("vae", 4, lambda s: (torch.empty(1, channels, s // factor, s // factor),), 192)
    assert activations.vae(192) == pytest.approx(alone, rel=0.02)


def test_a_convolution_is_counted_as_one_writes_it_down() -> None:
    """3 -> 8 channels at 10 x 10 in float32, then its activation: two results of 3,200 bytes at once."""
    from seedx.train.planning.meter import Meter

    meter = Meter(torch.nn.Module(), {})
    layer, x = torch.nn.Conv2d(3, 8, 1), torch.zeros(1, 3, 10, 10)
    with torch.no_grad(), meter:
        torch.relu(layer(x))
    assert meter.reading.peak == 2 * 8 * 10 * 10 * 4


@pytest.mark.slow
def test_choices_take_less(config: Config, activations: Activations) -> None:
    def draw(**choices: object) -> float:
        return Usage(config, Placement(**choices), activations, other_stage=True).reconstruct(96, pictures=4)  # type: ignore[arg-type]

    full = draw() - PROCESS["cpu"]
    detokenizer = Usage(config, Placement(), activations).weights["detokenizer"]
    vision = Usage(config, Placement(), activations).weights["vision"]
    one = draw(one_at_a_time=("vision", "detokenizer")) - PROCESS["cpu"]
    assert full - one == pytest.approx(detokenizer + vision)  # the other stage, and the visual tokenizer
    assert draw(images_at_once=1) < draw() and draw(branches_together=False) <= draw()


@pytest.mark.slow
def test_modes(config: Config) -> None:
    config = dataclasses.replace(config, detokenizer=TINY.detokenizer)  # whose pictures take more than a part's weights
    found = {need.memory: need for need in needs(config)}
    assert list(found) == ["full", "24gb", "12gb", "cpu"]
    assert found["12gb"].draw < found["24gb"].draw < found["full"].draw
    assert found["12gb"].ram > 0 == found["full"].ram
    assert all(need.largest > 0 for need in found.values())


def test_quantised_weights_count_their_scales(config: Config) -> None:
    language = config.language
    linear = language.layers * (4 * language.hidden_size**2 + 3 * language.hidden_size * language.intermediate_size)
    plain = Usage(config, Placement(dtype="bfloat16")).weights["language"]
    four = Usage(config, Placement(dtype="bfloat16", language="nf4")).weights["language"]
    assert plain - four == pytest.approx(linear * (2 - 0.5 - 1 / 64 - 4 / 64 / 256))
    assert dataclasses.replace(Placement(), language="nf4").quantised
