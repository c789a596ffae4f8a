"""The engine llama_cpp against a bare loop over llama.cpp's own functions, on the same file in the same run.

    python benchmarks/llama.py [--threads 1] [--repeats 7] [--kinds f16 q4_0] [--wide] [--cpu] [--json]

Models of random weights, which take the time of true ones: the tiny model's language model; the shape of SmolLM2-135M;
with `--wide` four layers of the released model's width. In turns, `--repeats` times:
    prompt    256 tokens, the logits of the last: `seedx` from ids to the first token, `bare` from ids to the same
    decode    a token, the median of 48 after that prompt: `seedx` is a pass of `Generation`, with embedding, decoding,
              suppression and text; `bare` feeds the token and takes the argmax
    span      an image begun after that prompt, placeholders and `</img>` in one pass: `seedx` with the states of all
              and the features; `bare` reads as many tokens
`ratio` is bare / seedx in medians: 1 is as fast as llama.cpp, and less is slower. With `--cpu` the seconds are those of
the processor, not of the clock: the way to measure one thread on a machine that others use as well.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from image_span import SMOL, Ids
from seedx.checkpoint import gguf_file
from seedx.config import SEED_X_17B, TINY, Config
from seedx.engines.llama_context import BATCH, LlamaModel
from seedx.engines.llama_runner import LlamaRunner
from seedx.inference.generate import Generation
from seedx.inference.rows import Prompt, RowRequest, SamplingSettings
from seedx.model.language import Language
from seedx.model.seedx import SeedX

PROMPT, NEW = 256, 48  # tokens
CLOCK = time.perf_counter
TINY_SHAPE = dataclasses.replace(TINY, name="tiny", language=dataclasses.replace(TINY.language, vocab_size=2400))
WIDE = dataclasses.replace(
    TINY,
    name="4 layers, width 5120",
    language=dataclasses.replace(SEED_X_17B.language, layers=4, lora=None),
    bridge=dataclasses.replace(TINY.bridge, queries=64),
)


class Bare:
    """llama.cpp's functions and nothing else."""

    def __init__(self, model: LlamaModel, cells: int) -> None:
        self.api = api = model.api
        settings = api.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_ubatch = cells, BATCH, BATCH
        settings.n_threads = settings.n_threads_batch = model.threads
        settings.no_perf = True
        self.context = api.llama_init_from_model(model.pointer, settings)
        self.memory = api.llama_get_memory(self.context)
        self.batch = api.llama_batch_init(BATCH, 0, 1)
        self.vocabulary = model.config.vocab_size

    def read(self, ids: list[int], start: int) -> int:
        """The most likely next token."""
        batch, last = self.batch, len(ids) - 1
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, start + i, 1, i == last
            batch.seq_id[i][0] = 0
        assert self.api.llama_decode(self.context, batch) == 0
        logits = np.ctypeslib.as_array(self.api.llama_get_logits_ith(self.context, last), (self.vocabulary,))
        return int(logits.argmax())

    def times(self, ids: list[int], span: int) -> dict[str, float]:
        seconds: dict[str, float] = {}
        self.api.llama_memory_clear(self.memory, False)
        start = CLOCK()
        token = self.read(ids, 0)
        seconds["prompt"] = CLOCK() - start
        each = []
        for position in range(len(ids), len(ids) + NEW):
            start = CLOCK()
            token = self.read([token], position)
            each.append(CLOCK() - start)
        seconds["decode"] = statistics.median(each)
        self.api.llama_memory_seq_rm(self.memory, 0, len(ids), -1)
        start = CLOCK()
        self.read(ids[:span], len(ids))
        seconds["span"] = CLOCK() - start
        return seconds

    def close(self) -> None:
        self.api.llama_batch_free(self.batch)
        self.api.llama_free(self.context)


