"""From the parts that the stages wrote to the model that is bundled."""

import dataclasses
import shutil

import pytest
import torch
from safetensors.torch import load_file

from seedx.checkpoint import native
from seedx.config import PRESETS
from seedx_stickers.training.bundle import bundle


@pytest.fixture
def parts(tiny_folder, tmp_path, monkeypatch):
    """A folder as training leaves it: no config, and files of earlier stages besides."""
    monkeypatch.setitem(PRESETS, "small", native.read_config(tiny_folder))
    folder = tmp_path / "parts"
    shutil.copytree(tiny_folder, folder)
    (folder / "config.json").unlink()
    shutil.copy(folder / "vae.safetensors", folder / "detokenizer-1.safetensors")
    return folder


def test_the_parts_become_a_model_in_half_precision(parts, tiny_folder, tmp_path):
    bundle(parts, tmp_path / "model", "small")
    names = {file.name for file in (tmp_path / "model").iterdir()}
    assert names == {file.name for file in tiny_folder.iterdir()}
    assert {tensor.dtype for tensor in load_file(tmp_path / "model" / "bridge.safetensors").values()} == {torch.float16}
    loaded, before = native.load(tmp_path / "model"), native.load(tiny_folder)
    for model in (loaded, before):
        model.need("vision", "bridge", "language")
    for name, tensor in before.seedx.state_dict().items():
        assert torch.allclose(loaded.seedx.state_dict()[name], tensor, atol=2e-3, rtol=1e-3), name


def test_a_part_that_is_missing_or_of_other_sizes_is_named(parts, tmp_path, monkeypatch):
    (parts / "language.safetensors").rename(parts / "away.safetensors")
    with pytest.raises(ValueError, match=r"no language\.safetensors"):
        bundle(parts, tmp_path / "model", "small")
    shutil.copy(parts / "vae.safetensors", parts / "language.safetensors")
    with pytest.raises(ValueError, match="parts/language"):
        bundle(parts, tmp_path / "model", "small")
    small = PRESETS["small"]
    words = dataclasses.replace(small.language, vocab_size=600)
    monkeypatch.setitem(PRESETS, "small", dataclasses.replace(small, language=words))
    with pytest.raises(ValueError, match="the tokenizer has 700 ids, but the preset 'small' only 600"):
        bundle(parts, tmp_path / "model", "small")
    assert not (tmp_path / "model").exists()
