"""An image span in one pass, against one token at a time: the same features, and how much faster.

    python benchmarks/image_span.py [--json] [--repeats 5]

Three ways to read a short prompt that ends in `<img>` and to get the features of the image, in turns:
    one_pass    seedx.inference.generate: the prompt, the placeholders and `</img>` in one pass
    one_by_one  the same model and cache, a pass for each token of the span
    plain       transformers' `generate`, with a logits processor that forces the tokens of the span
`ratio` is plain / one_pass, in medians; `max_abs_diff` is between the features of any two ways.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from seedx.checkpoint import native
from seedx.checkpoint.hub import bundled
from seedx.config import TINY, BridgeConfig, Config, LanguageConfig
from seedx.inference.generate import generate
from seedx.inference.rows import Prompt, RowRequest, SamplingSettings
from seedx.model.seedx import SeedX
from seedx.tokens import ADDED_TOKENS, SpecialTokens

THREADS = 2
PROMPT = 24  # tokens: "[INST] Draw a dog beside a red car, in the evening. [/INST]\n<img>" in a usual tokenizer

# The shape of SmolLM2-135M with the added tokens, drawing with 64 placeholders.
SMOL = dataclasses.replace(
    TINY,
    name="30 layers, width 576",
    language=LanguageConfig(
        vocab_size=49152 + len(ADDED_TOKENS),
        hidden_size=576,
        intermediate_size=1536,
        layers=30,
        heads=9,
        kv_heads=3,
        context=2048,
    ),
    bridge=BridgeConfig(queries=64, input_heads=8, output_heads=8),
)


class Ids:
    """A vocabulary without texts."""

    def __init__(self, config: Config) -> None:
        language = config.language
        self.vocab_size = language.vocab_size
        base = language.vocab_size - len(ADDED_TOKENS)
        self.specials = SpecialTokens.at(base, bos=language.bos, eos=language.eos, pad=language.pad)

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(map(str, ids))


class Forced(LogitsProcessor):
    """Leaves only the next token of a span."""

    def __init__(self, span: list[int], start: int) -> None:
        self.span, self.start = span, start

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        token = self.span[input_ids.shape[1] - self.start]
        return torch.full_like(scores, -torch.inf).index_fill(1, torch.tensor([token]), 0.0)


def one_pass(model: SeedX, ids: Ids, prompt: list[int], span: list[int]) -> Tensor:
    request = RowRequest(Prompt(torch.tensor(prompt)), SamplingSettings(max_new_tokens=len(span)))
    return generate(model, ids, [request])[0].images[0]


@torch.no_grad()
def one_by_one(model: SeedX, ids: Ids, prompt: list[int], span: list[int]) -> Tensor:
    cache, states = model.language.new_cache(), []
    model.language.states(model.language.embed(torch.tensor([prompt])), torch.arange(len(prompt))[None], cache)
    for position, token in enumerate(span, start=len(prompt)):
        embeds = model.language.embed(torch.tensor([[token]]))
        states.append(model.language.states(embeds, torch.tensor([[position]]), cache))
    return model.draw_features(torch.cat(states[:-1], dim=1))[0]


@torch.no_grad()
def plain(model: SeedX, ids: Ids, prompt: list[int], span: list[int]) -> Tensor:
    given = torch.tensor([prompt])
    llm: Any = model.language.llm
    out = llm.generate(
        given,
        attention_mask=torch.ones_like(given),
        logits_processor=LogitsProcessorList([Forced(span, len(prompt))]),
        max_new_tokens=len(span),
        do_sample=False,
        output_hidden_states=True,
        return_dict_in_generate=True,
    )
    # The states of step i are those of the token before: the first step's are the prompt's.
    states = torch.cat([step[-1] for step in out.hidden_states[1:]], dim=1)
    return model.draw_features(states)[0]


WAYS: dict[str, Callable[[SeedX, Ids, list[int], list[int]], Tensor]] = {
    "one_pass": one_pass,
    "one_by_one": one_by_one,
    "plain": plain,
}


def measure(model: SeedX, repeats: int) -> dict[str, float | str]:
    ids = Ids(model.config)
    image = ids.specials.image(model.config.bridge.queries)
    text = torch.randint(3, ids.specials.placeholders[0], (PROMPT - 1,)).tolist()
    prompt, span = [*text, image[0]], image[1:]
    features = [way(model, ids, prompt, span) for way in WAYS.values()]  # also warms up
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, way in WAYS.items():
            start = time.perf_counter()
            way(model, ids, prompt, span)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "model": model.config.name,
        "placeholders": len(span) - 1,
        **{f"{name}_seconds": value for name, value in medians.items()},
        "ratio": medians["plain"] / medians["one_pass"],
        "ratio_one_by_one": medians["one_by_one"] / medians["one_pass"],
        "max_abs_diff": max((a - b).abs().max().item() for a in features for b in features),
    }


def models() -> list[SeedX]:
    """The tiny model, bundled or else with random weights, and a larger one with random weights."""
    torch.manual_seed(0)
    tiny = native.load("tiny").seedx if bundled("tiny") else SeedX(TINY).eval()
    return [tiny, SeedX(SMOL).eval()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each way")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    results = [measure(model, options.repeats) for model in models()]
    if options.json:
        print(json.dumps({"threads": THREADS, "prompt": PROMPT, "results": results}, indent=1))
        return
    for r in results:
        times = ", ".join(f"{name} {r[f'{name}_seconds']:.3f} s" for name in WAYS)
        print(f"{r['model']}, {r['placeholders']} placeholders: {times}")
        print(
            f"    ratio {r['ratio']:.1f} (one by one {r['ratio_one_by_one']:.1f}), max_abs_diff {r['max_abs_diff']:.1e}"
        )


if __name__ == "__main__":
    main()
