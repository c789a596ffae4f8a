"""Golden cases of answers (`d`): greedy generation by the release's rule, one by one and all in one batch."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from seedx import tokenizer as tokenizers
from seedx.inference.events import Answer, ImageEvent
from seedx.inference.generate import generate
from seedx.inference.rows import Prompt, RowRequest, SamplingSettings
from seedx.inference.sampling import suppress
from seedx.model.seedx import SeedX
from seedx.tokenizer import Tokenizer
from seedx.tokens import SpecialTokens
from seedx.verify.build import seedx
from seedx.verify.case import Case, Results, find, read_case, worst

UNLIMITED = 1 << 20  # tokens: the release generates past its context


def answers(folder: Path, name: str) -> Results:
    """Ids, drawn states and features, and the state that the answer starts from; and the logits' rule alone."""
    case = read_case(folder, name)
    tokenizer, model = tokenizers.load(find(folder, "tokenizer")), seedx(case).eval()
    subs = [sub for sub in case.facts["inputs"] if f"out/{sub}/new_ids" in case.tensors]
    results: Results = []
    for sub in case.facts["inputs"]:
        if sub not in subs and f"in/{sub}/scores" in case.tensors:
            results += suppression(case, sub, tokenizer.specials)
    by_length: dict[int, list[str]] = {}
    for sub in subs:
        by_length.setdefault(drawn_tokens(case, sub), []).append(sub)
    for queries, group in by_length.items():
        bridge = dataclasses.replace(model.config.bridge, queries=queries)
        language = dataclasses.replace(model.config.language, context=UNLIMITED)
        model.config = dataclasses.replace(model.config, bridge=bridge, language=language)
        results += group_of(case, model, tokenizer, group)
    return results


def drawn_tokens(case: Case, sub: str) -> int:
    """Tokens of an image drawn; the release may draw with another number than it reads, if a prompt has no image."""
    return int(case.setting("num_img_gen_tokens", sub, case.config["num_img_tokens"]))


def group_of(case: Case, model: SeedX, tokenizer: Tokenizer, subs: list[str]) -> Results:
    """Prompts that draw with the same number of tokens: each alone, then all in one batch."""
    prompts = [prompt_of(case, sub) for sub in subs]
    limits = [case.setting("max_new_tokens", sub, case.tensors[f"out/{sub}/new_ids"].numel()) for sub in subs]
    results: Results = []
    for sub, prompt, limit in zip(subs, prompts, limits, strict=True):
        results += case.compare(f"{sub}/last_hidden_of_prompt_end", last_state(model, prompt))
        settings = SamplingSettings(max_new_tokens=limit, release_suppression=True)
        results += answer(case, sub, "", generate(model, tokenizer, [RowRequest(prompt, settings)])[0])
    settings = SamplingSettings(max_new_tokens=max(limits), release_suppression=True)
    together = generate(model, tokenizer, [RowRequest(prompt, settings) for prompt in prompts])
    for sub, whole in zip(subs, together, strict=True):
        results += answer(case, sub, "/batched", whole)
    return results


def prompt_of(case: Case, sub: str) -> Prompt:
    """A prompt as the release was given it: of the images, those that its mask keeps."""
    given = case.under(f"in/{sub}/")
    ids = given["input_ids"][0]
    mask = given.get("ids_cmp_mask", torch.zeros_like(ids[None], dtype=torch.bool))[0]
    tiles, places = given.get("image_embeds"), given.get("patch_positions")
    if tiles is not None and (kept := given.get("embeds_cmp_mask")) is not None:
        tiles, places = tiles[kept], None if places is None else places[kept]
    tiles, places = (None, None) if tiles is None or not len(tiles) else (tiles, places)
    return Prompt(ids=ids, tiles=tiles, tile_positions=places, read_mask=mask)


@torch.no_grad()
def last_state(model: SeedX, prompt: Prompt) -> Tensor:
    """(dim,) the final state of a prompt's last token, without a cache."""
    assert prompt.read_mask is not None
    embeds = model.embed(prompt.ids[None], prompt.read_mask[None], prompt.tiles, prompt.tile_positions)
    return model.language.states(embeds, torch.arange(len(prompt.ids))[None])[0, -1]


def answer(case: Case, sub: str, how: str, ours: Answer) -> Results:
    """Compare ids and drawn images. An answer may be longer than the expected one, which was cut at its own limit."""
    ids = case.tensors[f"out/{sub}/new_ids"].flatten().tolist()
    results = [(f"{sub}{how}/new_ids", float(sum(a != b for a, b in itertools.zip_longest(ids, ours.ids[: len(ids)]))))]
    if (hidden := case.tensors.get(f"out/{sub}/img_hidden")) is not None:
        features = case.tensors[f"out/{sub}/img_gen_feat"]
        drawn = [part for part in ours.parts if isinstance(part, ImageEvent)][: len(hidden)]
        results.append((f"{sub}{how}/images", float(len(hidden) - len(drawn))))
        for i, image in enumerate(drawn):
            results.append((f"{sub}{how}/img_hidden_{i}", worst(image.states, hidden[i])))
            results.append((f"{sub}{how}/img_gen_feat_{i}", worst(image.features, features[i])))
    return results


def suppression(case: Case, sub: str, specials: SpecialTokens) -> Results:
    """The release's logits processor: forced tokens within a span, zeroed logits outside.

    A span's tokens are forced there by raising one logit; here they are never chosen at all, so that the winner is
    compared.
    """
    queries = drawn_tokens(case, sub)
    span, given = specials.image(queries), case.under(f"in/{sub}/")
    last = given.pop("input_ids")[:, -1].tolist()
    outside = [i for i, token in enumerate(last) if token not in span[:-1]]
    within = [i for i, token in enumerate(last) if token in span[:-1]]
    forced = torch.tensor([span[span.index(last[i]) + 1] for i in within])
    results = []
    for kind, scores in given.items():
        ours = suppress(scores, specials, queries, release=True)
        expected = case.tensors[f"out/{sub}/{kind}"]
        results.append((f"{sub}/{kind}/outside", worst(ours[outside], expected[outside])))
        results.append((f"{sub}/{kind}/within", float((expected[within].argmax(dim=-1) != forced).sum())))
    return results


CASES: dict[str, Callable[[Path, str], Results]] = {"d": answers}
