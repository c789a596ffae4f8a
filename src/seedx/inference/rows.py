"""A row: what one reply reads, its sampling, its events, and which tokens it may have. `generate.py` runs the model.

Shapes:
    T tokens of a prompt, R tiles read, S side of a tile in pixels, Q and D tokens and width of the visual tokenizer
    K placeholders an image, Kp features an image when drawing, dim width of the language model
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from seedx.batch import Encoded
from seedx.checks import integer
from seedx.engines.runner import RunnerRow, RunnerState
from seedx.errors import SeedxError
from seedx.inference.events import EndEvent, Event, TextEvent
from seedx.inference.settings import Drawing
from seedx.inference.text_stream import TextDecoder, TextStream
from seedx.model.seedx import SeedX

MAX_PLAN = 20 * 8  # tokens of a plan: twenty boxes of six tokens, each with a name of two
PLAN_TOP_P = 0.7  # of the numbers of its boxes; docs/results/outside.md has the trial


@dataclass(frozen=True)
class Prompt:
    """What one row reads.

    Attributes:
        ids: (T,) int64. If the last one is `<img>`, the reply starts with that image; if it is `<box_start>`, the
            reply's text starts with that token, so that the box is whole.
        tiles: pixels (R, 3, S, S) or features (R, Q, D) of the images that it reads, in order.
        tile_positions: (R, 2) centres.
        read_mask: (T,) bool, the placeholders of `tiles`; None: every placeholder.
    """

    ids: Tensor
    tiles: Tensor | None = None
    tile_positions: Tensor | None = None
    read_mask: Tensor | None = None

    @classmethod
    def of(cls, encoded: Encoded, start: int = 0) -> Prompt:
        """An encoded conversation from token `start` on; what is before holds no tile."""
        mask = encoded.read_mask[start:]
        return cls(encoded.input_ids[start:], encoded.tiles, encoded.tile_positions, mask)

    def after(self, known: int, queries: int) -> Prompt:
        """What is left of a prompt whose first `known` tokens were read before; no tile may be cut in two.

        Args:
            queries: placeholders of a tile.
        """
        assert self.read_mask is not None
        read, rest = divmod(int(self.read_mask[:known].sum()), queries)
        assert rest == 0, "a prompt is cut within a tile"
        return Prompt(
            self.ids[known:],
            None if self.tiles is None or read == len(self.tiles) else self.tiles[read:],
            None if self.tile_positions is None else self.tile_positions[read:],
            self.read_mask[known:],
        )


@dataclass(frozen=True)
class SamplingSettings:
    """
    Attributes:
        max_new_tokens: limit of a reply, the tokens of its images included.
        temperature: 0 is greedy.
        top_p: sample among the likeliest tokens that have this share together.
        seed: of the sampling. A row's reply does not depend on its batch.
        drawing: "auto": the model decides; "force": at least one image, in the place of the end if need be; "now": the
            reply starts with one; "forbid": none.
        release_suppression: outside spans, placeholders and `</img>` have the logit 0 (the release's rule, for parity).
        one_image: the reply ends with its first image.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    drawing: Drawing = "auto"
    release_suppression: bool = False
    one_image: bool = False

    def __post_init__(self) -> None:
        integer("max_new_tokens", self.max_new_tokens, 1)
        if not 0 <= self.temperature < math.inf or not 0 < self.top_p <= 1:  # also catches NaN
            raise SeedxError(f"temperature is 0 or more and top_p in (0, 1], not {self.temperature} and {self.top_p}")
        if self.drawing not in get_args(Drawing):
            raise SeedxError(f'drawing is "auto", "force", "now" or "forbid", not {self.drawing!r}')


@dataclass(frozen=True)
class RowState:
    """A row after its reply. The prompt that continues it holds only what is new.

    Attributes:
        read: what the runner has read.
        pending: tokens of the reply that were sampled and not yet read.
    """

    read: RunnerState
    pending: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        return self.read.length + len(self.pending)

    def cut(self, length: int) -> RowState:
        """The state of the first `length` tokens. The row is rewound, so this one may not be continued as well."""
        read = dataclasses.replace(self.read, length=min(length, self.read.length))
        return RowState(read, self.pending[: max(0, length - read.length)])


@dataclass(frozen=True)
class RowRequest:
    """What a row joins with."""

    prompt: Prompt
    settings: SamplingSettings = field(default_factory=SamplingSettings)
    state: RowState | None = None
    adapter: str | None = None


class Row:
    """One reply in progress: what its tokens may be, without the model."""

    embeds: Tensor  # (unread, dim) of the prompt, what has been read cut off
    place: RunnerRow

    def __init__(self, request: RowRequest, model: SeedX, tokenizer: TextDecoder) -> None:
        self.settings, self.specials = request.settings, tokenizer.specials
        self.context, self.queries = model.config.language.context, model.config.bridge.queries
        self.text = TextStream(tokenizer)
        self.generator = torch.Generator().manual_seed(request.settings.seed)
        state = request.state
        self.length = state.read.length if state else 0  # tokens that the language model has read
        self.unread = len(request.prompt.ids) + (len(state.pending) if state else 0)  # tokens of the prompt
        self.pending: list[int] = []  # sampled and not read yet
        self.new: list[int] = []
        self.span: int | None = None  # where the placeholders of an image to draw begin in `pending`
        self.plan: list[int] | None = None  # the tokens of a plan that has not ended
        self.planned = ""  # the plan of the last image
        self.opened = self.length + self.unread  # where the last image begins, its plan included, in all tokens
        self.images = 0
        self.running = True

    @property
    def left(self) -> int:
        """How many more tokens this reply may have."""
        held = self.length + self.unread + len(self.pending)
        return min(self.settings.max_new_tokens - len(self.new), self.context - held)

    @property
    def opening(self) -> int:
        """The token that an image begins with: `<plan>` where the vocabulary has plans, else `<img>`."""
        return self.specials.image_start if self.specials.plan_start is None else self.specials.plan_start

    @property
    def image_tokens(self) -> int:
        """What an image takes at least, the ends of its plan included."""
        return self.queries + (2 if self.specials.plan_start is None else 4)

    @property
    def may_draw(self) -> bool:
        # The release starts a span even if it is cut off.
        room = self.settings.release_suppression or self.left >= self.image_tokens
        return self.settings.drawing != "forbid" and room

    @property
    def forbidden(self) -> tuple[int, ...]:
        """Tokens that can't be next, besides those that only spans and prompts hold. `<img>` follows a plan unasked."""
        s = self.specials
        if s.plan_start is None or s.plan_end is None:
            return () if self.may_draw else (s.image_start,)
        if self.plan is not None:
            return s.image_start, s.plan_start, s.eos
        return s.image_start, s.plan_end, *(() if self.may_draw else (s.plan_start,))

    @property
    def sampling(self) -> tuple[float, float]:
        """Temperature and top_p of the next token. What a plan names follows from the prompt, but where it stands is
        often open, and a greedy reply would place the same things alike for every seed. So the numbers of its boxes are
        always sampled; unlikely ones, which would put things over each other, are left out."""
        s, plan, given = self.specials, self.plan or (), self.settings
        in_box = sum(token == s.box_start for token in plan) > sum(token == s.box_end for token in plan)
        if not in_box:
            return given.temperature, given.top_p
        return max(given.temperature, 1.0), min(given.top_p, PLAN_TOP_P)

    @property
    def kept(self) -> int:
        """How many tokens a state of the row has: an image that was begun and not drawn is no part of it."""
        return self.length + len(self.pending) if self.plan is None and self.span is None else self.opened

    def next_counts(self, limit: int | None) -> tuple[int, int]:
        """How many tokens of the prompt and of those sampled the next pass reads."""
        if limit is not None and self.unread > limit:
            return limit, 0
        left_out = self.span is not None and not self.left  # the `</img>` that ends a reply
        return self.unread, len(self.pending) - left_out

    def read(self, of_prompt: int, sampled: int) -> None:
        """So many tokens have been read."""
        self.length += of_prompt + sampled
        self.unread -= of_prompt
        self.pending = self.pending[sampled:]
        if of_prompt:
            self.embeds = self.embeds[of_prompt:]

    def take(self, token: int) -> list[Event]:
        """Continue with `token`."""
        if self.plan is not None:
            self._continue_plan(self.plan, token)
            return []
        if self.settings.drawing == "force" and not self.images:
            last_chance = self.left == self.image_tokens
            token = self.opening if last_chance or token == self.specials.eos else token
        if token == self.opening:
            self.draw_now()
            return _texts(self.text.flush())
        self.new.append(token)
        if token == self.specials.eos:
            return self.finish("stop")
        self.pending = [token]
        events = _texts(self.text.push(token))
        return events if self.left else events + self.finish("length")

    def draw_now(self) -> None:
        """Continue with an image, or with its plan."""
        self.opened = self.length + self.unread
        self.new.append(self.opening)
        self.pending = [self.opening]
        if self.specials.plan_start is None:
            self.draw()
        else:
            self.plan = []

    def _continue_plan(self, plan: list[int], token: int) -> None:
        """Continue a plan. Its end, where it is too long at the latest, is followed by the image."""
        s = self.specials
        assert s.plan_end is not None
        if token != s.plan_end and len(plan) < MAX_PLAN and self.left > self.queries + 3:
            plan.append(token)
            self.new.append(token)
            self.pending = [token]
            return
        self.plan, self.planned = None, self.text.tokenizer.decode(plan)
        self.new += [s.plan_end, s.image_start]
        self.pending = [s.plan_end, s.image_start]
        self.draw()

    def draw(self) -> None:
        """After `<img>` the rest of its span is pending, too."""
        tail = self.specials.image(self.queries)[1:]
        self.span = len(self.pending)
        self.pending += tail
        self.new += tail
        self.images += 1

    def finish(self, reason: Literal["stop", "length"]) -> list[Event]:
        self.running = False
        return [*_texts(self.text.flush()), EndEvent(reason, self.new[: self.settings.max_new_tokens])]


def _texts(piece: str) -> list[Event]:
    return [TextEvent(piece)] if piece else []


def prompt_passes(rows: list[Row], limit: int) -> list[list[Row]]:
    """The rows with the shortest rests of prompts, as many as one pass of `limit` tokens reads; and, in a pass of its
    own, the row that waits longest, if it is not among them: neither holds up the other."""
    chosen: list[Row] = []
    for row in sorted(rows, key=lambda row: row.unread):
        if chosen and min(row.unread, limit) * (len(chosen) + 1) > limit:
            break
        chosen.append(row)
    return [chosen, [rows[0]]] if rows and rows[0] not in chosen else [chosen]
