"""Prompts in, events out: our own decode loop, batched, with a cache.

Every pass of the language model feeds each row its pending tokens, however many: a whole prompt, one token, or, when
the last token was `<img>`, the whole span `<img> placeholders </img>`, whose tokens are known in advance. So a prompt,
a step and a picture are one operation, and rows of a batch may be at different things. With K = 2 placeholders:

    pass    row 0 (a question)      row 1 (a wish)          events
    1       its prompt              its prompt
    2       "A"                     "Here"                  Text("A"), Text("Here")
    3       " cat"                  <img> P0 P1 </img>      Text(" cat"), then ImageFeatures of row 1
    4       (end)                   "Done"                  End, Text("Done")

Short rows are padded on the right; `model/cache.py` says why none of it is ever seen. Outside a span, placeholders and
the ends of spans can't be chosen.

Shapes:
    B rows, T tokens a pass, K placeholders an image, dim width of the language model, V vocabulary
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from seedx.errors import SeedxError
from seedx.inference.generation import Answer, End, Event, ImageFeatures, Options, Prompt, Session, Text
from seedx.inference.sampling import sample, suppress
from seedx.inference.text_stream import Decoder, TextStream
from seedx.model.cache import Cache
from seedx.model.seedx import SeedX
from seedx.tokens import SpecialTokens

__all__ = ["Answer", "End", "Event", "ImageFeatures", "Options", "Prompt", "Session", "Text", "generate", "stream"]

GREEDY = Options()


def generate(
    model: SeedX,
    tokenizer: Decoder,
    prompts: Sequence[Prompt],
    options: Options = GREEDY,
    session: Session | None = None,
) -> list[Answer]:
    """Answers of all prompts, together. Arguments and errors are those of `stream`."""
    answers = [Answer() for _ in prompts]
    for row, event in stream(model, tokenizer, prompts, options, session):
        answer = answers[row]
        if isinstance(event, End):
            answer.reason, answer.ids = event.reason, event.ids
        elif isinstance(event, Text) and answer.parts and isinstance(answer.parts[-1], Text):
            answer.parts[-1] = Text(answer.parts[-1].text + event.text)
        else:
            answer.parts.append(event)
    return answers


@torch.inference_mode()
def stream(
    model: SeedX,
    tokenizer: Decoder,
    prompts: Sequence[Prompt],
    options: Options = GREEDY,
    session: Session | None = None,
) -> Iterator[tuple[int, Event]]:
    """Yield (row, event) as they come; each row's last event is an `End`.

    Args:
        model: in eval mode.
        session: earlier turns of the same rows; it is brought up to date, also when the iterator is closed early.

    Raises:
        SeedxError: an empty prompt, one longer than the context, placeholders that do not fit the tiles, no room for a
            forced image, or a session or seeds of another number of rows.
    """
    kept = session or Session.start(model, len(prompts))
    rows = _start_rows(model, tokenizer, prompts, options, kept)
    embeds: Tensor | None = _read(model, tokenizer.specials, prompts, rows)
    every, cache = rows, kept.cache
    try:
        while any(row.running for row in rows):
            states, last = _advance(model, rows, embeds, cache)
            yield from _drawn(model, rows, states)
            yield from _go_on(model, rows, last, options)
            if session is None:
                rows = _drop_finished(rows, cache)
            embeds = None
    finally:
        kept.lengths = [row.position for row in every]
        kept.pending = [row.pending for row in every]


class _Row:
    """One answer in the making."""

    def __init__(self, index: int, model: SeedX, tokenizer: Decoder, options: Options, position: int) -> None:
        self.index, self.position, self.options = index, position, options
        self.specials = tokenizer.specials
        self.context = model.config.language.context
        self.queries = model.config.bridge.queries
        self.text = TextStream(tokenizer)
        seed = options.seed if isinstance(options.seed, int) else options.seed[index]
        self.generator = torch.Generator().manual_seed(seed)
        self.new: list[int] = []
        self.pending: list[int] = []  # chosen and not yet read
        self.span: int | None = None  # where the placeholders of an image to draw begin in `pending`
        self.images = 0
        self.running = True

    @property
    def left(self) -> int:
        """How many more tokens this answer may have."""
        return min(self.options.max_new_tokens - len(self.new), self.context - self.position - len(self.pending))

    @property
    def due(self) -> int:
        """How many of the pending tokens are read next: not the `</img>` after which the answer is at its end."""
        return len(self.pending) - (self.span is not None and not self.left)

    @property
    def may_draw(self) -> bool:
        # The release starts a span even if it is cut off.
        return self.options.images != "forbid" and (self.options.release_suppression or self.left >= self.queries + 2)

    def take(self, token: int) -> list[Event]:
        """Go on with `token`."""
        if self.options.images == "force" and not self.images:
            last_chance = self.left == self.queries + 2
            token = self.specials.image_start if last_chance or token == self.specials.eos else token
        self.new.append(token)
        if token == self.specials.eos:
            return self.finish("stop")
        self.pending = [token]
        if token == self.specials.image_start:
            self.draw()
            return _texts(self.text.flush())
        events = _texts(self.text.push(token))
        return events if self.left else events + self.finish("length")

    def draw(self) -> None:
        """`<img>` is pending: so is, then, all of its span."""
        tail = self.specials.image(self.queries)[1:]
        self.span = len(self.pending)
        self.pending += tail
        self.new += tail
        self.images += 1

    def finish(self, reason: Literal["stop", "length"]) -> list[Event]:
        self.running = False
        return [*_texts(self.text.flush()), End(reason, self.new[: self.options.max_new_tokens])]


def _texts(piece: str) -> list[Event]:
    return [Text(piece)] if piece else []


def _start_rows(
    model: SeedX, tokenizer: Decoder, prompts: Sequence[Prompt], options: Options, session: Session
) -> list[_Row]:
    """Rows whose pending tokens are their prompts."""
    for name, count in (("session", len(session.lengths)), ("seed", _seeds(options, len(prompts)))):
        if count != len(prompts):
            raise SeedxError(f"{len(prompts)} prompts need a {name} of as many rows, not {count}")
    rows = []
    for index, prompt in enumerate(prompts):
        row = _Row(index, model, tokenizer, options, session.lengths[index])
        row.pending = [*session.pending[index], *prompt.ids]
        rows.append(row)
        if not row.pending:
            raise SeedxError(f"prompt {index} is empty")
        if row.left < 1:
            length = row.position + len(row.pending)
            raise SeedxError(f"prompt {index} has {length} tokens, but the context holds {row.context}: shorten it")
        if prompt.ids and prompt.ids[-1] == tokenizer.specials.image_start:
            _expect_room(row, row.queries + 1)
            row.draw()
        elif options.images == "force":
            _expect_room(row, row.queries + 2)
    return rows


def _seeds(options: Options, rows: int) -> int:
    return rows if isinstance(options.seed, int) else len(options.seed)


def _expect_room(row: _Row, needed: int) -> None:
    if row.left < needed:
        raise SeedxError(
            f"prompt {row.index}: an image takes {needed} tokens, and the context and max_new_tokens leave {row.left}"
        )


def _read(model: SeedX, specials: SpecialTokens, prompts: Sequence[Prompt], rows: list[_Row]) -> Tensor:
    """The embeddings (B, T, dim) of the prompts, with what their images show."""
    ids = _pad([row.pending for row in rows], specials.pad, _device(model))
    placeholders = frozenset(specials.placeholders)
    masks = []
    for index, (prompt, row) in enumerate(zip(prompts, rows, strict=True)):
        mask = [token in placeholders for token in prompt.ids] if prompt.read_mask is None else list(prompt.read_mask)
        count = 0 if prompt.tiles is None else len(prompt.tiles)
        if sum(mask) != count * row.queries:
            raise SeedxError(
                f"prompt {index} has {count} tiles of {row.queries} placeholders, but {sum(mask)} placeholders to fill"
            )
        start = row.span if row.span is not None else len(row.pending)
        masks.append([False] * (start - len(prompt.ids)) + mask)
    read_mask = _pad(masks, False, ids.device, ids.shape[1])
    tiles_of = [prompt.tiles for prompt in prompts if prompt.tiles is not None]
    places_of = [prompt.tile_positions for prompt in prompts if prompt.tile_positions is not None]
    tiles = torch.cat(tiles_of).to(ids.device) if tiles_of else None
    places = torch.cat(places_of).to(ids.device) if places_of else None
    return model.embed(ids, read_mask, tiles, places)


def _advance(model: SeedX, rows: list[_Row], embeds: Tensor | None, cache: Cache) -> tuple[Tensor, Tensor]:
    """Read what is pending. Returns the states of it (B, T, dim) and those of each row's last token (B, dim)."""
    device = _device(model)
    counts = [row.due if row.running else 1 for row in rows]
    if embeds is None:
        pending = [row.pending if row.running else [row.specials.pad] for row in rows]
        embeds = model.language.embed(_pad(pending, rows[0].specials.pad, device))
    embeds = embeds[:, : max(counts)]
    starts = torch.tensor([row.position for row in rows], device=device)
    positions = starts[:, None] + torch.arange(embeds.shape[1], device=device)
    states = model.language.states(embeds, positions, cache)
    for row, count in zip(rows, counts, strict=True):
        if row.running:
            row.position += count
            row.pending = row.pending[count:]
    last = torch.tensor(counts, device=device) - 1
    return states, states[torch.arange(len(rows), device=device), last]


