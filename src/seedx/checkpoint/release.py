"""The release's names of weights <-> ours: one reversible table, strict both ways; and its files -> a native folder.

A rule pairs an official name with ours; `*` stands for the same text on both sides. The first rule that fits is used. A
name that no rule knows is an error, as is (in `weights.check`) one that the model lacks, one that is missing, and a
tensor of another shape. Nothing is transposed or split: a tensor only changes its name.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from seedx import config, tokenizer
from seedx.checkpoint import native, weights
from seedx.checkpoint.parts import build, modules, part_state
from seedx.errors import SeedxError

T = TypeVar("T")
Rules = tuple[tuple[str, str], ...]

_QUERY_RESAMPLER: Rules = (
    ("pos_embed", "positions"),
    ("query", "query"),
    ("kv_proj.weight", "kv_proj.weight"),
    ("attn.*", "attn.*"),
    ("ln_q.*", "ln_q.*"),
    ("ln_kv.*", "ln_kv.*"),
)

_VISION: Rules = (
    ("conv1.weight", "patch_embed.weight"),
    ("positional_embedding", "positions"),
    ("ln_pre.*", "ln_pre.*"),
    ("transformer.resblocks.*.ln_1.*", "blocks.*.ln_1.*"),
    ("transformer.resblocks.*.attn.in_proj.*", "blocks.*.qkv.*"),
    ("transformer.resblocks.*.attn.out_proj.*", "blocks.*.out.*"),
    ("transformer.resblocks.*.ln_2.*", "blocks.*.ln_2.*"),
    ("transformer.resblocks.*.mlp.c_fc.*", "blocks.*.up.*"),
    ("transformer.resblocks.*.mlp.c_proj.*", "blocks.*.down.*"),
    *((f"attn_pool.{theirs}", f"pool.{ours}") for theirs, ours in _QUERY_RESAMPLER),
    ("ln_post.*", "ln_post.*"),
    ("proj", "proj"),
)

_LANGUAGE: Rules = (("model.*", "llm.model.*"), ("lm_head.weight", "llm.lm_head.weight"))

_AGENT: Rules = (
    ("patch_pos_embed", "tile_positions"),
    *((f"input_resampler.{theirs}", f"input_resampler.{ours}") for theirs, ours in _QUERY_RESAMPLER),
    *((f"output_resampler.{theirs}", f"output_resampler.{ours}") for theirs, ours in _QUERY_RESAMPLER),
    *((f"llm.{theirs}", f"language.{ours}") for theirs, ours in _LANGUAGE),
)

_ADAPTER: Rules = (
    ("resampler.latents", "resampler.latents"),
    ("resampler.proj_in.*", "resampler.proj_in.*"),
    ("resampler.layers.*.0.norm1.*", "resampler.layers.*.attention.norm_features.*"),
    ("resampler.layers.*.0.norm2.*", "resampler.layers.*.attention.norm_latents.*"),
    ("resampler.layers.*.0.to_q.weight", "resampler.layers.*.attention.query.weight"),
    ("resampler.layers.*.0.to_kv.weight", "resampler.layers.*.attention.key_value.weight"),
    ("resampler.layers.*.0.to_out.weight", "resampler.layers.*.attention.out.weight"),
    ("resampler.layers.*.1.0.*", "resampler.layers.*.mlp_norm.*"),
    ("resampler.layers.*.1.1.weight", "resampler.layers.*.mlp_up.weight"),
    ("resampler.layers.*.1.3.weight", "resampler.layers.*.mlp_down.weight"),
    ("resampler.norm_out.*", "resampler.norm_out.*"),
    ("resampler.unet_proj_1.*", "resampler.proj_first.*"),
    ("resampler.unet_proj_2.*", "resampler.proj_second.*"),
    ("resampler.unet_attnpool.positional_embedding", "resampler.pool.positions"),
    ("resampler.unet_attnpool.q_proj.*", "resampler.pool.query.*"),
    ("resampler.unet_attnpool.k_proj.*", "resampler.pool.key.*"),
    ("resampler.unet_attnpool.v_proj.*", "resampler.pool.value.*"),
    ("resampler.unet_attnpool.c_proj.*", "resampler.pool.out.*"),
    ("unet.*", "unet.*"),
)

NAMES: dict[str, Rules] = {
    "visual_encoder": _VISION,  # -> VisionTransformer
    "agent": _AGENT,  # -> SeedX without its vision; with the language model where the file has it
    "llm": _LANGUAGE,  # -> Language
    "first_stage": _ADAPTER,  # -> Detokenizer without its vae
    "second_stage": _ADAPTER,
    "vae": (("*", "model.*"),),  # -> Autoencoder
}

# Where a part is below the folder of the release; the first pattern that matches a path is used.
PLACES: dict[str, tuple[str, ...]] = {
    "visual_encoder": ("qwen_vit_G.pt", "*/qwen_vit_G.pt", "visual_encoder"),
    "agent": ("agent", "*/agent"),
    "llm": ("llm", "*/llm"),
    "first_stage": ("seed_detokenizer/first_stage", "*/seed_detokenizer/first_stage"),
    "second_stage": ("seed_detokenizer/second_stage", "*/seed_detokenizer/second_stage"),
    "vae": ("vae", "*/vae"),
    "unet": ("unet", "*/unet"),
    "tokenizer": ("tokenizer", "*_tokenizer*", "*/*_tokenizer*"),
}

# The official Llama stores its rotary frequencies; newer ones compute them.
IGNORED = re.compile(r"(.*\.)?rotary_emb\.inv_freq")


def from_release(part: str, state: dict[str, T]) -> dict[str, T]:
    """The release's state dict of one part (a key of `NAMES`) under our names.

    Raises:
        SeedxError: a name that the table does not know, or two that become one.
    """
    kept = {name: value for name, value in state.items() if not IGNORED.fullmatch(name)}
    return _rename(part, "the release", kept, NAMES[part])


def to_release(part: str, state: dict[str, T]) -> dict[str, T]:
    """The way back: `to_release(part, from_release(part, state))` is `state` without the names of `IGNORED`."""
    return _rename(part, "this library", state, [(ours, theirs) for theirs, ours in NAMES[part]])


def convert(
    source: str | Path,
    target: str | Path,
    sizes: config.Config = config.SEED_X_17B,
    dtype: torch.dtype | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> None:
    """Convert the release's files to a folder for `native.load`, one shard at a time.

    Args:
        source: folder with the parts of `PLACES`. What the de-tokenizer's file lacks of the U-Net is taken from `unet`.
        sizes: of the release; `detokenizer.condition` chooses the second stage of the de-tokenizer, else the first.
        dtype: of the stored weights; None: as in the files.
        progress: called for each tensor with its part and its size in bytes.

    Raises:
        SeedxError: a file is not there, or a weight is missing, unknown or of another shape.
    """
    source = Path(source)
    stage = "second_stage" if sizes.detokenizer.condition else "first_stage"
    official = {
        "vision": ("visual_encoder", _read(find(source, "visual_encoder"))),
        "bridge": ("agent", _read(find(source, "agent"))),
        "language": ("llm", _read(find(source, "llm"))),
        "detokenizer": (stage, _read_adapter(source, stage)),
        "vae": ("vae", _read(find(source, "vae"))),
    }
    words = tokenizer.load(find(source, "tokenizer"))
    if words.vocab_size > sizes.language.vocab_size:
        raise SeedxError(f"the tokenizer has {words.vocab_size} ids, the model {sizes.language.vocab_size}")
    parts = modules(*build(sizes))
    with native.replacing(target) as aside:
        native.write_config(sizes, aside)
        words.save(aside)
        for part, (name, tensors) in official.items():
            ours = from_release(name, tensors)
            weights.check(ours, part_state(part, parts[part]), name)
            report = functools.partial(progress, part) if progress else None
            weights.write(aside, part, ours, dtype, progress=report)


def find(source: Path, part: str) -> Path:
    """
    Raises:
        SeedxError: `source` holds no such part, or several.
    """
    for pattern in PLACES[part]:
        found = sorted(source.glob(pattern))
        if len(found) > 1:
            names = ", ".join(str(path.relative_to(source)) for path in found)
            raise SeedxError(f"{source} has several {part}: {names}; give a folder with one")
        if found:
            return found[0]
    raise SeedxError(f"{source} has no {part}: expected {' or '.join(PLACES[part])} there")


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, or of all shards of a folder, mapped from the disk."""
    files = weights.find(path, "*model*") if path.is_dir() else [path]
    if not files:
        raise SeedxError(f"{path} holds no weights: expected *model*.safetensors or *model*.bin")
    return weights.read(*files)


def _read_adapter(source: Path, stage: str) -> dict[str, Tensor]:
    """The de-tokenizer's own weights, and those of SDXL's U-Net that its training left as they were."""
    own = _read(find(source, stage))
    if not any(path for pattern in PLACES["unet"] for path in source.glob(pattern)):
        return own
    unet = {f"unet.{name}": tensor for name, tensor in _read(find(source, "unet")).items()}
    return own | {name: tensor for name, tensor in unet.items() if name not in own}


def _rename(part: str, whose: str, state: dict[str, T], rules: Iterable[tuple[str, str]]) -> dict[str, T]:
    patterns = [(re.compile(re.escape(old).replace(r"\*", "(.+)")), new) for old, new in rules]
    renamed: dict[str, T] = {}
    for name, value in state.items():
        match, new = next(((m, new) for old, new in patterns if (m := old.fullmatch(name))), (None, ""))
        if match is None:
            raise SeedxError(f"{part}: {whose} has no weight named {name!r} here; is the file of this part?")
        for text in match.groups():
            new = new.replace("*", text, 1)
        if new in renamed:
            raise SeedxError(f"{part}: two weights become {new!r}, the second is {name!r}")
        renamed[new] = value
    return renamed
