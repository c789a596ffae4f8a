"""The release's names and files <-> ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from seedx import config
from seedx.checkpoint import native
from seedx.checkpoint.convert import convert
from seedx.checkpoint.parts import build, modules, part_state
from seedx.checkpoint.release import from_release, to_release
from seedx.config import Config
from seedx.model.denoise import denoise
from small import SMALL, TOKENIZER


@pytest.fixture(scope="module")
def weights() -> dict[str, dict[str, torch.Tensor]]:
    """Random weights of every part under our names."""
    generator = torch.Generator().manual_seed(0)
    parts = {}
    for part, module in modules(*build(SMALL)).items():
        state = part_state(part, module)
        parts[part] = {k: 0.05 * torch.randn(t.shape, generator=generator) for k, t in state.items()}
    return parts


@pytest.fixture
def release(weights: dict[str, dict[str, torch.Tensor]], tmp_path: Path) -> Path:
    """The same weights in the layout of the release's files."""
    source = tmp_path / "release"
    official = {
        part: to_release(part, weights[ours])
        for part, ours in (("agent", "bridge"), ("llm", "language"), ("second_stage", "detokenizer"), ("vae", "vae"))
    }
    for folder in ("agent", "llm", "seed_detokenizer/second_stage", "vae", "unet"):
        (source / folder).mkdir(parents=True)
    torch.save(to_release("visual_encoder", weights["vision"]), source / "qwen_vit_G.pt")
    torch.save(official["agent"], source / "agent" / "pytorch_model.bin")
    save_llama(official["llm"], source / "llm")
    # The file has only what the stage trained of some block; SDXL's own folder has the U-Net whole.
    unet = {k.removeprefix("unet."): t for k, t in official["second_stage"].items() if k.startswith("unet.")}
    trained = {k: t for k, t in official["second_stage"].items() if not k.startswith("unet.mid_block.resnets")}
    torch.save(trained, source / "seed_detokenizer" / "second_stage" / "pytorch_model.bin")
    untrained = {k: t if k.startswith("mid_block.resnets") else torch.zeros_like(t) for k, t in unet.items()}
    save_file(untrained, source / "unet" / "diffusion_pytorch_model.safetensors")
    save_file(official["vae"], source / "vae" / "diffusion_pytorch_model.safetensors")
    save_file(
        {k: torch.zeros_like(t) for k, t in official["vae"].items()},
        source / "vae" / "diffusion_pytorch_model.fp16.safetensors",
    )
    (source / "cvlm_llama2_tokenizer").symlink_to(TOKENIZER)
    return source


def save_llama(state: dict[str, torch.Tensor], folder: Path) -> None:
    """Two shards and their index, with the frequencies that old versions of transformers stored."""
    state = state | {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.ones(4) for i in range(2)}
    names = sorted(state)
    index = {}
    for number, shard in enumerate((names[::2], names[1::2]), 1):
        file = f"pytorch_model-{number:05d}-of-00002.bin"
        torch.save({name: state[name] for name in shard}, folder / file)
        index |= dict.fromkeys(shard, file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": index}))


def test_converted_folder_runs(release: Path, weights: dict[str, dict[str, torch.Tensor]], tmp_path: Path) -> None:
    sizes: dict[str, int] = {}
    convert(
        release, tmp_path / "ours", SMALL, progress=lambda part, size: sizes.update({part: sizes.get(part, 0) + size})
    )
    model = native.load(tmp_path / "ours")
    assert model.config == config.from_dict(Config, json.loads(json.dumps(config.to_dict(SMALL))))
    for part, module in modules(model.seedx, model.detokenizer).items():
        state = part_state(part, module)
        assert state.keys() == weights[part].keys()
        assert all(torch.equal(state[name], weights[part][name]) for name in state), part
        assert sizes[part] == sum(tensor.nbytes for tensor in state.values())

    with torch.no_grad():
        ids = torch.tensor([model.tokenizer.encode("a cat <img>")])
        positions = torch.arange(ids.shape[1])[None]
        states = model.seedx.language.states(model.seedx.language.embed(ids), positions)
        features = model.seedx.draw_features(states[:, -1:].expand(-1, 4, -1))
    assert model.seedx.language.head(states).isfinite().all()
    image = denoise(model.detokenizer, features, features, [0])
    assert image.shape == (1, 3, 16, 16) and image.isfinite().all()


def test_stored_precision(release: Path, tmp_path: Path) -> None:
    convert(release, tmp_path / "ours", SMALL, dtype=torch.bfloat16)
    stored = native.read_part(tmp_path / "ours", "language")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    loaded = native.load(tmp_path / "ours")
    loaded.need("vision", "bridge", "language")
    assert {parameter.dtype for parameter in loaded.seedx.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("input_resampler.query"), "'input_resampler.query' is missing"),
        (lambda state: state.update({"input_resampler.query": torch.ones(2, 2)}), "'input_resampler.query' must have"),
        (lambda state: state.update({"input_resampler.extra": torch.ones(2)}), "'input_resampler.extra'"),
        (lambda state: state.update({"patch_pos_embeds": torch.ones(2)}), "'patch_pos_embeds'"),
    ],
)
def test_strict(release: Path, tmp_path: Path, change: object, message: str) -> None:
    file = release / "agent" / "pytorch_model.bin"
    state = torch.load(file, weights_only=True)
    change(state)  # type: ignore[operator]
    torch.save(state, file)
    with pytest.raises(ValueError, match=message):
        convert(release, tmp_path / "ours", SMALL)
    assert not (tmp_path / "ours").exists() and not (tmp_path / "ours.partial").exists()


def test_names_of_another_part() -> None:
    with pytest.raises(ValueError, match=r"llm: the release has no weight named 'conv1\.weight'"):
        from_release("llm", {"conv1.weight": torch.ones(1)})
