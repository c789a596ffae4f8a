"""The released models as people download them: their parts, the names of their folders, and where they come from.

The layout is that of the README of AILab-CVC/SEED-X, below `pretrained`:

    seed_x/  seed_x_i/  seed_x_edit/       each with agent/ and llm/
    seed_detokenizer/                      first_stage/ and second_stage/
    cvlm_llama2_tokenizer_100img_and_224loc_addpatch/
    QwenViT/qwen_vit_G.pt                  made from Qwen-VL-Chat, whose own shards are read as well
    stable-diffusion-xl-base-1.0/          unet/ and vae/, beside much that is not needed
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from seedx.variants import VARIANTS

ALL_PARTS = "AILab-CVC/SEED-X-17B"
STAGES = ("first_stage", "second_stage")
WITH_LANGUAGE = ("visual_encoder", "agent", "llm", "tokenizer", "vae")


@dataclass(frozen=True)
class Layout:
    """One released model.

    Attributes:
        folders: names of its folder, as `normal` writes them.
        repository: of its own weights on the Hugging Face hub, besides `ALL_PARTS`.
    """

    folders: tuple[str, ...]
    repository: str


LAYOUTS: dict[str, Layout] = {  # by their names in `seedx.variants.VARIANTS`
    "seed_x": Layout(("seed_x", "seed_x_17b_pretrain"), "AILab-CVC/seed-x-17b-pretrain"),
    "seed_x_i": Layout(("seed_x_i", "seed_x_17b_instruct"), "AILab-CVC/seed-x-17b-instruct"),
    "seed_x_edit": Layout(("seed_x_edit", "seed_x_17b_edit"), "AILab-CVC/seed-x-17b-edit"),
}

DETOKENIZER_REPOSITORY = "AILab-CVC/seed-x-17b-de-tokenizer"
RELEASED = {ALL_PARTS, DETOKENIZER_REPOSITORY, *(layout.repository for layout in LAYOUTS.values())}

# Part -> what it is, and where it comes from if not from the model's own repository.
PARTS: dict[str, tuple[str, str]] = {
    "visual_encoder": ("visual tokenizer (qwen_vit_G.pt, or Qwen-VL-Chat's shards)", "Qwen/Qwen-VL-Chat"),
    "agent": ("resamplers and tile positions (agent/)", ""),
    "llm": ("language model (llm/)", ""),
    "first_stage": ("de-tokenizer, first stage", DETOKENIZER_REPOSITORY),
    "second_stage": ("de-tokenizer, second stage", DETOKENIZER_REPOSITORY),
    "unet": ("SDXL's U-Net (unet/)", "stabilityai/stable-diffusion-xl-base-1.0"),
    "vae": ("SDXL's autoencoder (vae/)", "stabilityai/stable-diffusion-xl-base-1.0"),
    "tokenizer": ("tokenizer (cvlm_llama2_tokenizer_100img_and_224loc_addpatch/)", ALL_PARTS),
}


def stage_of(variant: str) -> str:
    """The stage of the de-tokenizer by which a model draws unless asked otherwise; the other one is kept, too."""
    return STAGES[VARIANTS[variant].edits]


def needs_of(variant: str) -> tuple[str, ...]:
    """Parts without which a model can't be converted."""
    return (*WITH_LANGUAGE, stage_of(variant))


def normal(name: str) -> str:
    """A folder's name for comparison: "SEED-X-17B-Edit" is "seed_x_17b_edit"."""
    return re.sub(r"\W", "_", name).lower()


def variant_of(folder: str) -> str | None:
    """The released model whose folder has this name."""
    return next((name for name, layout in LAYOUTS.items() if normal(folder) in layout.folders), None)


def source_of(part: str, variant: str | None) -> str:
    """The repository that a part is fetched from."""
    own = LAYOUTS[variant].repository if variant in LAYOUTS else ALL_PARTS
    return PARTS[part][1] or own
