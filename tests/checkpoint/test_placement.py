"""Memory modes: what is in memory when, and that a mode changes nothing but memory."""

from __future__ import annotations

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from seedx.checkpoint import weights
from seedx.checkpoint.placement import MODES, Placement, placement
from seedx.errors import SeedxError
from seedx.inference import pipeline
from seedx.inference.pipeline import Pipeline

PICTURE = PIL.Image.radial_gradient("L").resize((200, 96)).convert("RGB")
PLAIN = placement("cpu", dtype="float32")
CPU = dataclasses.replace(PLAIN, language="plain", vae_tile=None)  # what of the mode needs no other package


def resident(folder: Path, part: str) -> int:
    """Bytes of a part's files that this process has mapped and read, by the kernel's count."""
    files, total, inside = {str(file.resolve()) for file in weights.find(folder, part)}, 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = line.split(maxsplit=5)[-1] in files
        elif inside and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total


@pytest.fixture
def own_folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """Files that no other test has mapped."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def loaded(model: Pipeline) -> list[str]:
    return list(model.model.parts.loaded)  # type: ignore[union-attr]


def test_a_verb_loads_what_it_needs(own_folder: Path) -> None:
    model = pipeline.load(own_folder)
    assert loaded(model) == []
    before = {part: resident(own_folder, part) for part in ("language", "detokenizer", "vision")}
    model.reconstruct(PICTURE)
    assert sorted(loaded(model)) == ["detokenizer", "vae", "vision"]
    read = {part: resident(own_folder, part) for part in before}
    size = sum(file.stat().st_size for file in weights.find(own_folder, "language"))
    assert read["language"] - before["language"] < size / 10  # the kernel reads pages around a header
    assert read["detokenizer"] - before["detokenizer"] > size / 10  # and it would have been seen

    model = pipeline.load(own_folder)
    model.chat("what is on the left?", drawing="forbid", max_new_tokens=2)
    assert sorted(loaded(model)) == ["bridge", "language"]
    model.chat("what is on the left?", [PICTURE], drawing="forbid", max_new_tokens=2)
    assert sorted(loaded(model)) == ["bridge", "language", "vision"]


def test_on_the_cpu_two_large_parts_are_not_in_memory_together(own_folder: Path) -> None:
    model = pipeline.load(own_folder, memory=CPU)
    model.chat("what is this?", [PICTURE], drawing="forbid", max_new_tokens=2)
    assert "vision" in loaded(model)
    model.draw("a cat", max_new_tokens=20)
    assert "detokenizer" in loaded(model) and "vision" not in loaded(model)
    # In the precision stored, the loaded tensors are the file's own pages: what has left is no longer counted.
    assert resident(own_folder, "vision") < 0.2 * sum(f.stat().st_size for f in weights.find(own_folder, "vision"))
    model.reconstruct(PICTURE, PICTURE)
    model.chat("what is this?", [PICTURE], drawing="forbid", max_new_tokens=2)
    assert "vision" in loaded(model) and "detokenizer" not in loaded(model)


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"one_at_a_time": ("vision", "detokenizer")},
        {"images_at_once": 1, "vae_slicing": True},
        {"branches_together": False},
        {"offload": ("vision", "detokenizer")},
    ],
    ids=str,
)
def test_choices_change_nothing_but_memory(tiny: Pipeline, tiny_folder: Path, choices: dict[str, object]) -> None:
    model = pipeline.load(tiny_folder, memory=Placement(**choices))  # type: ignore[arg-type]
    question = ("what is on the left?", [PICTURE])
    options = {"drawing": "forbid", "max_new_tokens": 8}
    assert model.chat(*question, **options).text == tiny.chat(*question, **options).text  # type: ignore[arg-type]
    for mine, full in zip(drawings(model), drawings(tiny), strict=True):
        assert np.abs(np.asarray(mine, float) - np.asarray(full, float)).max() <= 1  # of 255: rounding


def drawings(model: Pipeline) -> list[PIL.Image.Image]:
    """Two pictures of one size, and two that keep to a condition, which guidance draws by three branches."""
    free = model.draw_batch(["a cat", "a dog"], seeds=[1, 2], max_new_tokens=20)
    return free + model.reconstruct_batch([PICTURE] * 2, [PICTURE] * 2, seeds=[3, 4])


def test_branches_in_turn_are_those_of_one_batch(tiny: Pipeline, tiny_folder: Path) -> None:
    """Before anything is rounded to pixels."""
    features = tiny.engine.image_decoder.encode([PICTURE])[0]
    from seedx.inference.image_decoder import ImageRequest

    latents = []
    for choice in (True, False):
        model = pipeline.load(tiny_folder, memory=Placement(branches_together=choice))
        drawing = model.engine.image_decoder.begin([ImageRequest(features, condition=PICTURE)])
        drawing.step()
        latents.append(drawing.latents)
    torch.testing.assert_close(*latents, rtol=1e-4, atol=1e-5)


def test_a_part_that_is_not_there(own_folder: Path) -> None:
    for file in weights.find(own_folder, "language"):
        file.unlink()
    model = pipeline.load(own_folder)
    assert model.reconstruct(PICTURE).size == (96, 96)
    with pytest.raises(SeedxError, match=r"holds no language\.safetensors: text needs one"):
        model.chat("what is this?")


def test_a_part_that_leaves_is_the_same_when_it_returns(own_folder: Path) -> None:
    model = pipeline.load(own_folder, memory=CPU)
    first = model.reconstruct(PICTURE, PICTURE)
    assert np.array_equal(model.reconstruct(PICTURE, PICTURE), first)


def test_mistakes() -> None:
    with pytest.raises(SeedxError, match="memory is full, 24gb, 12gb, cpu, not '8gb'"):
        placement("8gb")  # type: ignore[arg-type]
    with pytest.raises(SeedxError, match=r"runs on the CPU, not on 'cuda'"):
        placement("cpu", "cuda")
    with pytest.raises(SeedxError, match="vision, bridge, language, detokenizer, vae, not 'unet'"):
        Placement(devices={"unet": "cuda"})
    with pytest.raises(SeedxError, match="can be offloaded"):
        Placement(offload=("language",))
    with pytest.raises(SeedxError, match="images_at_once is a whole number of at least 1, not 0"):
        Placement(images_at_once=0)
    with pytest.raises(SeedxError, match="language is plain, int8, nf4, not 'int4'"):
        Placement(language="int4")  # type: ignore[arg-type]


def test_modes_are_choices() -> None:
    for name, choices in MODES.items():
        assert placement(name) == Placement(**choices)
    assert placement("24gb", "cuda:1", "float16") == Placement("cuda:1", dtype="float16", **MODES["24gb"])
    assert placement("cpu").dtype_of("detokenizer") == "bfloat16" and placement("cpu").dtype_of("vae") == "float32"
    assert placement("full", "cuda").dtype_of("vision") == "bfloat16" and placement().dtype_of("vision") == "float32"
