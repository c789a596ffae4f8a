"""The native folder: what is saved comes back, and what does not fit is refused by name."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from seedx import tokenizer
from seedx.checkpoint import native, weights
from seedx.checkpoint.parts import Model, modules, part_state
from seedx.config import LoraConfig
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from small import SMALL, TOKENIZER


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    detokenizer = Detokenizer(SMALL.detokenizer, SMALL.vision.output_dim)
    return Model(SMALL, SeedX(SMALL), detokenizer, tokenizer.load(TOKENIZER))


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    native.save(model, tmp_path / "model")
    return tmp_path / "model"


def all_states(model: Model) -> dict[str, torch.Tensor]:
    parts = modules(model.seedx, model.detokenizer).items()
    return {f"{part}/{name}": t for part, m in parts for name, t in part_state(part, m).items()}


def test_saved_comes_back(model: Model, folder: Path) -> None:
    loaded = native.load(folder)
    before, after = all_states(model), all_states(loaded)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert loaded.tokenizer.encode("a cat <img>") == model.tokenizer.encode("a cat <img>")
    assert not loaded.seedx.training and not loaded.detokenizer.training
    ids = torch.tensor([[1, 5, 9]])
    model.seedx.eval()
    with torch.no_grad():
        outputs = [m.seedx.language.states(m.seedx.language.embed(ids), torch.arange(3)[None]) for m in (model, loaded)]
    assert torch.equal(*outputs)  # the rotary table, which is not stored, is the same too


def test_weights_have_the_permissions_of_the_config(folder: Path) -> None:
    modes = {file.stat().st_mode for file in folder.iterdir()}
    assert modes == {(folder / "config.json").stat().st_mode}


def test_same_config_after_a_second_save(folder: Path, tmp_path: Path) -> None:
    native.save(native.load(folder), tmp_path / "again")
    files = sorted(path.name for path in folder.iterdir())
    assert files == sorted(path.name for path in (tmp_path / "again").iterdir())
    for name in files:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_half_on_disk_and_in_memory(model: Model, tmp_path: Path) -> None:
    native.save(model, tmp_path / "half", dtype=torch.float16)
    assert load_file(tmp_path / "half" / "language.safetensors")["llm.lm_head.weight"].dtype == torch.float16
    loaded = native.load(tmp_path / "half", dtype=torch.bfloat16)
    loaded.need("language", "vae")
    assert loaded.seedx.language.llm.lm_head.weight.dtype == torch.bfloat16
    assert loaded.seedx.language.llm.model.rotary_emb.inv_freq.dtype == torch.float32
    assert loaded.detokenizer.vae.weight.dtype == torch.float32


def test_tied_embeddings(tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, language=dataclasses.replace(SMALL.language, tie_embeddings=True))
    detokenizer = Detokenizer(config.detokenizer, config.vision.output_dim)
    native.save(Model(config, SeedX(config), detokenizer, tokenizer.load(TOKENIZER)), tmp_path / "tied")
    llm = native.load(tmp_path / "tied").seedx.language.llm
    assert llm.lm_head.weight is llm.model.embed_tokens.weight


def test_shards(model: Model, folder: Path) -> None:
    state = part_state("language", model.seedx.language)
    weights.write(folder, "language", state, shard_bytes=20_000)
    after = part_state("language", native.load(folder).seedx.language)
    assert all(torch.equal(after[name], tensor) for name, tensor in state.items())
    (folder / "language-00002-of-00003.safetensors").unlink()
    with pytest.raises(SeedxError, match=r"lists language-00002-of-00003\.safetensors, which is not there"):
        native.load(folder)


def test_shards_of_older_versions(model: Model, folder: Path) -> None:
    state = part_state("language", model.seedx.language)
    (folder / "language.safetensors").unlink()
    names = list(state)
    for number, part in enumerate((names[:5], names[5:]), 1):
        save_file({name: state[name] for name in part}, folder / f"language-{number:05d}.safetensors")
    after = part_state("language", native.load(folder).seedx.language)
    assert all(torch.equal(after[name], tensor) for name, tensor in state.items())
    (folder / "language-00002.safetensors").unlink()
    with pytest.raises(SeedxError, match=r"model/language: 'llm\..* missing"):
        native.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("tile_positions"), "model/bridge: 'tile_positions' is missing"),
        (
            lambda state: state.update(tile_positions=torch.ones(4, 3)),
            r"'tile_positions' must have shape \(4, 16\)",
        ),
        (lambda state: state.update(other=torch.ones(1)), "'other' is not a weight"),
    ],
)
def test_strict(folder: Path, change: object, message: str) -> None:
    state = load_file(folder / "bridge.safetensors")
    change(state)  # type: ignore[operator]
    save_file(state, folder / "bridge.safetensors")
    with pytest.raises(ValueError, match=message):
        native.load(folder)


def test_a_failed_save_leaves_the_old_folder(model: Model, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RuntimeError, match="broken"), native.replacing(folder) as aside:
        (aside / "config.json").write_text("{}")
        raise RuntimeError("broken")
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_saving_removes_nothing_that_it_did_not_make(model: Model, folder: Path) -> None:
    others = [folder.with_name("model.old"), folder.with_name("model.partial"), folder / "runs"]
    for other in others:
        other.mkdir()
        (other / "notes.txt").write_text("mine")
    (folder / "README.md").write_text("mine")
    (folder / "language-00001-of-00002.safetensors").write_text("of an older model")
    native.save(model, folder)
    assert all((other / "notes.txt").read_text() == "mine" for other in others)
    assert (folder / "README.md").read_text() == "mine"
    assert not (folder / "language-00001-of-00002.safetensors").exists()
    assert sorted(path.name for path in folder.parent.iterdir()) == ["model", "model.old", "model.partial"]
    native.load(folder)


def test_weights_that_are_not_finite_are_not_written(model: Model, folder: Path) -> None:
    before = (folder / "bridge.safetensors").read_bytes()
    weight = next(model.seedx.output_resampler.parameters())
    kept = weight.data.clone()
    weight.data.flatten()[0] = float("nan")
    with pytest.raises(SeedxError, match=r"bridge: .* has values that are not finite"):
        native.save(model, folder)
    weight.data = kept
    assert (folder / "bridge.safetensors").read_bytes() == before


def test_a_folder_of_other_things_is_not_replaced(model: Model, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds no model"):
        native.save(model, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_lora_is_merged_first(tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL, language=dataclasses.replace(SMALL.language, lora=LoraConfig(rank=2)))
    seedx = SeedX(config)
    detokenizer = Detokenizer(config.detokenizer, config.vision.output_dim)
    bundle = Model(config, seedx, detokenizer, tokenizer.load(TOKENIZER))
    seedx.language.add_lora()
    with pytest.raises(ValueError, match="merge_lora"):
        native.save(bundle, tmp_path / "model")
    seedx.language.merge_lora()
    native.save(bundle, tmp_path / "model")
    assert native.load(tmp_path / "model").config.language.lora == LoraConfig(rank=2)


def test_names_that_are_no_model(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown model 'tinny': expected 'tiny', a folder, or a hub id"):
        native.load("tinny")
    with pytest.raises(ValueError, match="seedx convert"):
        native.load("17b")
    with pytest.raises(ValueError, match="no model folder"):
        native.load(tmp_path)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        native.load(folder)
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match="unknown model"):
        native.load(folder)
