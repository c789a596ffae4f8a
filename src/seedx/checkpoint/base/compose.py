"""A new model of base parts: a language model, a visual tokenizer and a de-tokenizer that never met.

What no part has is new: the rows of SEED-X's 330 tokens, both resamplers around the language model and the tile
positions, and the de-tokenizer's resampler. Source: the release, section "Training" of the paper; but for the two
resamplers around the language model, whose queries start by looking at the tokens of their own place
(`QueryResampler.init_local`), and whose input side starts at the scale of the language model's embeddings.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from rich.table import Table
from torch import Tensor

from seedx.checkpoint import native, weights
from seedx.checkpoint.base import detokenizer as detokenizers
from seedx.checkpoint.base import language as languages
from seedx.checkpoint.base import vision as visions
from seedx.checkpoint.base.detokenizer import RESAMPLER, DetokenizerPart
from seedx.checkpoint.base.fetch import DETOKENIZER, LANGUAGE, VISION, fetch, is_ours
from seedx.checkpoint.base.language import EMBEDDINGS, LanguagePart
from seedx.checkpoint.base.vision import VisionPart
from seedx.checkpoint.hub import Hub
from seedx.checkpoint.layouts import STAGES
from seedx.checkpoint.parts import build, modules, part_state
from seedx.config import BridgeConfig, Config
from seedx.errors import SeedxError
from seedx.model.perceiver import PerceiverResampler
from seedx.model.seedx import new_bridge
from seedx.terminal import new_table
from seedx.tokens import PLACEHOLDERS
from seedx.variants import variant_of

Template = Literal["chat", "inst"]
Progress = Callable[[str, int], None]

MOST_HEADS, HEAD_DIM = 32, 64  # of the resamplers: the release's number, or heads of so many channels if that is less
SAMPLED = 10_000  # rows of the embeddings whose scale is measured
NEW = "new"


@dataclass(frozen=True)
class Row:
    """What a part of the new model is made of.

    Attributes:
        origin: where its tensors were taken; "new" if they were not.
        taken, new: numbers of tensors; of weights in `parameters` and `new_parameters`.
        note: what else is new in the tensors that were taken.
    """

    part: str
    origin: str
    taken: int
    new: int
    parameters: int
    new_parameters: int
    note: str = ""


@dataclass(frozen=True)
class Places:
    """The base parts as the user names them: folders, files, hub ids or bundled models.

    Attributes:
        bridge: one of our own models, whose resamplers and tile positions are taken; None: they are new.
    """

    language: str
    vision: str
    detokenizer: str
    bridge: str | None = None


def init(
    target: Path,
    places: Places,
    *,
    variant: str | None = None,
    template: Template | None = None,
    dtype: torch.dtype | None = None,
    seed: int = 0,
    hub: Hub | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Write a model folder of base parts. An older model in `target` is replaced.

    Args:
        variant: what it will be trained to be asked, a name of `seedx.variants.VARIANTS`; None: that of the language
            model if it is one of ours, else "tiny", that of our own models.
        template: "chat": the language model's own chat template, if it has one; "inst": that of the variant. None:
            "inst" if a variant is given, else "chat".
        dtype: of the stored weights; None: as in the files, new ones in float32.
        seed: of the new weights.
        progress: called for each tensor with its part and its size in bytes.

    Returns:
        a row for each part, in the order in which they were written.

    Raises:
        SeedxError: a part is missing or damaged, or does not fit this library or the other parts.
    """
    template = template or ("inst" if variant else "chat")
    seeing = visions.read(fetch(places.vision, VISION, hub))
    drawing = detokenizers.read(fetch(places.detokenizer, DETOKENIZER, hub), seeing.config)
    with languages.reading(fetch(places.language, LANGUAGE, hub), template) as speaking:
        config = compose(target.resolve().name, speaking, seeing, drawing, variant)
        variant_of(config)  # an unknown name, before anything is written
        taken = _old_bridge(fetch(places.bridge, LANGUAGE, hub), config) if places.bridge else None
        if taken:
            config = dataclasses.replace(config, bridge=taken[0])
        with native.replacing(target) as aside, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            native.write_config(config, aside)
            speaking.words.save(aside)
            writer = _Writer(aside, config, dtype, progress)
            writer.write("vision", places.vision, seeing.tensors)
            writer.write("language", places.language, speaking.tensors, note=_note(speaking), grown=_grown(speaking))
            if taken and places.bridge:
                writer.write("bridge", places.bridge, taken[1])
            else:
                writer.write("bridge", NEW, {}, new_bridge_state(config, speaking.tensors[EMBEDDINGS]))
            writer.write("vae", places.detokenizer, drawing.vae)
            resampler = {} if _has_resampler(drawing) else _new_resampler(config)
            writer.write("detokenizer", places.detokenizer, drawing.unet, resampler)
            if drawing.first:
                writer.write(native.other_name(config), places.detokenizer, drawing.first, resampler)
    return writer.rows


