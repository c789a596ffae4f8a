"""The release's names of weights <-> ours: one reversible table, strict both ways.

A rule pairs an official name with ours; `*` stands for the same text on both sides. The first rule that fits is used. A
name that no rule knows is an error, as is (in `weights.check`) one that the model lacks, one that is missing, and a
tensor of another shape. Nothing is transposed or split: a tensor only changes its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

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
