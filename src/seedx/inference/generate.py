"""The decode loop: prompts in, events out, with rows that join and leave between passes.

Every pass of the language model feeds each row what it has not read yet: a prompt or a piece of it, one token, or,
after `<img>`, the whole span `placeholders </img>`, whose tokens are known in advance. So a prompt, a token and an
image are one operation, and the rows of a pass may be at different stages. With K = 2 placeholders:

    pass    row 0 (a question)      row 1 (a request)       events
    1       its prompt              its prompt
    2       "A"                     "Here"                  TextEvent("A"), TextEvent("Here")
    3       " cat"                  <img> P0 P1 </img>      TextEvent(" cat"), then ImageEvent of row 1
    4       (end)                   "Done"                  EndEvent, TextEvent("Done")

In a vocabulary with plans, an image begins with its plan: `<plan>` is sampled in place of `<img>`, then a token a pass
that is no text of the reply. `</plan>` and the span are one pass again.

Outside a span, placeholders and the ends of spans can't be sampled. A row's events do not depend on the other rows.

Shapes:
    R tiles read, S side of a tile in pixels, Q and D tokens and width of the visual tokenizer
    N rows of a pass, T tokens, K placeholders an image, Kp features an image when drawing, dim width of the language
    model, V vocabulary
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from seedx.engines.runner import LanguageRunner
from seedx.engines.torch_runner import TorchRunner
from seedx.errors import ContextFullError, SeedxError
from seedx.inference.events import Answer, EndEvent, Event, ImageEvent
from seedx.inference.rows import Prompt, Row, RowRequest, RowState
from seedx.inference.sampling import next_tokens, suppress
from seedx.inference.text_stream import TextDecoder
from seedx.model.seedx import SeedX


def generate(model: SeedX, tokenizer: TextDecoder, requests: Sequence[RowRequest]) -> list[Answer]:
    """The replies to all requests, generated together by torch. Errors are those of `Generation.join`."""
    answers = [Answer() for _ in requests]
    generation = Generation(model, tokenizer, TorchRunner(model.language))
    numbers = {row: number for number, row in enumerate(generation.join(requests))}
    while generation.rows:
        for row, event in generation.step():
            answers[numbers[row]].add(event)
            if isinstance(event, EndEvent):
                generation.leave(row)
    return answers


class Generation:
    """Rows in progress. They join and leave between passes, each with settings of its own.

        rows = generation.join(requests)           # their prompts are embedded, nothing is read yet
        events = generation.step(prompt_limit=256) # one pass: at most 256 tokens of each prompt
        state = generation.leave(row, keep=True)   # a row that has ended, or is aborted

    Args:
        model: in eval mode. It reads and draws images; the runner runs its language model.
    """

    def __init__(self, model: SeedX, tokenizer: TextDecoder, runner: LanguageRunner) -> None:
        self.model, self.tokenizer, self.runner = model, tokenizer, runner
        self.rows: list[Row] = []

    @torch.inference_mode()
    def join(self, requests: Sequence[RowRequest]) -> list[Row]:
        """Rows for all requests. If one is refused, none joins.

        Raises:
            SeedxError: an empty prompt, one longer than the context, placeholders that do not fit the tiles, no room
                for a forced image, or an unknown adapter. The message numbers the prompts from 0.
        """
        rows = [self.checked(request, number) for number, request in enumerate(requests)]
        read = self._read([request.prompt for request in requests])
        for row, request, tiles in zip(rows, requests, read, strict=True):
            prompt, pending = request.prompt, request.state.pending if request.state else ()
            row.embeds = self.runner.embed(torch.cat([prompt.ids.new_tensor(pending), prompt.ids]))
            if tiles is not None:
                mask = self._read_mask(prompt).to(row.embeds.device)
                row.embeds[len(pending) :][mask] = tiles.flatten(0, 1).to(row.embeds)
        for row, request in zip(rows, requests, strict=True):
            row.place = self.runner.open_row(request.state.read if request.state else None, request.adapter)
        self.rows += rows
        return rows

    @torch.inference_mode()
    def step(self, prompt_limit: int | None = None, only: Collection[Row] | None = None) -> list[tuple[Row, Event]]:
        """One pass of all running rows.

        Args:
            prompt_limit: of a prompt no more tokens than this are read, so that a long one does not delay other rows.
            only: the rows that pass; None: all. Rows of a pass are padded to the one that reads most, so that one
                prompt makes a pass of many single tokens dear.
        """
        rows = [row for row in self.rows if row.running and (only is None or row in only)]
        if not rows:
            return []
        counts = [row.next_counts(prompt_limit) for row in rows]
        wanted = [sampled if row.span is not None else 0 for row, (_, sampled) in zip(rows, counts, strict=True)]
        states = self.runner.forward([row.place for row in rows], self._embeds(rows, counts), wanted)
        for row, (of_prompt, sampled) in zip(rows, counts, strict=True):
            row.read(of_prompt, sampled)
        done = [i for i, row in enumerate(rows) if not row.unread]
        return self._drawn([(rows[i], states[i]) for i in done]) + self._continued([rows[i] for i in done])

    @torch.inference_mode()
    def leave(self, row: Row, keep: bool = False) -> RowState | None:
        """Remove a row, at its end or before.

        Returns:
            What continues it, if it is to be kept; None if not, or if its prompt was not read to the end. An image
            that was begun and not drawn is no part of it.
        """
        self.rows.remove(row)
        read = self.runner.close_row(row.place, keep and not row.unread)
        return None if read is None else RowState(read, tuple(row.pending)).cut(row.kept)

    def checked(self, request: RowRequest, number: int = 0) -> Row:
        """A row that can join. Nothing is embedded or read.

        Raises:
            SeedxError: as `join`.
        """
        row, prompt = Row(request, self.model, self.tokenizer), request.prompt
        queries = row.queries
        if not row.unread:
            raise SeedxError(f"prompt {number} is empty")
        if row.left < 1:
            length = row.length + row.unread
            raise ContextFullError(
                f"prompt {number} has {length} tokens, but the context holds {row.context}: shorten it"
            )
        last = int(prompt.ids[-1]) if len(prompt.ids) else None
        opened = last == row.specials.image_start
        needed = queries + 1 if opened else row.image_tokens if row.settings.drawing in ("force", "now") else 0
        if row.left < needed:
            raise ContextFullError(
                f"prompt {number}: an image takes {needed} tokens, and the context and max_new_tokens leave {row.left}"
            )
        tiles, marked = 0 if prompt.tiles is None else len(prompt.tiles), int(self._read_mask(prompt).sum())
        if marked != tiles * queries:
            raise SeedxError(
                f"prompt {number} has {tiles} tiles of {queries} placeholders, but {marked} placeholders to fill"
            )
        if opened:
            row.draw()
        elif row.settings.drawing == "now":
            row.draw_now()
        elif last is not None and last == row.specials.box_start:
            row.text.begin(last)
        return row

    def _read_mask(self, prompt: Prompt) -> Tensor:
        if prompt.read_mask is not None:
            return prompt.read_mask
        return torch.isin(prompt.ids, prompt.ids.new_tensor(self.tokenizer.specials.placeholders))

    def _read(self, prompts: Sequence[Prompt]) -> list[Tensor | None]:
        """The embeddings (R, K, dim) of each prompt's tiles, all read together, equal ones once."""
        with_tiles = [prompt for prompt in prompts if prompt.tiles is not None and len(prompt.tiles)]
        if not with_tiles:
            return [None] * len(prompts)
        tiles = torch.cat([prompt.tiles for prompt in with_tiles if prompt.tiles is not None])
        if tiles.dim() == 3:  # features: the visual tokenizer, which moves pixels to where it is, is not asked
            features = tiles.to(self.model.input_resampler.query)
        else:
            distinct, of_tile = _distinct(tiles)
            features = self.model.encode_images(distinct)
            features = features[of_tile.to(features.device)]
        places = [prompt.tile_positions for prompt in with_tiles if prompt.tile_positions is not None]
        read = self.model.read(features, torch.cat(places) if places else None)
        pieces = iter(read.split([len(prompt.tiles) for prompt in with_tiles if prompt.tiles is not None]))
        return [next(pieces) if any(prompt is one for one in with_tiles) else None for prompt in prompts]

    def _embeds(self, rows: list[Row], counts: list[tuple[int, int]]) -> list[Tensor]:
        """What each row reads next (T, dim): of its prompt, and of the tokens sampled."""
        ids = [row.pending[:sampled] for row, (_, sampled) in zip(rows, counts, strict=True)]
        sampled = self.runner.embed(torch.tensor([token for each in ids for token in each], dtype=torch.int64))
        pieces = sampled.split([len(each) for each in ids])
        return [
            torch.cat([row.embeds[:of_prompt], piece]) if of_prompt else piece
            for row, (of_prompt, _), piece in zip(rows, counts, pieces, strict=True)
        ]

    def _drawn(self, passed: list[tuple[Row, Tensor]]) -> list[tuple[Row, Event]]:
        """The images whose spans were in this pass, from the states of the sampled tokens."""
        spans = [(row, states[row.span :][: row.queries]) for row, states in passed if row.span is not None]
        if not spans:
            return []
        stacked = torch.stack([states for _, states in spans])
        for row, _ in spans:
            row.span = None
        features = self.model.draw_features(stacked)
        return [
            (row, ImageEvent(image, states, row.planned))
            for (row, _), image, states in zip(spans, features, stacked, strict=True)
        ]

    def _continued(self, rows: list[Row]) -> list[tuple[Row, Event]]:
        """The next token of every row of the last pass."""
        events: list[tuple[Row, Event]] = []
        for row in rows:
            if row.settings.one_image and row.images and row.span is None:
                events += [(row, event) for event in row.finish("stop")]
            elif row.left < 1:  # a span used up the rest
                events += [(row, event) for event in row.finish("length")]
        rows = [row for row in rows if row.running]
        if rows:
            tokens = self._sampled(rows, self.runner.logits([row.place for row in rows]))
            for row, token in zip(rows, tokens, strict=True):
                events += [(row, event) for event in row.take(token)]
        return events

    def _sampled(self, rows: list[Row], logits: Tensor) -> list[int]:
        """The next token of each row from its logits (N, V), by its own settings."""
        specials, queries = rows[0].specials, rows[0].queries
        logits = logits[:, : self.tokenizer.vocab_size]
        rules = [(row.settings.release_suppression, row.forbidden) for row in rows]
        if len(alike := set(rules)) == 1:
            logits = suppress(logits, specials, queries, *rules[0])
        else:
            for rule in alike:
                at = torch.tensor([i for i, each in enumerate(rules) if each == rule], device=logits.device)
                logits = logits.index_copy(0, at, suppress(logits[at], specials, queries, *rule))
        temperatures, top_ps = zip(*(row.sampling for row in rows), strict=True)
        return next_tokens(
            logits,
            temperatures,
            top_ps,
            [
                torch.rand((), generator=row.generator) if temperature > 0 else None
                for row, temperature in zip(rows, temperatures, strict=True)
            ],
        )


def _distinct(tiles: Tensor) -> tuple[Tensor, Tensor]:
    """(R, 3, S, S) without the tiles that equal the one before, and for each tile (R,) the number of its own.

    A picture of one tile has it twice: its thumbnail is the same. The visual tokenizer takes most of a short answer.
    """
    new = torch.ones(len(tiles), dtype=torch.bool)
    for number in range(1, len(tiles)):
        new[number] = not torch.equal(tiles[number], tiles[number - 1])
    return tiles[new], new.cumsum(0) - 1
