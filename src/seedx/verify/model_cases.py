"""Golden cases of single modules: the visual tokenizer (`a`) and the resampler around the language model (`b`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from seedx.checkpoint import release
from seedx.model.resampler import QueryResampler, resize_positions
from seedx.model.seedx import tile_embedding
from seedx.model.vision import VisionTransformer, pool_features
from seedx.verify.build import POOL, vision_config
from seedx.verify.case import Case, Results, fill, read_case, worst


def vision(folder: Path, name: str) -> Results:
    """States on the way and tokens; also the class's option to add the positions of tiles, here before `ln_post`.

    The release leaves that option off; the same positions, added after the input resampler, are what `SeedX` does.
    """
    case = read_case(folder, name)
    state = case.state("visual_encoder")
    corners = state.pop("patch_pos_embed", None)
    model = VisionTransformer(vision_config(case.config))
    fill(model, release.from_release("visual_encoder", state))
    with torch.no_grad():
        ours = dict(states(case, model, corners))
    return [(key, worst(ours[key], tensor)) for key, tensor in case.under("out/").items()]


def states(case: Case, model: VisionTransformer, corners: Tensor | None) -> Iterator[tuple[str, Tensor]]:
    pixels = case.tensors["in/images"]
    x = model.embed(pixels)
    yield "after_ln_pre", x
    for i, block in enumerate(model.blocks):
        x = block(x)
        yield f"after_block_{i}", x
    pooled = model.pool(x)
    yield "after_attn_pool", pooled
    tokens = model(pixels)
    yield "tokens", tokens
    yield "tokens_vit_down", pool_features(tokens[:, : tokens.shape[1] // POOL * POOL], POOL)  # a rest is left out
    if corners is not None:
        placed = pooled + tile_embedding(case.tensors["in/patch_positions"], corners)
        yield "tokens_with_patch_pos", model.ln_post(placed) @ model.proj


def resampler(folder: Path, name: str) -> Results:
    case = read_case(folder, name)
    results: Results = []
    for sub in case.config["subcases"]:
        which, x = sub["name"], case.tensors[f"in/{sub['name']}/x"]
        model = QueryResampler(sub["grid_size"] ** 2, sub["embed_dim"], sub["num_heads"], sub["kv_dim"])
        ours_computed = model.positions.clone()
        official = release.from_release("agent", case.state(which, "input_resampler."))
        fill(model, {key.removeprefix("input_resampler."): tensor for key, tensor in official.items()})
        with torch.no_grad():
            results.append((f"{which}/y", worst(model(x), case.tensors[f"out/{which}/y"])))
        results += case.compare(f"{which}/key_pos_embed", resize_positions(model.positions, x.shape[1]))
        results.append((f"{which}/pos_embed", worst(ours_computed, model.positions)))
    return results


CASES: dict[str, Callable[[Path, str], Results]] = {"a": vision, "b": resampler}