def compose(
    name: str, speaking: LanguagePart, seeing: VisionPart, drawing: DetokenizerPart, variant: str | None = None
) -> Config:
    """The config of a model of these parts.

    Raises:
        SeedxError: two of them do not fit.
    """
    width, vision = speaking.config.hidden_size, seeing.config
    if vision.pooled * vision.pool != vision.queries or vision.pooled > len(PLACEHOLDERS):
        raise SeedxError(
            f"the visual tokenizer has {vision.queries} features in groups of {vision.pool}: expected at most "
            f"{len(PLACEHOLDERS)} whole groups, for as many placeholders of a picture"
        )
    if width % 4 or vision.output_dim % 4:
        raise SeedxError(
            f"the widths of the language model and of the visual tokenizer, {width} and {vision.output_dim}, must be "
            "multiples of 4 for the resamplers between them"
        )
    return Config(
        name=name,
        variant=variant or speaking.variant or "tiny",
        template=speaking.template,
        tiling=seeing.tiling,
        vision=vision,
        language=speaking.config,
        bridge=BridgeConfig(queries=vision.pooled, input_heads=_heads(width), output_heads=_heads(vision.output_dim)),
        detokenizer=drawing.config,
    )


def new_bridge_state(config: Config, embeddings: Tensor) -> dict[str, Tensor]:
    """The two resamplers and the tile positions, newly initialised.

    Args:
        embeddings: (V, D), of the language model, whose scale a picture's tokens get.
    """
    read, drawn, positions = new_bridge(config)
    read.init_local()
    drawn.init_local()
    with torch.no_grad():
        read.attn.out_proj.weight *= embeddings[:SAMPLED].float().square().mean().sqrt()
    state = {f"input_resampler.{name}": tensor for name, tensor in read.state_dict().items()}
    state |= {f"output_resampler.{name}": tensor for name, tensor in drawn.state_dict().items()}
    return state if positions is None else state | {"tile_positions": positions.detach()}


def table(rows: Sequence[Row]) -> Table:
    """What each part is made of, with the sums."""
    made = new_table("part", "from", "tensors taken", "new", "weights taken", "new", "", words=("from", ""))
    for row in rows:
        made.add_row(
            row.part,
            row.origin,
            str(row.taken),
            str(row.new),
            f"{row.parameters:,}",
            f"{row.new_parameters:,}",
            row.note,
        )
    sums = [sum(getattr(row, name) for row in rows) for name in ("taken", "new", "parameters", "new_parameters")]
    made.add_row("all", "", *(f"{number:,}" for number in sums), "")
    return made


class _Writer:
    """Writes the parts of a model, each checked against the config, and counts what they are made of."""

    def __init__(self, folder: Path, config: Config, dtype: torch.dtype | None, progress: Progress | None) -> None:
        self.folder, self.dtype, self.progress = folder, dtype, progress
        self.modules = modules(*build(config))
        self.modules[native.other_name(config)] = native.other_stage(config)
        self.rows: list[Row] = []

    def write(
        self,
        part: str,
        origin: str,
        taken: Mapping[str, Tensor],
        new: Mapping[str, Tensor] | None = None,
        note: str = "",
        grown: int = 0,
    ) -> None:
        """
        Args:
            grown: weights within the tensors that were taken which are new.
        """
        new, report = new or {}, functools.partial(self.progress, part) if self.progress else None
        whole = {**taken, **new}
        names = "detokenizer" if part in STAGES else part
        weights.check(whole, part_state(names, self.modules[part]), f"{origin}: {part}")
        weights.write(self.folder, part, whole, self.dtype, progress=report)
        sizes = [sum(tensor.numel() for tensor in tensors.values()) for tensors in (taken, new)]
        self.rows.append(Row(part, origin, len(taken), len(new), sizes[0] - grown, sizes[1] + grown, note))


def _old_bridge(place: Path, config: Config) -> tuple[BridgeConfig, dict[str, Tensor]]:
    """The resamplers and tile positions of one of our own models.

    Raises:
        SeedxError: it has none, or of other widths.
    """
    if not is_ours(place, "bridge"):
        raise SeedxError(f"{place} holds no resamplers: --bridge takes one of our own models")
    other = native.read_config(place)
    for what, here, there in (
        ("language model", config.language.hidden_size, other.language.hidden_size),
        ("visual tokenizer", config.vision.output_dim, other.vision.output_dim),
    ):
        if here != there:
            raise SeedxError(f"{place}: its resamplers fit a {what} of width {there}, and this one has {here}")
    return other.bridge, native.read_part(place, "bridge")


def _has_resampler(drawing: DetokenizerPart) -> bool:
    return any(name.startswith(RESAMPLER) for name in drawing.unet)


def _new_resampler(config: Config) -> dict[str, Tensor]:
    made = PerceiverResampler(config.detokenizer, config.vision.output_dim)
    return {f"{RESAMPLER}{name}": tensor for name, tensor in made.state_dict().items()}


def _note(speaking: LanguagePart) -> str:
    if not speaking.new_rows:
        return ""
    tied = ", shared with the head" if speaking.config.tie_embeddings else " and the head"
    return f"{speaking.new_rows} new rows of the embeddings{tied}"


def _grown(speaking: LanguagePart) -> int:
    """Weights of the new rows."""
    return speaking.new_rows * speaking.config.hidden_size * (1 if speaking.config.tie_embeddings else 2)


def _heads(width: int) -> int:
    """At most the release's 32, of at least 64 channels, and a number that divides the width."""
    heads = min(MOST_HEADS, max(1, width // HEAD_DIM))
    return next(count for count in range(heads, 0, -1) if width % count == 0)