def _drawn(model: SeedX, rows: list[_Row], states: Tensor) -> list[tuple[int, Event]]:
    """The images whose spans were in this pass."""
    drawing = [(i, row, row.span) for i, row in enumerate(rows) if row.span is not None]
    if not drawing:
        return []
    of_images = torch.stack([states[i, span : span + row.queries] for i, row, span in drawing])
    for _, row, _ in drawing:
        row.span = None
    images = zip(model.draw_features(of_images), of_images, strict=True)
    return [(row.index, ImageFeatures(*image)) for (_, row, _), image in zip(drawing, images, strict=True)]


def _go_on(model: SeedX, rows: list[_Row], last: Tensor, options: Options) -> list[tuple[int, Event]]:
    """Choose every running row's next token, after the states (B, dim) of its last one."""
    events: list[tuple[int, Event]] = []
    for row in rows:
        if row.running and row.left < 1:  # a span used up the rest
            events += ((row.index, event) for event in row.finish("length"))
    if any(row.running for row in rows):
        tokens = _choose(model.language.head(last).float(), rows, options)
        for row, token in zip(rows, tokens, strict=True):
            events += ((row.index, event) for event in (row.take(token) if row.running else []))
    return events


def _drop_finished(rows: list[_Row], cache: Cache) -> list[_Row]:
    """Leave finished rows out once they are half of the batch: rarer than that, copying the cache costs more."""
    running = [i for i, row in enumerate(rows) if row.running]
    if not running or 2 * len(running) > len(rows):
        return rows
    cache.keep(running)
    return [rows[i] for i in running]


def _choose(logits: Tensor, rows: list[_Row], options: Options) -> list[int]:
    """The next token of each row from its logits (B, V)."""
    specials = rows[0].specials
    logits = suppress(logits, specials, rows[0].queries, options.release_suppression)
    cannot_draw = [i for i, row in enumerate(rows) if not row.may_draw]
    if cannot_draw:
        logits[cannot_draw, specials.image_start] = -torch.inf
    if options.temperature == 0:
        return logits.argmax(dim=-1).tolist()
    draws = torch.stack([torch.rand((), generator=row.generator) for row in rows]).to(logits.device)
    return sample(logits / options.temperature, options.top_p, draws).tolist()


def _pad(rows: Sequence[Sequence[int | bool]], value: int | bool, device: torch.device, length: int = 0) -> Tensor:
    """Rows of any lengths -> (B, T), filled up on the right."""
    length = max(length, *(len(row) for row in rows))
    return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows], device=device)


def _device(model: SeedX) -> torch.device:
    return next(model.language.parameters()).device
