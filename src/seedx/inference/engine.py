"""The reply engine: it owns a loaded model, and every verb, session, story, evaluation and server responds through it.

    conversation = engine.open([user(Image("a.png"), "What is this?")])       # pictures opened
    for index, event in engine.respond([Request(conversation)]): ...          # text and image features, as they come
    engine.reply([Request(conversation)])                                     # the same, whole, with decoded images

Under `respond` are steps that can be called one by one: `row_request` encodes a conversation, `generation` gives rows
that join, pass and leave (`generate.py`), `image_request` and `ImageDecoder.decode` turn features into images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import PIL.Image
import torch
from torch import Tensor

from seedx.checkpoint.adapters import Adapter
from seedx.checkpoint.parts import Model
from seedx.engines.compiled import StaticPasses
from seedx.engines.llama_context import LlamaModel
from seedx.engines.llama_runner import LlamaRunner
from seedx.engines.runner import LanguageRunner
from seedx.engines.torch_runner import TorchRunner
from seedx.errors import SeedxError, shorten
from seedx.images import MAX_PIXELS, Pictures, Source, open_image
from seedx.inference.adapters import LoadedAdapters
from seedx.inference.events import Answer, EndEvent, Event, TextEvent
from seedx.inference.generate import Generation
from seedx.inference.image_decoder import ImageDecoder, ImageRequest
from seedx.inference.reply import Reply
from seedx.inference.rows import Prompt, Row, RowRequest, RowState, SamplingSettings
from seedx.inference.settings import Drawing, Settings
from seedx.messages import Image, Message, Text, assistant, images, map_images
from seedx.prompt import encode, prepare
from seedx.tiling import Picture, Tiles, thumbnail
from seedx.variants import Verb, variant_of

Conversation = Sequence[Message[PIL.Image.Image]]


@dataclass(frozen=True)
class Request:
    """A conversation to respond to.

    Attributes:
        conversation: its messages, opened; the last one is the user's.
        drawing: "auto": the model decides whether to draw; "force": at least one image; "now": the reply starts with
            one; "forbid": none.
        condition: images keep the detail and the ratio of the last one given or drawn before the reply; None: as the
            model was trained.
        tiling: False: of each picture only the thumbnail is read.
        grids: the only ones that pictures are read in; None: the model's.
        state: of the conversation without its last message, as `Responses.states` gave it with the same adapter.
        adapter: a loaded adapter, for the reply and its images; "base": none; None: the engine's default.
        one_image: the reply ends with its first image.
    """

    conversation: Conversation
    settings: Settings = field(default_factory=Settings)
    drawing: Drawing = "auto"
    condition: bool | None = None
    tiling: bool = True
    grids: tuple[str, ...] | None = None
    state: RowState | None = None
    adapter: str | None = None
    one_image: bool = False


class Responses:
    """The events of several requests, as (index of the request, event), in the order in which they come.

    Attributes:
        states: of each conversation after its reply, once it has ended or `close` was called; None where it is not
            kept, or where the reply was not begun.
    """

    def __init__(self, generation: Generation, requests: Sequence[RowRequest], keep_states: bool) -> None:
        self.generation, self.keep_states = generation, keep_states
        self.index: dict[Row, int] = {row: index for index, row in enumerate(generation.join(requests))}
        self.states: list[RowState | None] = [None] * len(requests)

    def __iter__(self) -> Iterator[tuple[int, Event]]:
        try:
            while self.index:
                events = self.generation.step()
                for row, event in events:
                    yield self.index[row], event
                for row in [row for row, event in events if isinstance(event, EndEvent)]:
                    self._leave(row)
        finally:
            self.close()

    def close(self) -> None:
        """Abort what has not ended."""
        for row in list(self.index):
            self._leave(row)

    def _leave(self, row: Row) -> None:
        self.states[self.index.pop(row)] = self.generation.leave(row, self.keep_states)


class Engine:
    """
    Args:
        llama: the language model in llama.cpp, which runs it in the place of torch.
        adapters: by name.
        adapter: of requests that name none.
        static: passes of one token a row keep their shapes: `engines/compiled.py`.
        compiled: they and the U-Net are compiled.
    """

    def __init__(
        self,
        model: Model,
        *,
        max_pixels: int = MAX_PIXELS,
        progress: bool = False,
        llama: LlamaModel | None = None,
        adapters: Mapping[str, Adapter] | None = None,
        adapter: str | None = None,
        static: bool = False,
        compiled: bool = False,
    ) -> None:
        self.model, self.max_pixels, self.llama = model, max_pixels, llama
        self.variant = variant_of(model.config)
        self.adapters = LoadedAdapters(model, adapters or {}, adapter, by_torch=llama is None)
        self.image_decoder = ImageDecoder(model, progress, self.adapters, compiled)
        self.static: StaticPasses | None = None
        if (static or compiled) and self.variant.language and llama is None:
            self.static = StaticPasses(model.seedx.language, compiled, model.placement.device_of("language"))

    def open_picture(self, picture: Source) -> PIL.Image.Image:
        return open_image(picture, max_pixels=self.max_pixels)

    def open(self, messages: Sequence[Message[Source]]) -> Conversation:
        """The messages with every picture opened.

        Raises:
            SeedxError: a picture can't be opened.
        """
        return map_images(messages, self.open_picture)

    def turn(self, text: str, pictures: Pictures = (), verb: Verb = "chat", n: int = 1) -> Message[PIL.Image.Image]:
        """What a user says, its pictures opened and before the text, as the verb asks this model.

        Args:
            pictures: one, several in a list or a tuple, or None for none.
            n: the number of images of a story.

        Raises:
            SeedxError: the text is empty, or a picture can't be opened.
        """
        if not isinstance(text, str):
            raise SeedxError(f"a prompt is a text, not {shorten(text)}")
        prompt = self.variant.prompt(verb)
        if not text.strip() and "{it}" in prompt.text:
            raise SeedxError("the prompt is empty: say what you want to know or to see")
        listed = pictures if isinstance(pictures, (list, tuple)) else [] if pictures is None else [pictures]
        several = cast("Sequence[Source]", listed)
        return prompt.message(text, [self.open_picture(picture) for picture in several], n)

    def respond(self, requests: Sequence[Request], keep_states: bool = False) -> Responses:
        """Respond to all requests together. Each reply is what it would be alone.

        Raises:
            SeedxError: a setting or a conversation that can't be; before anything is generated.
        """
        return Responses(self.generation(), [self.row_request(request) for request in requests], keep_states)

    def check(self, request: Request) -> None:
        """
        Raises:
            SeedxError: what `respond` would raise for this request.
        """
        self.generation().checked(self.row_request(request))

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        """The whole replies to all requests, their images decoded together. Errors are those of `respond`."""
        answers = [Answer() for _ in requests]
        for index, event in self.respond(requests):
            answers[index].add(event)
        drawn = iter(
            self.image_decoder.decode(
                [
                    self.image_request(request, number, features)
                    for request, answer in zip(requests, answers, strict=True)
                    for number, features in enumerate(answer.images)
                ]
            )
        )
        return [
            Reply(
                tuple(
                    Text(part.text) if isinstance(part, TextEvent) else Image(next(drawn), plan=part.plan)
                    for part in answer.parts
                ),
                answer.reason,
            )
            for answer in answers
        ]

    def merge_adapter(self, adapter: str | None) -> None:
        """As `Pipeline.merge_adapter`."""
        self.adapters = self.image_decoder.adapters = self.adapters.merge(adapter)

    def generation(self) -> Generation:
        """An empty batch, whose language model is run by torch or llama.cpp."""
        seedx = self.model.seedx
        if self.variant.language:  # without one, the tokenizer says what is missing
            self.model.need("bridge", *(["language"] if self.llama is None else []))
        runner: LanguageRunner
        if self.llama is None:
            runner = TorchRunner(seedx.language, self.adapters.language, self.static)
        else:
            like = seedx.output_resampler.query
            runner = LlamaRunner(self.llama, like.device, like.dtype)
        return Generation(seedx, self.model.tokenizer, runner)

    def row_request(self, request: Request) -> RowRequest:
        """What a request's row joins a generation with.

        Raises:
            SeedxError: as `respond`.
        """
        settings = request.settings
        self.image_decoder.check(settings)
        if request.condition:
            self.image_decoder.check_condition()
        sampling = sampling_of(settings, request.drawing, request.one_image)
        adapter = self.adapters.of_rows(request.adapter)
        return RowRequest(self.prompt(request), sampling, request.state, adapter)

    def prompt(self, request: Request) -> Prompt:
        """The conversation as ids and tiles; with a state, what its last message adds.

        Each turn is encoded apart (see `prompt.py`), so the first tokens of an addition are those of the reply before
        it alone. The words of that reply do not matter, since the model has read them, but its images do.
        """
        model, messages, known = self.model, request.conversation, 0
        config, grids = model.config, request.grids or self.variant.grids
        if grids:
            config = dataclasses.replace(config, tiling=dataclasses.replace(config.tiling, grids=grids))
        if request.state is not None:
            drawn = images([messages[-2]])
            before = [assistant("", *drawn)]
            encoded = encode(before, model.tokenizer, config, tiles=[1] * len(drawn), for_generation=True)
            assert encoded is not None
            messages, known = [*before, messages[-1]], len(encoded)
        read: Sequence[Message[Picture | Tiles]] = messages
        if not request.tiling:
            read = map_images(messages, self._thumbnail)
        encoded = prepare(read, model.tokenizer, config, for_generation=True)
        assert encoded is not None
        return Prompt.of(encoded, start=known)

    def image_request(self, request: Request, number: int, features: Tensor) -> ImageRequest:
        """The image `number` (from 0) of a reply: its seed follows from the request's, and its condition, if any, is
        the last image before the reply."""
        condition = request.condition
        if condition is None:
            condition = self.variant.conditions and self.model.has_stage(True)
        shown = images(request.conversation) if condition else []
        settings = dataclasses.replace(request.settings, seed=request.settings.seed + number)
        return ImageRequest(features, settings, shown[-1].image if shown else None, request.adapter)

    def _thumbnail(self, picture: PIL.Image.Image) -> Tiles:
        """The picture's thumbnail as its only tile."""
        pixels = thumbnail(picture, self.model.config.tiling.tile)
        return Tiles(pixels[None], torch.tensor([[0.5, 0.5]]))


def sampling_of(settings: Settings, drawing: Drawing, one_image: bool = False) -> SamplingSettings:
    """What of a reply's settings the sampling of its tokens needs."""
    return SamplingSettings(
        max_new_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        seed=settings.seed,
        drawing=drawing,
        release_suppression=settings.release_suppression,
        one_image=one_image,
    )
