"""The released models as people download them: their parts, the names of their folders, and where they come from.

The layout is that of the README of AILab-CVC/SEED-X, below `pretrained`:

    seed_x/  seed_x_i/  seed_x_edit/       each with agent/ and llm/
    seed_detokenizer/                      first_stage/ and second_stage/
    cvlm_llama2_tokenizer_100img_and_224loc_addpatch/
    QwenViT/qwen_vit_G.pt                  made from Qwen-VL-Chat, whose own shards are read as well
    stable-diffusion-xl-base-1.0/          unet/ and vae/, beside much that is not needed

and that of TencentARC/SEED-Story, beside the visual tokenizer and the autoencoder of the above:

    seed_story/george_sft/                 the model in peft's names, LoRA apart
    Llama-2-7b-hf/                         what was tuned; its config.json alone if the model's file has all weights
    detokenizer/detokenizer_george_adapted/
    cvlm_llama2_tokenizer/                 with 66 added tokens
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from seedx.variants import VARIANTS

ALL_PARTS = "AILab-CVC/SEED-X-17B"
DETOKENIZER_REPOSITORY = "AILab-CVC/seed-x-17b-de-tokenizer"
STORY_REPOSITORY = "TencentARC/SEED-Story"
STAGES = ("first_stage", "second_stage")
WITHOUT_LANGUAGE = ("visual_encoder", "vae")
WITH_LANGUAGE = ("visual_encoder", "agent", "llm", "tokenizer", "vae")

About = Mapping[str, tuple[str, str]]  # part -> what it is, and its repository; empty: the model's own


@dataclass(frozen=True)
class Layout:
    """One released model.

    Attributes:
        folders: names of its folder, as `normal` writes them.
        repository: of its own weights on the Hugging Face hub, besides `ALL_PARTS`.
        parts: those that are others than SEED-X's. They are found as "VARIANT.PART".
    """

    folders: tuple[str, ...]
    repository: str
    parts: About = field(default_factory=dict)


_STORY = {
    "agent": ("fine-tuned model (seed_story/george_sft/)", ""),
    "llm": ("language model before it (Llama-2-7b-hf/)", "meta-llama/Llama-2-7b-hf"),
    "first_stage": ("de-tokenizer (detokenizer_george_adapted/)", ""),
    "tokenizer": ("tokenizer (cvlm_llama2_tokenizer/)", ""),
}

LAYOUTS: dict[str, Layout] = {  # by their names in `seedx.variants.VARIANTS`
    "seed_x": Layout(("seed_x", "seed_x_17b_pretrain"), "AILab-CVC/seed-x-17b-pretrain"),
    "seed_x_i": Layout(("seed_x_i", "seed_x_17b_instruct"), "AILab-CVC/seed-x-17b-instruct"),
    "seed_x_edit": Layout(("seed_x_edit", "seed_x_17b_edit"), "AILab-CVC/seed-x-17b-edit"),
    "seed_story": Layout(("seed_story",), STORY_REPOSITORY, parts=_STORY),
    "detokenizer": Layout((), DETOKENIZER_REPOSITORY),
}
RELEASED = {ALL_PARTS, *(layout.repository for layout in LAYOUTS.values())}

PARTS: About = {
    "visual_encoder": ("visual tokenizer (qwen_vit_G.pt, or Qwen-VL-Chat's shards)", "Qwen/Qwen-VL-Chat"),
    "agent": ("resamplers and tile positions (agent/)", ""),
    "llm": ("language model (llm/)", ""),
    "first_stage": ("de-tokenizer, first stage", DETOKENIZER_REPOSITORY),
    "second_stage": ("de-tokenizer, second stage", DETOKENIZER_REPOSITORY),
    "unet": ("SDXL's U-Net (unet/)", "stabilityai/stable-diffusion-xl-base-1.0"),
    "vae": ("SDXL's autoencoder (vae/)", "stabilityai/stable-diffusion-xl-base-1.0"),
    "tokenizer": ("tokenizer (cvlm_llama2_tokenizer_100img_and_224loc_addpatch/)", ALL_PARTS),
}


def needs_of(variant: str | None) -> tuple[str, ...]:
    """What a model can't be converted without, besides a stage of the de-tokenizer."""
    return WITH_LANGUAGE if has_language(variant) else WITHOUT_LANGUAGE


def has_language(variant: str | None) -> bool:
    return variant is None or VARIANTS[variant].language


def stage_of(variant: str) -> str:
    """The stage of the de-tokenizer by which a model draws unless asked otherwise; the other one is kept, too."""
    return STAGES[VARIANTS[variant].edits]


def stage_folder(variant: str, stage: str) -> str:
    """Where the release has a stage of the de-tokenizer of a model."""
    adapted = variant in LAYOUTS and stage in LAYOUTS[variant].parts
    return "detokenizer/detokenizer_george_adapted" if adapted else f"seed_detokenizer/{stage}"


def normal(name: str) -> str:
    """A folder's name for comparison: "SEED-X-17B-Edit" is "seed_x_17b_edit"."""
    return re.sub(r"\W", "_", name).lower()


def variant_of(folder: str) -> str | None:
    """The released model whose folder has this name."""
    return next((name for name, layout in LAYOUTS.items() if normal(folder) in layout.folders), None)


def found_as(part: str, variant: str | None) -> str:
    """The name by which `download.survey` lists a part of a model. With a stage of its own, another's is none of it."""
    own = LAYOUTS[variant].parts if variant in LAYOUTS else {}
    others = part in STAGES and any(stage in own for stage in STAGES)
    return f"{variant}.{part}" if part in own or others else part


def about(part: str, variant: str | None) -> str:
    """What a part is, for people."""
    own = LAYOUTS[variant].parts if variant in LAYOUTS else {}
    return own.get(part, PARTS[part])[0]


def source_of(part: str, variant: str | None) -> str:
    """The repository that a part is fetched from."""
    layout = LAYOUTS.get(variant or "")
    parts, own = (layout.parts, layout.repository) if layout else ({}, ALL_PARTS)
    return parts.get(part, PARTS[part])[1] or own
