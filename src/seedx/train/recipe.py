"""A recipe: one stage of training as data, read from a TOML file.

    name = "tune"
    stage = "language"
    steps = 520
    lr = 8e-4

    [[data]]
    source = "stickers:conversation"
    weight = 0.3

Every field can be overridden by its path: `lr`, `data.0.weight`, `options.corpus`.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seedx.checks import all_finite, integer, number
from seedx.config import from_dict, nearest
from seedx.data.shard_reader import Data, tempered
from seedx.errors import SeedxError, shorten
from seedx.images import TRAINING_MAX_PIXELS
from seedx.train import recipe_paths, recipe_toml
from seedx.train.old_recipes import upgrade_changes, upgrade_recipe
from seedx.train.sample_prompts import SamplePrompt
from seedx.train.validating import Validating

INFINITE = float("inf")
RANGES: dict[str, tuple[float, float]] = {  # of fields, the bounds included
    **dict.fromkeys(
        ("steps", "global_batch_size", "replicas", "max_seq_len", "streams", "max_pixels", "log_every"), (1, INFINITE)
    ),
    **dict.fromkeys(
        ("micro_batch_size", "warmup_steps", "workers", "sample_every", "keep_last", "adapter"), (0, INFINITE)
    ),
    **dict.fromkeys(("lr", "weight_decay", "eps", "max_grad_norm", "max_skipped_steps"), (0, INFINITE)),
    **dict.fromkeys(("min_lr_ratio", "ema_decay", "max_sample_errors"), (0, 1)),
    "save_seconds": (0, INFINITE),
}

# Fields that a resumed run may have otherwise: none of them changes what is learnt.
NOT_LEARNT = (
    "replicas",
    "workers",
    "log_every",
    "sample_every",
    "prompts",
    "offload",
    "save_seconds",
    "keep_last",
    "max_sample_errors",
    "max_skipped_steps",
    "tracker",
)


@dataclass(frozen=True)
class Recipe:
    """
    A stage reads its initial weights where `init_from` says. Stages that train one model in one folder need no more
    than the default: each starts from what the ones before it wrote. Stages that name a model each write a whole one,
    as recipes/17b do, which start from base parts that `seedx init` put together in runs/17b/base:

        1-detokenizer   base's detokenizer, of the first stage; writes detokenizer
        2-condition     1-detokenizer's, widened; writes detokenizer, of the second stage, and keeps first_stage
        3-pretrain      base's language and bridge
        4-instruct      3-pretrain's

    Attributes:
        name: of the run's folder: one name, without "/".
        stage: a name in `run.STAGES`, or of a stage that another package adds.
        config: the sizes, by the name of a preset, where no config.json tells them: that of the model in `init_from`,
            or in the trained folder.
        init_from: where the initial weights come from.
            "": from the trained folder; a part that it does not have is newly initialised.
            "scratch": newly initialised, whatever the folder has.
            "run:NAME": from the end of an earlier run of the same stage in the folder, if the stage keeps more of a run
                than the model has (the heads that a visual tokenizer is trained with).
            A bundled name ("tiny"), a folder or a hub id: from that model, which must have them. Its other parts are
                copied, so that the trained folder becomes a whole model.
            Frozen parts (visual tokenizer, autoencoder, tokenizer) come from the same model, or the trained folder.
        global_batch_size: rows of the global batch, one step of the optimizer, on all ranks together.
        micro_batch_size: rows of one forward on one rank; 0: all rows of the rank.
        trained: patterns of parameter names; empty: the stage's default.
        lora: train LoRA in the language model's blocks instead of their weights, and merge it into them at the end.
        adapter: the rank of LoRA, in the language model's blocks or the U-Net's attention, that is trained alone and
            written as an adapter to adapters/NAME in the folder. 0: none.
        losses: loss weights by name; those left out are the stage's own.
        lr_factors: factors of `lr` by pattern of parameter names; the first that matches counts.
        warmup_steps: of the linear warm-up.
        min_lr_ratio: the learning rate of the last step, as a fraction of `lr`.
        max_grad_norm: gradients of a larger norm are scaled down to it.
        ema_decay: of the exponential moving average of the weights, which is what the stage writes; 0: no average.
        bf16: autocast to bfloat16; the weights stay float32.
        activation_checkpointing: recompute the activations inside the blocks: less memory, a third more time.
        compile: the blocks by torch.compile, which needs a C++ compiler.
        offload: keep the weights, gradients and the optimizer's state in the machine's memory, not in the GPU's; a
            block's weights are copied when it runs, and the optimizer's step runs on the CPU.
        replicas: sharded copies of the model, each on as many ranks as the others (HSDP). With one for each machine,
            weights are gathered within machines only. 1: one copy over all ranks.
        max_seq_len: tokens of a packed row.
        streams: of the data; a multiple of ranks x workers. It fixes the order of the samples, so a run keeps it.
        workers: processes of each rank that make batches; 0: the training process itself.
        max_pixels: a picture of the data with more is a sample error, before it is decoded.
        too_long: whether a document longer than a row is dropped or truncated.
        max_sample_errors: the largest fraction of unreadable samples before the run stops.
        max_skipped_steps: consecutive steps that are skipped, since the loss or gradient is not finite, before the run
            stops.
        log_every, sample_every: steps; 0: no samples.
        prompts: what the language stage answers every `sample_every` steps; see `SamplePrompt`.
        save_seconds: between checkpoints.
        keep_last: checkpoints to keep besides the best.
        validation: see `Validating`.
        mixture_temperature: weights of `[[data]]` count to the power of 1 / this: above 1, small data sets are sampled
            more often than their weights say, up to equally often; `seedx data check` shows the shares.
        tracker: where curves and samples go besides log.jsonl: "auto" is TensorBoard's files if it is installed.
        options: the stage's own.
    """

    name: str
    stage: str
    config: str = "tiny"
    init_from: str = ""
    seed: int = 0
    steps: int = 1000
    global_batch_size: int = 32
    micro_batch_size: int = 0
    trained: tuple[str, ...] = ()
    lora: bool = False
    adapter: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    lr: float = 1e-3
    lr_factors: dict[str, float] = field(default_factory=dict)
    warmup_steps: int = 100
    min_lr_ratio: float = 0.05
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0
    bf16: bool = True
    activation_checkpointing: bool = False
    compile: bool = False
    offload: bool = False
    replicas: int = 1
    max_seq_len: int = 256
    streams: int = 16
    workers: int = 0
    max_pixels: int = TRAINING_MAX_PIXELS
    too_long: Literal["drop", "truncate"] = "drop"
    max_sample_errors: float = 0.05
    max_skipped_steps: int = 10
    log_every: int = 20
    sample_every: int = 0
    prompts: tuple[SamplePrompt, ...] = ()
    save_seconds: float = 120.0
    keep_last: int = 2
    data: tuple[Data, ...] = ()
    mixture_temperature: float = 1.0
    validation: Validating = field(default_factory=Validating)
    tracker: Literal["auto", "tensorboard", "wandb", "none"] = "auto"
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(Recipe).items():
            object.__setattr__(self, name, _checked(name, hint, getattr(self, name)))
        if self.name in ("", ".", "..") or re.search(r"[/\\\x00-\x1f]", self.name) or len(self.name.encode()) > 200:
            raise SeedxError(f"name must be the name of one folder, without slashes, not {shorten(self.name)}")
        for name, (lowest, highest) in RANGES.items():
            number(name, getattr(self, name), lowest, highest)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise SeedxError(f"betas are two numbers from 0 to less than 1, not {list(self.betas)}")
        if self.lora and self.adapter:
            raise SeedxError("lora = true merges what it trains and adapter keeps it apart: give one of the two")
        for table in ("losses", "lr_factors"):
            for name, value in getattr(self, table).items():
                number(f"{table}.{name}", value, 0)
        if not 0.01 <= self.mixture_temperature < INFINITE:
            raise SeedxError(
                f"mixture_temperature is a number from 0.01, not {self.mixture_temperature}: 1 keeps the weights, "
                "a large one such as 1e9 gives every data set the same share"
            )
        all_finite("options", self.options)
        if self.prompts and not self.sample_every:
            raise SeedxError("prompts are answered every sample_every steps: give it, such as sample_every = 500")

    @property
    def mixture(self) -> tuple[Data, ...]:
        """`data` with the weights that the temperature gives."""
        return tempered(self.data, self.mixture_temperature)

    def micro_rows(self, ranks: int) -> int:
        """Rows of one forward on one of so many ranks.

        Raises:
            SeedxError: the ranks can't have equal parts of the global batch, or it is no multiple of the micro-batch.
        """
        if self.global_batch_size % ranks:
            raise SeedxError(f"global_batch_size = {self.global_batch_size} must be a multiple of the {ranks} ranks")
        rows, micro = self.global_batch_size // ranks, self.micro_batch_size
        if micro and rows % micro:
            raise SeedxError(f"micro_batch_size = {micro} must divide the {rows} rows of each of {ranks} ranks")
        return micro or rows

    def shards(self, ranks: int) -> int:
        """Ranks that hold one copy of the model together.

        Raises:
            SeedxError: `replicas` does not divide the ranks.
        """
        if ranks % self.replicas:
            raise SeedxError(f"{ranks} ranks can't hold {self.replicas} replicas: give a number that divides them")
        return ranks // self.replicas


def load_recipe(path: Path, **changes: Any) -> Recipe:
    """Read a TOML file and those that it includes; `changes` override fields, by their paths ("data.0.weight").

    Raises:
        SeedxError: no such file, not TOML, an unknown field (with the nearest), or an invalid value.
    """
    values = recipe_toml.read(path)
    values = upgrade_recipe(values, str(path))
    for name, value in upgrade_changes(changes, values.get("init_from", "")).items():
        recipe_paths.place(values, name, value)
    missing = [name for name in ("name", "stage") if name not in values]
    if missing:
        raise SeedxError(f"{path} has no {missing[0]!r}: a recipe needs a name and a stage")
    return from_dict(Recipe, values)


def overridden(own: Mapping[str, float], given: Mapping[str, float], what: str) -> dict[str, float]:
    """A stage's own settings by name, overridden by those given.

    Raises:
        SeedxError: a name that the stage does not have.
    """
    for name in given:
        if name not in own:
            raise SeedxError(f"unknown {what} {name!r}{nearest(name, own)}")
    return {**own, **given}


def _checked(name: str, hint: Any, value: Any) -> Any:
    """A value that fits its type hint, numpy's numbers as plain ones; an int will do for a float.

    Raises:
        SeedxError: it does not fit.
    """
    whole, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if whole is Literal:
        if value not in inner:
            raise SeedxError(f"{name} must be one of {', '.join(map(repr, inner))}, not {shorten(value)}")
    elif whole is int:
        return integer(name, value)
    elif whole is float:
        return number(name, value)
    elif whole in (bool, str) and not isinstance(value, whole):
        raise SeedxError(f"{name} must be of type {whole.__name__}, not {shorten(value)}")
    elif (whole in (dict, tuple) or dataclasses.is_dataclass(whole)) and not isinstance(value, whole):
        raise SeedxError(f"{name} must be {'a list' if whole is tuple else 'a table'}, not {shorten(value)}")
    elif whole is tuple and inner[0] in (str, float):
        return tuple(_checked(f"{name}.{index}", inner[0], each) for index, each in enumerate(value))
    elif whole is tuple and not all(isinstance(each, inner[0]) for each in value):
        raise SeedxError(f"{name} must be a list of tables, not {shorten(value)}")
    return value
