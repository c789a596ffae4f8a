"""Golden cases of the comprehension and generation side: visual tokenizer, resampler, losses and gradients, answers.

Each case reads NAME.json (sizes) and NAME.safetensors (state, inputs, outputs) and returns (what, worst absolute error)
for all that it compares.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import torch

from seedx import convert
from seedx import tokenizer as tokenizers
from seedx.config import VisionConfig
from seedx.generate import Answer, ImageFeatures, Options, Prompt, generate
from seedx.model.resampler import QueryResampler, resize_positions
from seedx.model.seedx import tile_embedding
from seedx.model.vision import VisionTransformer, pool_features
from seedx.sampling import suppress
from seedx.tokens import SpecialTokens
from seedx.verify.build import seedx, vision_config
from seedx.verify.detokenizer_cases import Case, Results, fill, read_case, worst
from seedx.verify.loss_case import forward


def vision(folder: Path, name: str) -> Results:
    """States on the way and tokens; also the class's option to add the positions of tiles, here before `ln_post`.

    The release leaves that option off; the same positions, added after the input resampler, are what `SeedX` does.
    """
    case = read_case(folder, name)
    t, state = case.tensors, case.state("visual_encoder")
    corners = state.pop("patch_pos_embed", None)
    model = VisionTransformer(vision_config(case.facts["config"]))
    fill(model, convert.from_release("visual_encoder", state))
    with torch.no_grad():
        states = {"after_ln_pre": (x := model.embed(t["in/images"]))}
        for i, block in enumerate(model.blocks):
            states[f"after_block_{i}"] = x = block(x)
        states["after_attn_pool"] = x = model.pool(x)
        states["tokens"] = tokens = model(t["in/images"])
        states["tokens_vit_down"] = pool_features(tokens, VisionConfig.pool)
        if corners is not None:
            placed = x + tile_embedding(t["in/patch_positions"], corners)
            states["tokens_with_patch_pos"] = model.ln_post(placed) @ model.proj
    expected = {key.removeprefix("out/"): tensor for key, tensor in t.items() if key.startswith("out/")}
    return [(key, worst(states[key], tensor)) for key, tensor in expected.items()]


def resampler(folder: Path, name: str) -> Results:
    case = read_case(folder, name)
    results = []
    for sub in case.facts["config"]["subcases"]:
        which, x = sub["name"], case.tensors[f"in/{sub['name']}/x"]
        model = QueryResampler(sub["grid_size"] ** 2, sub["embed_dim"], sub["num_heads"], sub["kv_dim"])
        ours_computed = model.positions.clone()
        state = {f"input_resampler.{key}": tensor for key, tensor in case.state(which).items()}
        official = convert.from_release("agent", state)
        fill(model, {key.removeprefix("input_resampler."): tensor for key, tensor in official.items()})
        keys = resize_positions(model.positions, x.shape[1])
        with torch.no_grad():
            results.append((f"{which}/y", worst(model(x), case.tensors[f"out/{which}/y"])))
        results.append((f"{which}/key_pos_embed", worst(keys, case.tensors[f"out/{which}/key_pos_embed"])))
        results.append((f"{which}/pos_embed", worst(ours_computed, model.positions)))
    return results


def answers(folder: Path, name: str) -> Results:
    """Greedy answers by the release's rule: ids, drawn states and features, one by one and all in one batch."""
    case = read_case(folder, name)
    model, inputs = seedx(case).eval(), dict(case.facts["inputs"])
    tokenizer = tokenizers.load(find(folder, "tokenizer"))
    processor = inputs.pop("processor", None)
    results = [] if processor is None else suppression(case, tokenizer.specials, processor["num_img_gen_tokens"])
    prompts = {sub: prompt_of(case, sub) for sub in inputs}
    for sub, prompt in prompts.items():
        options = Options(max_new_tokens=inputs[sub]["max_new_tokens"], release_suppression=True)
        results += answer(case, sub, "", generate(model, tokenizer, [prompt], options)[0])
    longest = max(facts["max_new_tokens"] for facts in inputs.values())
    together = generate(
        model, tokenizer, list(prompts.values()), Options(max_new_tokens=longest, release_suppression=True)
    )
    for sub, whole in zip(prompts, together, strict=True):
        results += answer(case, sub, "/batched", whole)
    return results


def prompt_of(case: Case, sub: str) -> Prompt:
    t = case.tensors
    return Prompt(
        ids=t[f"in/{sub}/input_ids"][0].tolist(),
        tiles=t.get(f"in/{sub}/image_embeds"),
        tile_positions=t.get(f"in/{sub}/patch_positions"),
        read_mask=t[f"in/{sub}/ids_cmp_mask"][0].tolist()
        if f"in/{sub}/ids_cmp_mask" in t
        else [False] * t[f"in/{sub}/input_ids"].shape[1],
    )


def answer(case: Case, sub: str, how: str, ours: Answer) -> Results:
    """An answer may go on after the expected one, which was cut at its own limit."""
    t = case.tensors
    ids = t[f"out/{sub}/new_ids"].tolist()
    results = [(f"{sub}{how}/new_ids", float(sum(a != b for a, b in itertools.zip_longest(ids, ours.ids[: len(ids)]))))]
    if f"out/{sub}/img_hidden" in t:
        hidden, features = t[f"out/{sub}/img_hidden"], t[f"out/{sub}/img_gen_feat"]
        drawn = [part for part in ours.parts if isinstance(part, ImageFeatures)][: len(hidden)]
        results.append((f"{sub}{how}/images", float(len(hidden) - len(drawn))))
        for i, image in enumerate(drawn):
            results.append((f"{sub}{how}/img_hidden_{i}", worst(image.states, hidden[i])))
            results.append((f"{sub}{how}/img_gen_feat_{i}", worst(image.features, features[i])))
    return results


def suppression(case: Case, specials: SpecialTokens, queries: int) -> Results:
    """The release's logits processor: forced tokens within a span, zeroed logits outside.

    A span's tokens are forced there by raising one logit; here they are never chosen at all, so that the winner is
    compared.
    """
    span = specials.image(queries)
    results = []
    last = case.tensors["in/processor/input_ids"][:, -1].tolist()
    for kind in ("scores", "scores_all_negative"):
        ours = suppress(case.tensors[f"in/processor/{kind}"], specials, queries, release=True)
        expected = case.tensors[f"out/processor/{kind}"]
        outside = [i for i, token in enumerate(last) if token not in span[:-1]]
        within = [i for i, token in enumerate(last) if token in span[:-1]]
        forced = torch.tensor([span[span.index(last[i]) + 1] for i in within])
        results.append((f"processor/{kind}/outside", worst(ours[outside], expected[outside])))
        results.append((f"processor/{kind}/within", float((expected[within].argmax(dim=-1) != forced).sum())))
    return results


def find(folder: Path, name: str) -> Path:
    """A shared input of the cases: in their folder or beside it.

    Raises:
        ValueError: it is in neither.
    """
    for place in (folder / name, folder.parent / name):
        if place.exists():
            return place
    raise ValueError(f"the cases in {str(folder)!r} need {name!r} there or in the folder above")


CASES: dict[str, Callable[[Path, str], Results]] = {"a": vision, "b": resampler, "c": forward, "d": answers}
