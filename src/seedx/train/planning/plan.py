"""What a recipe needs of a cluster: memory, operations, traffic, time; and which settings fit.

Nothing is guessed about the model: its stage is built on the meta device, and one micro-batch runs there under `Meter`.
Guessed are the average sample (`samples`) and the share of the GPUs' peak that is reached (`mfu`), which counts all
operations that run, those repeated by activation checkpointing too. FSDP gathers ahead, so a micro-batch takes as long
as its operations or its traffic, whichever is longer.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from seedx.config import PRESETS, Config
from seedx.errors import SeedxError
from seedx.model.vision import VisionTransformer
from seedx.train.engine import trainable
from seedx.train.planning import costs
from seedx.train.planning.clusters import Cluster
from seedx.train.planning.costs import Memory, Setting, Sizes, Traffic
from seedx.train.planning.meter import Measured
from seedx.train.planning.samples import Sample, average
from seedx.train.planning.workload import DetokenizerStep, LanguageStep, Load, Step, meter
from seedx.train.recipe import Recipe

MICROS = (1, 2, 4, 8, 16)
DAY = 24 * 3600
SLOWER = {"autoencoder": 2.0}  # it stays float32, which tensor cores take as TF32 at half their speed


@dataclass(frozen=True)
class Choice:
    """One setting on the cluster.

    Attributes:
        accumulation: micro-batches of a step on each GPU.
        compute, step: seconds of the operations of a micro-batch, and of a whole step.
        samples: a second, of all GPUs.
        mfu: share of the peak without what is repeated by checkpointing.
    """

    setting: Setting
    memory: Memory
    traffic: Traffic
    fits: bool
    accumulation: int
    compute: float
    step: float
    samples: float
    mfu: float


@dataclass(frozen=True)
class Plan:
    """
    Attributes:
        sample: the average one; of the de-tokenizer, a picture.
        samples_per_row: of the language model's packed rows; 1 for the de-tokenizer.
        flops: of a sample by part, forward and backward, nothing repeated.
        repeated: what activation checkpointing adds to a sample.
        logits: bytes of the head's logits and their gradients in one micro-batch of the recipe.
        choices: every setting, the recipe's own first.
    """

    recipe: Recipe
    cluster: Cluster
    gpus: int
    sizes: Sizes
    sample: Sample
    samples_per_row: float
    flops: dict[str, float]
    repeated: float
    logits: int
    choices: list[Choice]

    def days(self, choice: Choice, samples: float | None = None) -> float:
        """For so many samples, or for the steps of the recipe."""
        if samples is None:
            return self.recipe.steps * choice.step / DAY
        return samples / choice.samples / DAY


def plan(recipe: Recipe, cluster: Cluster, gpus: int, mfu: float = 0.4, sample: Sample | None = None) -> Plan:
    """
    Args:
        mfu: share of the peak that running operations reach.
        sample: the average sample; None: by the formats of the recipe's data.

    Raises:
        SeedxError: a stage that can't be planned, no GPUs, a batch or replicas that they can't share, or a share
            outside 0..1.
    """
    if gpus < 1:
        raise SeedxError(f"a plan needs at least one GPU, not {gpus}")
    if not 0 < mfu <= 1:
        raise SeedxError(f"mfu is a share of the peak, above 0 and up to 1, not {mfu}")
    own = Setting(recipe.micro_rows(gpus), gpus // recipe.shards(gpus), recipe.activation_checkpointing)
    model = trainable.build(recipe)
    config = PRESETS[recipe.config]
    language = recipe.stage == "language"
    beside = None if language else _vision(config)
    of = costs.sizes(model, beside)
    sample = (sample or average(recipe.data)) if language else Sample(tokens=config.bridge.queries)
    workload = Workload(recipe, config, sample, gpus > 1)
    once, again = (workload.measure(workload.rows, checkpointing).flops for checkpointing in (False, True))
    samples = workload.rows * workload.samples_per_row
    choices = [
        _choice(workload, of, cluster, gpus, mfu, setting)
        for setting in dict.fromkeys([own, *_settings(recipe, gpus, cluster)])
    ]
    return Plan(
        recipe,
        cluster,
        gpus,
        of,
        sample,
        workload.samples_per_row,
        {part: flops / samples for part, flops in once.items()},
        (again.total() - once.total()) / samples,
        workload.load(own.micro).learned * config.language.vocab_size * (2 + 4 + 4) if language else 0,
        choices,
    )


class Workload:
    """Micro-batches of a recipe, metered when they are asked for.

    Attributes:
        rows: the recipe's own number, at least two: what is metered besides one row.
    """

    def __init__(self, recipe: Recipe, config: Config, sample: Sample, sharded: bool) -> None:
        self.recipe, self.config, self.sample, self.sharded = recipe, config, sample, sharded
        self.language = recipe.stage == "language"
        self.rows = max(2, recipe.micro_batch_size)
        self.samples_per_row = recipe.max_seq_len / sample.tokens if self.language else 1.0
        self.measure: Callable[[int, bool], Measured] = functools.cache(self._measure)

    def load(self, rows: int) -> Load:
        if not self.language:
            return Load(rows, self.config.detokenizer.image_size)
        samples = rows * self.samples_per_row
        tiles, drawn, learned = (
            math.ceil(samples * n) for n in (self.sample.tiles, self.sample.drawn, self.sample.learned)
        )
        return Load(rows, self.recipe.max_seq_len, tiles, drawn, learned, math.ceil(self.samples_per_row))

    def activations(self, rows: int, checkpointing: bool) -> float:
        """Peak bytes, by a line through the two numbers of rows that are metered."""
        first, last = (self.measure(n, checkpointing).peak for n in (1, self.rows))
        return first + (last - first) * (rows - 1) / (self.rows - 1)

    def step(self) -> Step:
        model = trainable.build(self.recipe)
        return LanguageStep(model) if self.language else DetokenizerStep(model, _vision(self.config))  # type: ignore[arg-type]

    def _measure(self, rows: int, checkpointing: bool) -> Measured:
        bf16 = self.recipe.bf16
        return meter(self.step, self.load(rows), gpu=True, sharded=self.sharded, bf16=bf16, checkpointing=checkpointing)


def _settings(recipe: Recipe, gpus: int, cluster: Cluster) -> list[Setting]:
    nodes = gpus // cluster.per_node if gpus % cluster.per_node == 0 else 1
    micros = [micro for micro in MICROS if recipe.global_batch_size // gpus % micro == 0]
    return [Setting(m, r, c) for c in (True, False) for r in dict.fromkeys((1, nodes, gpus)) for m in micros]


def _choice(workload: Workload, of: Sizes, cluster: Cluster, gpus: int, mfu: float, setting: Setting) -> Choice:
    recipe, scale = workload.recipe, setting.micro / workload.rows
    run = workload.measure(workload.rows, setting.checkpointing).flops
    needed = workload.measure(workload.rows, False).flops.total() * scale
    memory = costs.memory(of, recipe, setting, gpus, workload.activations(setting.micro, setting.checkpointing))
    traffic = costs.traffic(of, recipe, setting, gpus, cluster)
    peak = cluster.tflops * 1e12
    compute = scale * sum(flops * SLOWER.get(part, 1.0) for part, flops in run.items()) / (peak * mfu)
    accumulation = recipe.global_batch_size // (gpus * setting.micro)
    step = accumulation * max(compute, traffic.seconds)
    samples = accumulation * gpus * setting.micro * workload.samples_per_row / step
    return Choice(
        setting,
        memory,
        traffic,
        memory.fits(cluster),
        accumulation,
        compute,
        step,
        samples,
        accumulation * needed / (step * peak),
    )


def _vision(config: Config) -> VisionTransformer:
    with torch.device("meta"):
        return VisionTransformer(config.vision).requires_grad_(False)


def as_dict(plan: Plan, samples: float | None = None) -> dict[str, object]:
    """JSON types; memory in bytes."""
    choices = [
        dataclasses.asdict(c) | {"total_memory": c.memory.total, "days": plan.days(c, samples)} for c in plan.choices
    ]
    values = {f.name: getattr(plan, f.name) for f in dataclasses.fields(plan)} | {"recipe": plan.recipe.name}
    plain = {k: dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v for k, v in values.items()}  # type: ignore[arg-type]
    return plain | {"choices": choices}
