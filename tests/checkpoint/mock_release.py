"""The whole of `./pretrained`, as the release's README has people download it, at the smallest sizes.

Three models side by side, both stages of the de-tokenizer, Qwen-VL-Chat's shards, SDXL with what is not needed, and one
more level of folders. Every weight is random, and no two parts have the same.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from seedx.checkpoint import native
from seedx.checkpoint.layouts import STAGES
from seedx.checkpoint.parts import build, modules, part_state
from seedx.checkpoint.release import to_release
from seedx.config import BridgeConfig, Config
from small import SMALL, TOKENIZER

# Heads that no file tells are the release's, halved until they divide the width.
MOCK = dataclasses.replace(
    SMALL,
    tiling=dataclasses.replace(SMALL.tiling, tile=28),
    language=dataclasses.replace(SMALL.language, context=2048),
    bridge=BridgeConfig(queries=4, input_heads=16, output_heads=32),
    detokenizer=dataclasses.replace(
        SMALL.detokenizer, heads=16, head_dim=1, steps=50, unet=SMALL.detokenizer.unet | {"sample_size": 8}
    ),
)
MODELS = ("seed_x", "seed_x_i", "seed_x_edit")
TOKENIZER_NAME = "cvlm_llama2_tokenizer_100img_and_224loc_addpatch"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 9976576392\n"

State = dict[str, Tensor]


def random_state(part: str, seed: int, sizes: Config = MOCK) -> State:
    """Weights of one part under the release's names; `seed` makes those of one model differ from another's."""
    ours = {"visual_encoder": "vision", "agent": "bridge", "llm": "language", "vae": "vae"}.get(part, "detokenizer")
    seedx, detokenizer = build(sizes)
    module = modules(seedx, detokenizer)[ours]
    if part in STAGES and STAGES[sizes.detokenizer.condition] != part:
        module = native.other_stage(sizes)
    generator = torch.Generator().manual_seed(seed)
    state = {k: 0.05 * torch.randn(t.shape, generator=generator) for k, t in part_state(ours, module).items()}
    return to_release(part, state)


def make(root: Path) -> Path:
    """Write the tree below `root` and return its top; the release is one level further down."""
    pretrained = root / "pretrained" / "SEED-X-17B"
    for seed, name in enumerate(MODELS):
        for part in ("agent", "llm"):
            (pretrained / name / part).mkdir(parents=True)
        torch.save(random_state("agent", 10 + seed), pretrained / name / "agent" / "pytorch_model.bin")
        llama(pretrained / name / "llm", random_state("llm", 20 + seed), "safetensors" if seed else "bin")
    shutil.copytree(TOKENIZER, pretrained / TOKENIZER_NAME)
    for seed, stage in enumerate(STAGES):
        folder = pretrained / "seed_detokenizer" / stage
        folder.mkdir(parents=True)
        torch.save(random_state(stage, 30 + seed), folder / "pytorch_model.bin")
    qwen(pretrained / "Qwen-VL-Chat")
    sdxl(pretrained / "stable-diffusion-xl-base-1.0")
    return root / "pretrained"


def llama(folder: Path, state: State, suffix: str, sizes: Config = MOCK) -> None:
    """Two shards and their index; the frequencies that old versions of transformers stored; and its config.json."""
    build(sizes)[0].language.llm.config.save_pretrained(folder)
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    if suffix == "bin":
        state = state | {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.ones(4) for i in range(2)}
    shards(folder, stem, suffix, state)


def shards(folder: Path, stem: str, suffix: str, state: State) -> None:
    names, weight_map = sorted(state), {}
    for number, shard in enumerate((names[::2], names[1::2]), 1):
        file = f"{stem}-{number:05d}-of-00002.{suffix}"
        content = {name: state[name].contiguous() for name in shard}
        if suffix == "bin":
            torch.save(content, folder / file)
        else:
            save_file(content, folder / file)
        weight_map |= dict.fromkeys(shard, file)
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))


def qwen(folder: Path) -> None:
    """The whole model: a language model that is not needed, and the visual tokenizer below `transformer.visual`."""
    folder.mkdir()
    visual = {f"transformer.visual.{name}": tensor for name, tensor in random_state("visual_encoder", 1).items()}
    shards(folder, "pytorch_model", "bin", visual | {"transformer.wte.weight": torch.ones(4, 4)})
    vision = MOCK.vision
    config = {"model_type": "qwen", "visual": {"heads": vision.heads, "image_size": vision.image_size, "layers": 1}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "qwen.tiktoken").write_text("")


def sdxl(folder: Path) -> None:
    """U-Net, autoencoder, schedule, and what is not needed: text encoders, twins in half precision, ONNX, OpenVINO."""
    detokenizer = native.other_stage(MOCK)  # SDXL's U-Net reads no condition
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionXLPipeline"}))
    detokenizer.unet.save_config(folder / "unet")
    unet = {name: torch.zeros(t.shape) for name, t in detokenizer.unet.state_dict().items()}
    save_file(unet, folder / "unet" / "diffusion_pytorch_model.safetensors")
    detokenizer.vae.model.save_config(folder / "vae")
    vae = {name: tensor.contiguous() for name, tensor in random_state("vae", 2).items()}
    save_file(vae, folder / "vae" / "diffusion_pytorch_model.safetensors")
    (folder / "scheduler").mkdir()
    scheduler = {"_class_name": "EulerDiscreteScheduler", "beta_end": 0.012, "timestep_spacing": "leading"}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    zeros = {name: torch.zeros_like(tensor) for name, tensor in vae.items()}
    save_file(zeros, folder / "vae" / "diffusion_pytorch_model.fp16.safetensors")
    for name in ("vae_1_0", "vae_decoder", "vae_encoder", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"):
        (folder / name).mkdir()
    save_file(zeros, folder / "vae_1_0" / "diffusion_pytorch_model.safetensors")
    for place in ("vae_decoder", "vae_encoder", "unet", "text_encoder"):
        for junk in ("openvino_model.bin", "openvino_model.xml", "model.onnx", "flax_model.msgpack"):
            (folder / place / junk).write_bytes(b"not torch")
    save_file({"text.weight": torch.ones(2)}, folder / "text_encoder" / "model.safetensors")
    (folder / "tokenizer" / "vocab.json").write_text("{}")
    save_file({"all.in.one": torch.ones(2)}, folder / "sd_xl_base_1.0.safetensors")
