"""Stories in rounds of one sentence and one image, as SEED-Story tells them, with a window of pictures.

    round 1    <s>{text}<img>P</img>                                    reply: A<img>..</img>
    round 2    <s>{text}<img>P</img>A<img>A'</img>                      reply: B<img>..</img>
    round 3    <s>{text}<img>P</img>A<img>A'</img>B<img>B'</img>        ...

A reply's text is written into the next prompt; its image is read there as the features that the model regressed (A'),
not as its pixels seen again. Past a window of pictures, the oldest text and picture are dropped. There are two ways:

    window alone    each round reads its whole prompt again
    sink            what was read stays in the cache, and nothing is read twice. The first 4 tokens of the whole text
                    stay for ever, and of a dropped picture 4 tokens before `<img>`, `<img>` and 7 after it, 8 before
                    `</img>`, `</img>` and 3 after it: the paper's multimodal attention sink, up to 24 tokens a picture

Source: TencentARC/SEED-Story (src/inference/gen_george.py; src/data/story_telling.py for the mark before texts) and
arXiv 2407.08683 for the sink, whose published script (vis_george_sink.py) builds such a cache and then generates
without it. Positions are those in the cache, as in StreamingLLM.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

import PIL.Image
import torch
from torch import Tensor

from seedx.checks import integer
from seedx.engines.runner import RunnerState
from seedx.errors import SeedxError
from seedx.inference.engine import Engine, Responses, sampling_of
from seedx.inference.events import Answer, TextEvent
from seedx.inference.image_decoder import ImageRequest
from seedx.inference.rows import Prompt, RowRequest, RowState
from seedx.inference.settings import ImageDrawing, Settings
from seedx.messages import Image, system
from seedx.model.cache import CachedRow
from seedx.prompt import prepare
from seedx.tiling import Tiles

FIRST = 4  # tokens of the whole text that stay
OUTSIDE, INSIDE = 4, 8  # tokens before `<img>` and from it on, and the same around `</img>`, that stay of a picture


@dataclass(frozen=True)
class Part:
    """A text, and the picture (1, Q, D) after it, if any, as features of the visual tokenizer."""

    text: str
    features: Tensor | None = None


@dataclass
class Held:
    """What the cache of a story with a sink holds.

    Attributes:
        tokens: their numbers, counted over the whole story, in the order of the cache.
        pictures: of each in the window the numbers of its `<img>` and `</img>`.
        sinks: numbers of the tokens that are never dropped.
        count: tokens of the whole story so far.
    """

    tokens: list[int] = field(default_factory=list)
    pictures: list[tuple[int, int]] = field(default_factory=list)
    sinks: set[int] = field(default_factory=lambda: set(range(FIRST)))
    count: int = 0

    def read(self, ids: Tensor, start: int, end: int) -> None:
        """These tokens follow; `start` and `end` are the ids of `<img>` and `</img>`."""
        numbers = range(self.count, self.count + len(ids))
        opened = [number for number, token in zip(numbers, ids.tolist(), strict=True) if token == start]
        closed = [number for number, token in zip(numbers, ids.tolist(), strict=True) if token == end]
        self.pictures += zip(opened, closed, strict=True)
        self.tokens += numbers
        self.count += len(ids)

    def drop(self) -> list[int]:
        """Drop the oldest picture and what is before it; the indices in the cache of what stays."""
        opened, closed = self.pictures.pop(0)
        self.sinks |= {*range(opened - OUTSIDE, opened + INSIDE), *range(closed - INSIDE, closed + OUTSIDE)}
        kept = [index for index, number in enumerate(self.tokens) if number > closed or number in self.sinks]
        self.tokens = [self.tokens[index] for index in kept]
        return kept


class Rounds:
    """A story in progress.

    Args:
        window: pictures that a prompt holds, the last ones.
        sink: keep what was read, and the tokens around dropped pictures.

    Raises:
        SeedxError: a window without pictures.
    """

    def __init__(self, engine: Engine, window: int, sink: bool, adapter: str | None = None) -> None:
        self.engine, self.window, self.sink = engine, integer("window", window, 1), sink
        self.adapter = engine.adapters.of_rows(adapter)
        self.parts: list[Part] = []
        self.held = Held()
        self._new: list[Part] = []  # not in the cache yet
        self._state: RowState | None = None

    @torch.no_grad()
    def add(self, text: str, features: Tensor | None = None) -> None:
        """The text, and the picture (Q, D) after it, are part of the next prompt.

        Raises:
            SeedxError: features of another shape than the visual tokenizer's.
        """
        part = Part(text, None if features is None else features[None])
        self.parts.append(part)
        self._new.append(part)
        if sum(each.features is not None for each in self.parts) > self.window:
            self._drop()

    def ask(self, settings: Settings, drawing: ImageDrawing) -> tuple[str, Tensor | None]:
        """The next text and the features (Kp, D) of its image; of several the last one counts, as in the release.

        Raises:
            SeedxError: the prompt and an image do not fit into the context.
        """
        prompt = self._prompt()
        answer, before = Answer(), self._state.read.length if self._state else 0
        row = RowRequest(prompt, sampling_of(settings, drawing), self._state, self.adapter)
        responses = Responses(self.engine.generation(), [row], keep_states=self.sink)
        for _, event in responses:
            answer.add(event)
        if self.sink:
            self._keep(prompt.ids, before, responses.states[0])
        texts = [part.text.strip() for part in answer.parts if isinstance(part, TextEvent)]
        return " ".join(filter(None, texts)), answer.images[-1] if answer.images else None

    def _prompt(self) -> Prompt:
        """The window, or with a sink what is new."""
        model, again = self.engine.model, self._state is not None
        parts = self._new if self.sink else self.parts
        content = [piece for part in parts for piece in (part.text, _read(part)) if piece]
        encoded = prepare([system(*content)], model.tokenizer, model.config, for_generation=True)
        assert encoded is not None
        return Prompt.of(encoded, start=1 if again else 0)  # <s> has been read

    def _keep(self, ids: Tensor, before: int, state: RowState | None) -> None:
        """The cache is rewound to the end of the prompt: the reply comes again as text and features."""
        assert state is not None
        specials = self.engine.model.tokenizer.specials
        self.held.read(ids, specials.image_start, specials.image_end)
        self._state = RowState(RunnerState(before + len(ids), state.read.content))
        self._new = []

    def _drop(self) -> None:
        """The oldest text and picture leave the window."""
        oldest = next(i for i, part in enumerate(self.parts) if part.features is not None)
        self.parts = self.parts[oldest + 1 :]
        if self.parts:  # the first text of a prompt has no mark
            mark = self.engine.variant.story_mark
            self.parts[0] = dataclasses.replace(self.parts[0], text=self.parts[0].text.removeprefix(mark))
        if self._state is None:
            return
        content = self._state.read.content
        if not isinstance(content, CachedRow):
            raise SeedxError("an attention sink needs the language model to be run by torch")
        kept = torch.tensor(self.held.drop(), device=content.keys[0].device)
        moved = self.engine.model.seedx.language.moved(content, kept)
        self._state = RowState(RunnerState(len(kept), moved))


def tell(
    engine: Engine,
    text: str,
    picture: PIL.Image.Image | None,
    *,
    window: int | None,
    sink: bool,
    drawing: ImageDrawing,
    settings: Settings,
    adapter: str | None = None,
) -> Iterator[tuple[str, PIL.Image.Image]]:
    """The sentences and images of a story, without an end.

    Args:
        text: the story's first sentence, with `picture`; without one its image is drawn, and comes first.
        window: None: as the model's variant has it.

    Raises:
        SeedxError: an empty text; and as `Rounds`.
    """
    if not text.strip():
        raise SeedxError("the prompt is empty: say how the story begins")
    engine.image_decoder.check(settings)
    told = Rounds(engine, engine.variant.window or 1 if window is None else window, sink, adapter)
    number = 0

    def decoded(features: Tensor) -> PIL.Image.Image:
        seeded = dataclasses.replace(settings, seed=settings.seed + number)
        return engine.image_decoder.decode([ImageRequest(features, seeded, None, adapter)])[0]

    if picture is None:
        opening = Rounds(engine, 1, False, adapter)
        opening.add(text)
        _, features = opening.ask(settings, "now")
        assert features is not None
        yield text, decoded(features)
        number += 1
    else:
        features = engine.image_decoder.encode([picture])[0]
    while True:
        told.add(text, features)
        text, features = told.ask(settings, drawing)
        if features is None:  # the reply had no room for an image
            return
        yield text.removeprefix(engine.variant.story_mark).strip(), decoded(features)
        number += 1


def _read(part: Part) -> Image[Tiles] | None:
    return None if part.features is None else Image(Tiles(part.features, torch.tensor([[0.5, 0.5]])))