class Ours:
    """`Generation` on the engine llama_cpp."""

    def __init__(self, model: LlamaModel, config: Config) -> None:
        with torch.device("meta"):
            self.seedx = SeedX(config).eval()
        self.seedx.output_resampler.to_empty(device="cpu").requires_grad_(False)
        for parameter in self.seedx.output_resampler.parameters():
            parameter.normal_(std=0.02)
        self.model, self.vocabulary = model, Ids(config)

    def times(self, ids: list[int]) -> dict[str, float]:
        seconds: dict[str, float] = {}
        generation, row = self._joined(ids, "forbid")
        start = CLOCK()
        generation.step()
        seconds["prompt"] = CLOCK() - start
        each = []
        for _ in range(NEW):
            if not row.running:  # random weights may choose the end
                row.running, row.pending = True, [5]
            start = CLOCK()
            generation.step()
            each.append(CLOCK() - start)
        seconds["decode"] = statistics.median(each)
        generation.leave(row)
        generation, row = self._joined(ids, "force")
        generation.step()
        row.draw_now()
        start = CLOCK()
        generation.step()
        seconds["span"] = CLOCK() - start
        assert row.span is None and row.images
        generation.leave(row)
        return seconds

    def _joined(self, ids: list[int], drawing: Any) -> tuple[Generation, Any]:
        generation = Generation(self.seedx, self.vocabulary, LlamaRunner(self.model))
        settings = SamplingSettings(max_new_tokens=4 * NEW, drawing=drawing)
        (row,) = generation.join([RowRequest(Prompt(torch.tensor(ids)), settings)])
        return generation, row


def random_weights(config: Config) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = {name: each.shape for name, each in Language(config.language).state_dict().items()}
    noise = 0.02 * torch.randn(1 << 22)
    return {
        name: noise.repeat(-(-shape.numel() // len(noise)))[: shape.numel()].half().reshape(shape)
        if len(shape) > 1
        else torch.ones(shape)
        for name, shape in shapes.items()
    }


def measure(config: Config, kind: Any, threads: int, repeats: int, folder: Path) -> dict[str, Any]:
    file = folder / "language.gguf"
    gguf_file.write(file, config.language, random_weights(config), kind)
    model = LlamaModel(file, config.language, threads=threads)
    ids = torch.randint(3, 1000, (PROMPT,), generator=torch.Generator().manual_seed(0)).tolist()
    span = config.bridge.queries + 2
    bare, ours = Bare(model, PROMPT + 4 * NEW), Ours(model, config)
    runs: dict[str, list[dict[str, float]]] = {"bare": [], "seedx": []}
    for repeat in range(repeats + 1):
        each = {"bare": bare.times(ids, span), "seedx": ours.times(ids)}
        if repeat:  # the first does not count
            for name, seconds in each.items():
                runs[name].append(seconds)
    bare.close()
    row: dict[str, Any] = {"model": config.name, "kind": kind, "mb": round(file.stat().st_size / 1e6, 1)}
    for what in ("prompt", "decode", "span"):
        medians = {name: statistics.median(each[what] for each in seconds) for name, seconds in runs.items()}
        row[what] = {f"{name}_ms": round(1000 * value, 3) for name, value in medians.items()}
        row[what]["ratio"] = round(medians["bare"] / medians["seedx"], 3)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--kinds", nargs="+", default=["f16", "q8_0", "q4_0"])
    parser.add_argument("--wide", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.cpu:
        globals()["CLOCK"] = time.process_time
    torch.set_num_threads(options.threads)
    rows = []
    for config in (TINY_SHAPE, SMOL, *([WIDE] if options.wide else [])):
        for kind in options.kinds:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(config, kind, options.threads, options.repeats, Path(folder)))
            if not options.json:
                print(_line(rows[-1]), flush=True)
    if options.json:
        print(json.dumps({"threads": options.threads, "rows": rows}))


def _line(row: dict[str, Any]) -> str:
    parts = [
        f"{what} {row[what]['ratio']:.2f} ({row[what]['seedx_ms']:.2f} ms)" for what in ("prompt", "decode", "span")
    ]
    return f"| {row['model']} | {row['kind']} | {row['mb']} MB | " + " | ".join(parts) + " |"


if __name__ == "__main__":
    main()
