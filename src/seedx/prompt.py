r"""Messages -> ids, labels and masks: the one home of the prompt and of which tokens are supervised.

    <s>[INST] {user} [/INST]\n{assistant}\n[INST] {user} [/INST]\n{assistant}</s>

`[INST]` is the template of most models; what stands around a user's turn is chosen by `Config.variant` (`variants.py`).
A user's image is read: `<patch>`, placeholders, `</patch>` for each tile, then `<img>`, placeholders, `</img>` for the
thumbnail, at its place in the content. An assistant's image is drawn: `<img>`, placeholders, `</img>`. From those alone
the model could not tell what it drew, so the next user turn begins with the drawn images in the form that is read. With
two placeholders (p p) and images of one tile; R and D mark what is read and drawn, L the tokens with a text loss:

    user("Draw a cat."), assistant("Here.", image), user("Add a hat."), assistant(other image)

    <s>[INST] Draw a cat. [/INST]\nHere.<img>p p</img>\n[INST] <img>p p</img>Add a hat. [/INST]\n<img>p p</img></s>
                                   LLLLLLLLLLD D                    R R                          LLLLLD D      LLLL

The text loss is on the assistant's text, `<img>` (when to draw) and EOS; never on placeholders or `</img>`, which are
forced. There is no EOS between turns. Each turn is encoded apart, as in the release: `\n[INST] ` belongs to the user's.

In a vocabulary with plans, `<plan>`, the image's boxes and `</plan>` come before every `<img>` that is drawn, and have
labels, too. A plan stays in the history, so that a conversation encoded again has the tokens that a session has
read; an image that comes without its plan, as a server's clients send it, has an empty one, like an image of an edit:

    assistant("Here.", Image(cat, plan="cat <box_start>...<box_end>"))
    Here.<plan>cat <box_start>...<box_end></plan><img>p p</img>

A system message is context without a template: written as it is, and never supervised. Before a user turn it ends in a
new line. Pre-training's documents need nothing else:

    image -> text    system(image), assistant("a red car")    <s><img>p p</img>a red car</s>    labels: a red car</s>
    text -> image    system("a red car"), assistant(image)    <s>a red car<img>p p</img></s>    labels: <img></s>
    interleaved      assistant("One."), system(image), assistant("Two.", other image, "Three."), ...
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch

from seedx.batch import IGNORE, Encoded
from seedx.config import Config, TilingConfig
from seedx.errors import ContextFullError, SeedxError
from seedx.messages import Box, Image, Message, Part, images
from seedx.tiling import Picture, Tiles, count_tiles, target_of, tiles_of
from seedx.tokenizer import Mark, TemplateMark, Tokenizer
from seedx.tokens import box_to_text
from seedx.variants import Variant, variant_of


def encode(
    messages: Sequence[Message[object]],
    tokenizer: Tokenizer,
    config: Config,
    *,
    tiles: Sequence[int] = (),
    for_generation: bool = False,
    too_long: Literal["drop", "truncate"] = "drop",
    max_length: int | None = None,
) -> Encoded | None:
    """Ids, labels and masks of a conversation, without its pixels.

    Args:
        tiles: number of tiles, thumbnail included, of each of `messages.images(messages)`; ignored for an image that
            is only drawn.
        for_generation: end where the model continues: after the last user turn, or within the assistant's last
            message. No image is a target then. Otherwise an unanswered last user turn is left out.
        too_long: what training does with a conversation over `max_length`. "drop" returns None; "truncate" ends it
            there, without EOS, or before the image that crosses it, and returns None only if no label is left.
        max_length: tokens; by default `config.language.context`.

    Raises:
        SeedxError: nothing to encode or no assistant's message to train on, or no room left for an answer.
    """
    if too_long not in ("drop", "truncate"):
        raise ValueError(f'too_long must be "drop" or "truncate", not {too_long!r}')
    limit = max_length or config.language.context
    if len(tiles) != len(images(messages)):
        raise ValueError(
            f"{len(images(messages))} images in the messages need as many numbers of tiles, not {len(tiles)}"
        )
    plans = [part.plan for part in images(messages)]
    writer = _Writer(tokenizer, config.bridge.queries, tiles, plans)
    writer.add([tokenizer.specials.bos], supervised=False)
    _write(messages if for_generation else _until_answered(messages), writer, variant_of(config))
    if for_generation:
        if len(writer.ids) >= limit:
            raise ContextFullError(
                f"the prompt takes {len(writer.ids)} tokens and the model's context is {limit}: "
                "shorten the text, or send fewer or smaller images"
            )
        writer.drawn = []
        return writer.finish()
    writer.add([tokenizer.specials.eos], supervised=True)
    if len(writer.ids) > limit:
        if too_long == "drop":
            return None
        writer.truncate(limit)
    return writer.finish() if any(label != IGNORE for label in writer.labels) else None


def prepare(
    messages: Sequence[Message[Picture | Tiles]],
    tokenizer: Tokenizer,
    config: Config,
    *,
    for_generation: bool = False,
    too_long: Literal["drop", "truncate"] = "drop",
    max_length: int | None = None,
) -> Encoded | None:
    """`encode`, with the pictures tiled. One that is only drawn is not cut into tiles, nor is any if None is returned.

    An image in the messages is a PIL picture that `open_image` opened; or a tensor that `data/pictures.py` decoded,
    which is tiled the fast way; or `Tiles` made before: of pixels, or of the visual tokenizer's features, whose last
    one (the thumbnail) is the target if the image is drawn. `map_images(messages, open_image)` opens them.

    Raises:
        SeedxError: as `encode`.
    """
    found = images(messages)
    pictures, tilings = [part.image for part in found], [_tiling(part, config) for part in found]
    counts = tile_counts(messages, config)
    encoded = encode(
        messages,
        tokenizer,
        config,
        tiles=counts,
        for_generation=for_generation,
        too_long=too_long,
        max_length=max_length,
    )
    if encoded is None:
        return None
    read = {i: tiles_of(pictures[i], tilings[i]) for i in encoded.reads}
    drawn = [target_of(read.get(i, pictures[i]), config.tiling) for i in encoded.draws]
    return dataclasses.replace(
        encoded,
        tiles=torch.cat([read[i].pixels for i in encoded.reads]) if read else None,
        tile_positions=torch.cat([read[i].positions for i in encoded.reads]) if read else None,
        targets=torch.stack(drawn) if drawn else None,
    )


def tile_counts(messages: Sequence[Message[Picture | Tiles]], config: Config) -> list[int]:
    """The number of tiles, thumbnail included, of each of `messages.images(messages)` when it is read, by its size."""
    return [count_tiles(part.image, _tiling(part, config)) for part in images(messages)]


def _tiling(part: Image[object], config: Config) -> TilingConfig:
    """How a picture is cut into tiles: as all are, or into its own grids."""
    if part.grids is None:
        return config.tiling
    return dataclasses.replace(config.tiling, policy="pinpoints", grids=part.grids)


class _Writer:
    """The sequence, written turn by turn."""

    def __init__(self, tokenizer: Tokenizer, queries: int, tiles: Sequence[int], plans: Sequence[str]) -> None:
        self.tokenizer, self.specials, self.queries = tokenizer, tokenizer.specials, queries
        self.tiles, self.plans = tiles, plans
        self.ids: list[int] = []
        self.labels: list[int] = []
        self.read: list[_Span] = []
        self.drawn: list[_Span] = []
        self.truncated = False

    def add(self, ids: Sequence[int], supervised: bool) -> None:
        self.ids += ids
        self.labels += ids if supervised else [IGNORE] * len(ids)

    def turn(self, parts: Sequence[str | int], assistant: bool) -> None:
        """Append one turn of texts and numbers of images.

        The turn is encoded as a whole, because the ids of white space depend on what is beside it. The images are found
        again by their first token, which no text can hold.
        """
        numbers = [part for part in parts if isinstance(part, int)]
        forms = {i: self.specials.image(self.queries) if assistant else self.read_form(i) for i in numbers}
        ids = self.tokenizer.encode_parts(
            piece
            for part in parts
            for piece in ([*self.plan(part, assistant), forms[part]] if isinstance(part, int) else [part])
        )
        spans = self.drawn if assistant else self.read
        at = 0
        for i in numbers:
            start = ids.index(forms[i][0], at)
            self.add(ids[at:start], supervised=assistant)
            at = start + len(forms[i])
            spans.append(_Span(i, len(self.ids), len(self.ids) + len(forms[i])))
            self.add(ids[start : start + 1], supervised=assistant)
            self.add(ids[start + 1 : at], supervised=False)
        self.add(ids[at:], supervised=assistant)

    def plan(self, image: int, drawn: bool) -> list[str | list[int]]:
        """What comes before an image that is drawn."""
        start, end = self.specials.plan_start, self.specials.plan_end
        if not drawn or start is None or end is None:
            return []
        return [[start], self.plans[image], [end]]

    def read_form(self, image: int) -> list[int]:
        tiles = self.tiles[image] - 1
        return (self.specials.patch(self.queries) * tiles if tiles else []) + self.specials.image(self.queries)

    def truncate(self, limit: int) -> None:
        """End at `limit` tokens, or before the image that crosses it."""
        end = min([limit, *(span.start for span in self.read + self.drawn if span.start < limit < span.end)])
        self.truncated = True
        del self.ids[end:], self.labels[end:]
        self.read = [span for span in self.read if span.end <= end]
        self.drawn = [span for span in self.drawn if span.end <= end]

    def finish(self) -> Encoded:
        placeholders = set(self.specials.placeholders)
        content = torch.tensor([i in placeholders for i in self.ids])
        read_mask, draw_mask = torch.zeros_like(content), torch.zeros_like(content)
        for mask, spans in ((read_mask, self.read), (draw_mask, self.drawn)):
            for span in spans:
                mask[span.start : span.end] = content[span.start : span.end]
        return Encoded(
            input_ids=torch.tensor(self.ids),
            labels=torch.tensor(self.labels),
            position_ids=torch.arange(len(self.ids)),
            read_mask=read_mask,
            draw_mask=draw_mask,
            reads=tuple(span.image for span in self.read),
            draws=tuple(span.image for span in self.drawn),
            truncated=self.truncated,
        )


class _Span(NamedTuple):
    """Where the tokens of an image are, `<img>` and `</img>` included."""

    image: int
    start: int
    end: int


def _write(messages: Sequence[Message[object]], writer: _Writer, variant: Variant) -> None:
    """Append every message."""
    if not any(message.content for message in messages):
        raise SeedxError("the conversation is empty: it needs at least one message with a text or an image")
    numbers = iter(range(len(images(messages))))
    drawn: list[int] = []  # since the last user turn
    before: set[str] = set()
    for i, message in enumerate(messages):
        parts = _parts(message, numbers, variant.bracketed)
        if message.role == "user":
            if variant.fold_case:
                parts = [part.lower() if isinstance(part, str) else part for part in parts]
            start = TemplateMark(variant.template.later if "assistant" in before else variant.template.start)
            parts, drawn = [start, *drawn, *parts, TemplateMark(variant.template.end)], []
        elif message.role == "assistant":
            drawn += [part for part in parts if isinstance(part, int)]
        else:  # written as it is: a document may hold the marks of a template
            if i + 1 < len(messages) and messages[i + 1].role == "user":
                parts = _closed_line(parts)
            parts = [Mark(part) if isinstance(part, str) else part for part in parts]
        writer.turn(parts, assistant=message.role == "assistant")
        before.add(message.role)


def _parts(message: Message[object], numbers: Iterator[int], bracketed: bool) -> list[str | int]:
    """Content as texts and the numbers of its images. A box is its label and its tokens, with spaces between."""
    parts: list[str | int] = []
    before: Part[object] | None = None
    for part in message.content:
        if isinstance(part, Image):
            parts.append(next(numbers))
        elif isinstance(part, Box):
            gap = " " if isinstance(before, Box) else ""
            box = box_to_text(part.box)
            parts.append(gap + (f"{part.label} " if part.label else "") + (f"[[ {box} ]]" if bracketed else box))
        else:
            parts.append(part.text)
        before = part
    return parts


def _closed_line(parts: list[str | int]) -> list[str | int]:
    """The parts with a new line at the end, unless there is one."""
    ended = parts and isinstance(parts[-1], str) and parts[-1].endswith("\n")
    return parts if ended else [*parts, "\n"]


def _until_answered(messages: Sequence[Message[object]]) -> Sequence[Message[object]]:
    """Without what follows the assistant's last message: none of it is supervised."""
    answers = [i for i, message in enumerate(messages) if message.role == "assistant"]
    if not answers:
        raise SeedxError("a conversation to train on needs a message of the assistant")
    return messages[: answers[-1] + 1]
