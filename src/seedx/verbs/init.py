"""`seedx init`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from seedx.verbs.convert import progress_bar
from seedx.verbs.output import file_errors


def init(
    out: Path,
    /,
    *,
    language: str,
    vision: str,
    detokenizer: str,
    bridge: str | None = None,
    variant: str | None = None,
    template: Literal["chat", "inst"] | None = None,
    dtype: Literal["float32", "float16", "bfloat16"] | None = None,
    seed: int = 0,
) -> None:
    """Make a model folder of base parts that never met, to be trained: a Llama, a visual tokenizer and a U-Net.

    Each part is a folder, a hub id, or one of our own models, such as "tiny". What no part has is new: the rows of
    SEED-X's 330 tokens, the resamplers and the tile positions.

    Args:
        out: folder to write.
        language: any Llama-shaped model of transformers, or a .gguf file of one.
        vision: one of our own models, Qwen-VL-Chat, or its qwen_vit_G.pt.
        detokenizer: a folder of diffusers with unet and vae (SDXL), or one of our own models.
        bridge: one of our own models, to take its resamplers around the language model and its tile positions.
        variant: what it will be asked: tiny, seed_x, seed_x_i, seed_x_edit or seed_story; by default that of the
            language model if it is one of ours, else tiny.
        template: chat, the language model's own chat template; inst, that of the variant. By default chat, or inst if
            a variant is given.
        dtype: precision to store; by default that of the files read.
        seed: of the new weights.
    """
    import torch

    from seedx.checkpoint.base.compose import Places, table
    from seedx.checkpoint.base.compose import init as compose
    from seedx.terminal import print_table

    with file_errors(), progress_bar() as progress:
        rows = compose(
            out,
            Places(language, vision, detokenizer, bridge),
            variant=variant,
            template=template,
            dtype=getattr(torch, dtype) if dtype else None,
            seed=seed,
            progress=progress,
        )
    print_table(table(rows))
    print(f"{out}: a model to be trained; start with `seedx train RECIPE --set init_from={out}`")
