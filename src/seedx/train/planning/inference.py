"""The memory that a model takes in each memory mode to read pictures and to draw them, computed without its weights.

The modules run on fake tensors, which have shapes and no data, under `Meter`: what they allocate is known without being
allocated. Nothing is kept for a backward pass, so of a deep stack a few blocks tell the peak of all.

    loaded        bytes of the weights that are on the device (and in RAM) while a phase runs
    activations   the most that the phase allocates besides; it grows with tiles, tokens, or rows x pixels, so it is
                  measured at two sizes and a line is drawn through them
    keys, values  2 x layers x width of the keys x tokens, of one conversation

Phases of an answer: the visual tokenizer on all tiles, the language model on the prompt. Of a drawing: the language
model on its prompt, the U-Net on all branches of guidance, the autoencoder. What the process itself takes, with
libraries and CUDA's context, is `PROCESS`; it is part of the sum.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from seedx.checkpoint import quantization
from seedx.checkpoint.parts import build, modules, part_state
from seedx.checkpoint.placement import MODES, Memory, Placement, placement
from seedx.config import Config
from seedx.terminal import new_table
from seedx.train.planning.clusters import GIB
from seedx.train.planning.meter import Meter
from seedx.train.planning.workload import DEEP, FEW, RealIntegers, pretend

# Python and libraries: 0.49 GiB measured before anything is computed (docs/results/memory.md), and what kernels keep.
# With CUDA's context: assumed, not measured.
PROCESS = {"cpu": 0.55 * GIB, "gpu": 0.6 * GIB}
BUDGETS: dict[Memory, float] = {"full": 80 * GIB, "24gb": 24 * GIB, "12gb": 12 * GIB, "cpu": 24 * GIB}
SYSTEM = {"cpu": 2 * GIB, "gpu": 0.0}  # left to others
FRAGMENTED = {"cpu": 0.0, "gpu": 0.05}  # share that is lost between allocations of a GPU
STEP = 64  # pixels between two sizes of pictures
LARGEST = 2048
PROMPT = 512  # tokens besides those of pictures


@dataclass(frozen=True)
class Need:
    """Of one mode, in bytes.

    Attributes:
        answer: to answer about a picture of three tiles and its thumbnail, on the device.
        draw: to draw a picture of the model's size, with a condition where it can, on the device.
        ram: at most, where the device is a GPU: the weights that stay in RAM.
        largest: side in pixels of the largest square that fits in `budget`; 0: none does.
    """

    memory: Memory
    answer: float
    draw: float
    ram: float
    largest: int
    budget: float


def needs(config: Config, other_stage: bool = True) -> list[Need]:
    """Of every mode: "cpu" on the CPU, the others on a GPU.

    Args:
        other_stage: whether the model has both stages of the de-tokenizer, which "full" keeps side by side.
    """
    activations = Activations(config)
    return [_need(Usage(config, placement(name, _device(name)), activations, other_stage), name) for name in MODES]


def _device(name: Memory) -> str:
    return "cpu" if name == "cpu" else "cuda"


def _need(usage: Usage, name: Memory) -> Need:
    budget, side = BUDGETS[name], usage.config.detokenizer.image_size
    sides = range(LARGEST, 0, -STEP)
    largest = next((each for each in sides if usage.draw(each) + SYSTEM[usage.kind] <= budget), 0)
    return Need(name, usage.answer(), usage.draw(side), usage.ram(), largest, budget)


class Usage:
    """What one placement of a model takes."""

    def __init__(
        self, config: Config, where: Placement, activations: Activations | None = None, other_stage: bool = False
    ) -> None:
        self.config, self.where = config, where
        self.activations, self.other_stage = activations or Activations(config), other_stage
        self.kind = "cpu" if where.device.startswith("cpu") else "gpu"

    @cached_property
    def weights(self) -> dict[str, float]:
        """Bytes of each part, loaded."""
        sizes = {}
        for part, module in self.activations.modules.items():
            width = getattr(torch, self.where.dtype_of(part)).itemsize
            sizes[part] = sum(self._stored(part, name, t, width) for name, t in part_state(part, module).items())
        return sizes

    def answer(self, tiles: int = 4, tokens: int | None = None) -> float:
        """
        Args:
            tiles: of all pictures, thumbnails included.
            tokens: of the prompt and the reply; None: those of the tiles and `PROMPT` more.
        """
        tokens = tiles * (self.config.bridge.queries + 2) + PROMPT if tokens is None else tokens
        held = self.weights["language"] + self.weights["bridge"]
        vision = self._offloaded("vision", self.weights["vision"])
        reading = self.activations.vision(tiles, self._width("vision")) if tiles else 0
        pass_ = self.activations.language(tokens, self._width("language")) + self._cache(tokens)
        seen = vision if tiles else 0
        return self._sum(held + seen + max(reading, pass_))

    def draw(self, side: int, pictures: int = 1, tokens: int = PROMPT) -> float:
        """A square picture, or several together, asked for in words."""
        return max(self.reconstruct(side, pictures, self._language(tokens)), self.answer(0, tokens))

    def reconstruct(self, side: int, pictures: int = 1, besides: float = 0.0) -> float:
        """From features: no language model, unless its bytes are `besides`."""
        where, config = self.where, self.config.detokenizer
        rows = pictures if where.images_at_once is None else min(pictures, where.images_at_once)
        branches = 3 if config.condition else 2
        passes = rows * (branches if where.branches_together else 1)
        unet = self.activations.unet(passes, side, self._width("detokenizer"))
        decoded = 1 if where.vae_slicing else rows
        tile = min(side, where.vae_tile or side)
        vae = decoded * self.activations.vae(tile) + (tile < side) * decoded * 2 * 3 * 4 * side**2
        detokenizer = self._offloaded("detokenizer", self.weights["detokenizer"])
        both = 2 if self.other_stage and "detokenizer" not in where.one_at_a_time else 1  # stages held
        vision = 0.0 if "vision" in where.one_at_a_time else self._offloaded("vision", self.weights["vision"])
        return self._sum(besides + vision + both * detokenizer + self.weights["vae"] + max(unet, vae))

    def ram(self) -> float:
        """Weights that stay in RAM beside a GPU."""
        return float(sum(self.weights[part] for part in self.where.offload)) if self.kind == "gpu" else 0.0

    def _language(self, tokens: int) -> float:
        """What stays of the language side while its pictures are drawn."""
        return self.weights["language"] + self.weights["bridge"] + self._cache(tokens)

    def _sum(self, size: float) -> float:
        return size * (1 + FRAGMENTED[self.kind]) + PROCESS[self.kind]

    def _cache(self, tokens: int) -> float:
        language = self.config.language
        width = language.hidden_size // language.heads * (language.kv_heads or language.heads)
        return 2 * language.layers * width * tokens * self._width("language")

    def _offloaded(self, part: str, size: float) -> float:
        """On the device: all, or two of the largest layers, of which the second travels while the first computes."""
        if part not in self.where.offload or self.kind == "cpu":
            return size
        module = self.activations.modules[part]
        return 2 * self._width(part) * max(p.numel() for p in module.parameters())

    def _width(self, part: str) -> int:
        return int(getattr(torch, self.where.dtype_of(part)).itemsize)

    def _stored(self, part: str, name: str, tensor: Tensor, width: int) -> float:
        if part == "language" and self.where.quantised and quantization.quantised_name(name):
            return quantization.bytes_of(self.where.language, tensor.shape)
        return tensor.numel() * width


class Activations:
    """Peaks of what the modules allocate, in bytes; measured once for each precision."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._lines: dict[tuple[str, int], tuple[float, float]] = {}

    def vision(self, tiles: int, width: int) -> float:
        side = self.config.vision.image_size
        return self._line("vision", width, lambda n: (torch.empty(n, 3, side, side, dtype=_dtype(width)),), (1, 3))(
            tiles
        )

    def language(self, tokens: int, width: int) -> float:
        def inputs(count: int) -> tuple[Tensor, ...]:
            embeds = torch.empty(1, count, self.config.language.hidden_size, dtype=_dtype(width))
            return embeds, torch.arange(count, dtype=torch.int64)[None]

        return self._line("language", width, inputs, (256, 512))(tokens)

    def unet(self, rows: int, side: int, width: int) -> float:
        """Of rows x (side / factor)² latents, which is what it is linear in."""
        config, factor = self.config.detokenizer, self._detokenizer.vae.factor
        least = 2 ** (len(self._detokenizer.unet.config.down_block_types) - 1) * factor
        small = max(least, config.image_size // 2 // least * least)

        def inputs(side: int) -> tuple[Any, ...]:
            dtype, channels = _dtype(width), self._detokenizer.vae.channels
            noisy = torch.empty(1, channels, side // factor, side // factor)
            prompt = torch.empty(1, config.queries, sum(config.context_dims), dtype=dtype)
            return noisy, torch.empty(1), prompt, torch.empty(1, config.context_dims[1], dtype=dtype), torch.empty(1, 6)

        return rows * self._line("unet", width, inputs, (small, 2 * small), square=True)(side)

    def vae(self, side: int) -> float:
        config, factor = self.config.detokenizer, self._detokenizer.vae.factor
        small = max(4 * factor, config.image_size // 4 // factor * factor)

        def inputs(side: int) -> tuple[Tensor, ...]:
            return (torch.empty(1, self._detokenizer.vae.channels, side // factor, side // factor),)

        return self._line("vae", 4, inputs, (small, 2 * small), square=True)(side)

    def _line(
        self,
        what: str,
        width: int,
        inputs: Callable[[int], tuple[Any, ...]],
        sizes: tuple[int, int],
        square: bool = False,
    ) -> Callable[[int], float]:
        """Bytes by size, or by its square."""
        power = 2 if square else 1
        if (what, width) not in self._lines:
            one, two = (float(self._peak(what, width, inputs, size)) for size in sizes)
            slope = (two - one) / (sizes[1] ** power - sizes[0] ** power)
            self._lines[what, width] = (one - slope * sizes[0] ** power, slope)
        start, slope = self._lines[what, width]
        return lambda size: max(0.0, start + slope * size**power)

    def _peak(self, what: str, width: int, inputs: Callable[[int], tuple[Any, ...]], size: int) -> int:
        module, run = self._runs[what]
        module = copy.deepcopy(module)
        with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
            pretend(module, mode, _dtype(width))
            meter = Meter(module, {})
            with RealIntegers(), meter:  # type: ignore[no-untyped-call]
                run(module, *inputs(size))
        return meter.reading.peak

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        """Of each part, without weights."""
        return modules(*build(self.config))

    @property
    def _detokenizer(self) -> Any:
        return self.modules["detokenizer"]

    @cached_property
    def _runs(self) -> dict[str, tuple[nn.Module, Callable[..., Any]]]:
        """The modules, shortened, and how each is called."""
        seedx: Any
        seedx, detokenizer = copy.deepcopy((self.modules["bridge"], self._detokenizer))
        for module in (seedx, detokenizer):
            for stack in list(module.eval().modules()):
                if isinstance(stack, nn.ModuleList) and len(stack) > DEEP:
                    del stack[FEW:]
        return {
            "vision": (seedx.vision, lambda module, pixels: module(pixels)),
            "language": (seedx.language, lambda module, embeds, places: module.states(embeds, places)),
            "unet": (detokenizer, lambda module, *given: module.predict(*given)),
            "vae": (detokenizer, lambda module, latents: module.vae.decode(latents)),
        }


def _dtype(width: int) -> torch.dtype:
    return torch.float32 if width == 4 else torch.bfloat16


def table(found: Iterable[Need]) -> Table:
    """For `seedx info`, in GiB."""
    made = new_table("memory", "answer", "draw", "RAM beside", "of", "largest picture", "how", words=["how"])
    for need in found:
        sizes = [f"{size / GIB:.1f}" for size in (need.answer, need.draw, need.ram, need.budget)]
        where = "computed; " + ("CPU" if need.memory == "cpu" else "not run on a GPU by the authors")
        made.add_row(need.memory, *sizes, f"{need.largest} x {need.largest}" if need.largest else "none", where)
    return made
