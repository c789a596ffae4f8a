"""What a recipe needs on a cluster: memory, FLOPs, traffic and time; and which settings fit.

The figures of the model are measured: its stage is built on the meta device, and one micro-batch runs there under
`Meter`. Two figures are assumed: the average sample (`sample_stats`), and the share of the GPUs' peak that running
operations reach (`mfu`; those repeated by activation checkpointing count as running). FSDP gathers ahead, so a
micro-batch takes as long as its operations or its traffic, whichever is longer.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import torch

from seedx.config import PRESETS
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.model.vision import VisionTransformer
from seedx.train.engine import trainable
from seedx.train.planning import costs, workload
from seedx.train.planning.clusters import Cluster
from seedx.train.planning.costs import Memory, Setting, Sizes, Traffic
from seedx.train.planning.meter import Measured
from seedx.train.planning.sample_stats import SampleStats, average
from seedx.train.planning.workload import DetokenizerStep, LanguageStep, Load, Step
from seedx.train.recipe import Recipe

MICRO_BATCH_SIZES = (1, 2, 4, 8, 16)
DAY = 24 * 3600  # seconds
SLOWER = {"autoencoder": 2.0}  # it stays float32, which tensor cores take as TF32 at half their speed
LOGIT_BYTES = 2 + 4 + 4  # of a logit in bfloat16 and float32, and of its gradient


@dataclass(frozen=True)
class Choice:
    """One setting on the cluster.

    Attributes:
        accumulation: micro-batches of a step on each GPU.
        compute, step: seconds of the operations of a micro-batch, and of a whole step.
        samples: per second, of all GPUs.
        mfu: share of the peak, without what activation checkpointing repeats.
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
        sample: the average one; for the de-tokenizer, a picture.
        samples_per_row: of the language model's packed rows; 1 for the de-tokenizer.
        flops: of a sample by part, forward and backward, nothing repeated.
        repeated: FLOPs that activation checkpointing adds to a sample.
        logits: bytes of the head's logits and their gradients in one micro-batch of the recipe.
        choices: every setting, the recipe's own first.
    """

    recipe: Recipe
    cluster: Cluster
    gpus: int
    sizes: Sizes
    sample: SampleStats
    samples_per_row: float
    flops: dict[str, float]
    repeated: float
    logits: int
    choices: list[Choice]

    def days(self, choice: Choice, samples: float | None = None) -> float:
        """For a number of samples, or for the steps of the recipe."""
        if samples is None:
            return self.recipe.steps * choice.step / DAY
        return samples / choice.samples / DAY


def plan(recipe: Recipe, cluster: Cluster, gpus: int, mfu: float = 0.4, sample: SampleStats | None = None) -> Plan:
    """
    Args:
        mfu: share of the peak that running operations reach.
        sample: the average sample; None: by the formats of the recipe's data.

    Raises:
        SeedxError: a stage that can't be planned, no GPUs, a batch or replicas that the GPUs can't share, or a share
            outside 0..1.
    """
    if gpus < 1:
        raise SeedxError(f"a plan needs at least one GPU, not {gpus}")
    if not 0 < mfu <= 1:
        raise SeedxError(f"mfu is a share of the peak, above 0 and up to 1, not {mfu}")
    own = Setting(recipe.micro_rows(gpus), gpus // recipe.shards(gpus), recipe.activation_checkpointing)
    step = on_meta(recipe)
    sizes = costs.sizes(step.model, step.vision if isinstance(step, DetokenizerStep) else None)
    work = Workload(recipe, step, sample, gpus)
    samples = work.rows * work.samples_per_row
    once, repeated = (work.measure(work.rows, checkpointing).flops for checkpointing in (False, True))
    return Plan(
        recipe,
        cluster,
        gpus,
        sizes,
        work.sample,
        work.samples_per_row,
        {part: flops / samples for part, flops in once.items()},
        (repeated.total() - once.total()) / samples,
        work.load(own.micro_batch_size).supervised * work.config.language.vocab_size * LOGIT_BYTES,
        [_choice(work, sizes, cluster, mfu, setting) for setting in _settings(own, recipe, gpus, cluster)],
    )


class Workload:
    """Micro-batches of a recipe on a number of GPUs.

    Attributes:
        sample, samples_per_row: as in `Plan`.
        rows: micro-batch size that is measured besides 1: the recipe's own, at least 2.
    """

    def __init__(self, recipe: Recipe, step: Step, sample: SampleStats | None, gpus: int) -> None:
        self.recipe, self.step, self.gpus = recipe, step, gpus
        self.config = config = PRESETS[recipe.config]
        self.language = isinstance(step, LanguageStep)
        # The stacks of a U-Net are short: extrapolating them would run it more often than it saves.
        self.depths = workload.shortened(step) if self.language else {}
        self.sample = (sample or average(recipe.mixture)) if self.language else SampleStats(config.bridge.queries)
        self.samples_per_row = recipe.max_seq_len / self.sample.tokens if self.language else 1.0
        self.rows = max(2, recipe.micro_batch_size)
        self.measure = functools.cache(self._measure)

    def load(self, rows: int) -> Load:
        if not self.language:
            return Load(rows, self.config.detokenizer.image_size)
        samples, sample = rows * self.samples_per_row, self.sample
        tiles, drawn, supervised = (math.ceil(samples * n) for n in (sample.tiles, sample.drawn, sample.supervised))
        return Load(rows, self.recipe.max_seq_len, tiles, drawn, supervised, math.ceil(self.samples_per_row))

    def activations(self, rows: int, checkpointing: bool) -> float:
        """Peak bytes, by a line through the two measured micro-batch sizes."""
        first, last = (self.measure(n, checkpointing).peak for n in (1, self.rows))
        return first + (last - first) * (rows - 1) / (self.rows - 1)

    def _measure(self, rows: int, checkpointing: bool) -> Measured:
        sharded = self.gpus > 1 or self.recipe.offload
        how = {"gpu": True, "sharded": sharded, "bf16": self.recipe.bf16, "checkpointing": checkpointing}
        return workload.extrapolated(self.step, self.depths, self.load(rows), **how)


def on_meta(recipe: Recipe) -> Step:
    """The step of a recipe's stage on the meta device.

    Raises:
        SeedxError: as `trainable.build`.
    """
    model = trainable.build(recipe)
    if isinstance(model, SeedX):
        return LanguageStep(model)
    assert isinstance(model, Detokenizer)
    with torch.device("meta"):
        return DetokenizerStep(model, VisionTransformer(PRESETS[recipe.config].vision).requires_grad_(False))


def _settings(own: Setting, recipe: Recipe, gpus: int, cluster: Cluster) -> list[Setting]:
    """The recipe's own, then all others."""
    nodes = gpus // cluster.per_node if gpus % cluster.per_node == 0 else 1
    sizes = [size for size in MICRO_BATCH_SIZES if recipe.global_batch_size // gpus % size == 0]
    others = [Setting(m, r, c) for c in (True, False) for r in (1, nodes, gpus) for m in sizes]
    return list(dict.fromkeys([own, *others]))


def _choice(work: Workload, sizes: Sizes, cluster: Cluster, mfu: float, setting: Setting) -> Choice:
    recipe, gpus, rows = work.recipe, work.gpus, setting.micro_batch_size
    scale, peak = rows / work.rows, cluster.tflops * 1e12
    run = work.measure(work.rows, setting.activation_checkpointing).flops
    needed = work.measure(work.rows, False).flops.total() * scale
    activations = work.activations(rows, setting.activation_checkpointing)
    memory = costs.memory(sizes, recipe, setting, gpus, activations)
    traffic = costs.traffic(sizes, recipe, setting, gpus, cluster)
    compute = scale * sum(flops * SLOWER.get(part, 1.0) for part, flops in run.items()) / (peak * mfu)
    accumulation = recipe.global_batch_size // (gpus * rows)
    step = accumulation * max(compute, traffic.seconds)
    return Choice(
        setting,
        memory,
        traffic,
        memory.fits(cluster),
        accumulation,
        compute,
        step,
        samples=accumulation * gpus * rows * work.samples_per_row / step,
        mfu=accumulation * needed / (step * peak),
    )


def as_dict(plan: Plan, samples: float | None = None) -> dict[str, object]:
    """JSON types; memory in bytes."""
    choices = [
        dataclasses.asdict(c) | {"total_memory": c.memory.total, "days": plan.days(c, samples)} for c in plan.choices
    ]
    values = {f.name: getattr(plan, f.name) for f in dataclasses.fields(plan)} | {"recipe": plan.recipe.name}
    plain = {k: dataclasses.asdict(v) if dataclasses.is_dataclass(v) else v for k, v in values.items()}  # type: ignore[arg-type]
    return plain | {"choices": choices}
