"""Messages -> ids, labels and masks. The one home of the prompt and of what is learned from it, in training and inference.

    [INST] {user} [/INST]\\n{assistant}\\n[INST] {user} [/INST]\\n{assistant}      BOS before, EOS after

A user's image is read: `<patch>`, placeholders, `</patch>` for each tile, then `<img>`, placeholders, `</img>` for the
thumbnail, at its place in the content. An assistant's image is drawn: `<img>`, placeholders, `</img>`. From its placeholders
alone the model could not tell what it drew, so the next user turn begins with the drawn images in the form that is read.
With two placeholders (p p) and every image of one tile; R and D mark the placeholders read and drawn, L a label:

    user("Draw a cat."), assistant("Here.", image), user("Add a hat."), assistant(other image)

    <s>[INST] Draw a cat. [/INST]\\nHere.<img>p p</img>\\n[INST] <img>p p</img>Add a hat. [/INST]\\n<img>p p</img></s>
                                   L    L   D D                        R R                          L   D D       L

A system message is context without a template: written as it is, and never learned. Before a user turn it ends in a new
line. Pre-training's documents need nothing else:

    image -> text      system(image), assistant("a red car")       <s><img>p p</img>a red car</s>      learned: a red car </s>
    text -> image      system("a red car"), assistant(image)       <s>a red car<img>p p</img></s>      learned: <img> </s>
    interleaved        assistant("One."), system(image), assistant("Two.", other image, "Three."), ...

Learned are the assistant's text, `<img>` (when to draw) and EOS; never placeholders or `</img>`, which are forced. There is no
EOS between turns. Each turn is encoded apart, as in the release: `\\n[INST] ` belongs to the user's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import PIL.Image
import torch
from torch import Tensor

from seedx.collate import IGNORE, Encoded, collate, concatenate, pack
from seedx.config import Config
from seedx.images import MAX_PIXELS, open_image
from seedx.messages import Box, Image, Message, images
from seedx.tiling import Tiles, thumbnail, tile_count, tile_image
from seedx.tokenizer import Tokenizer
from seedx.tokens import SpecialTokens, box_to_text

__all__ = ["Encoded", "collate", "concatenate", "encode", "pack", "prepare"]


def encode(
    messages: Sequence[Message],
    tokenizer: Tokenizer,
    config: Config,
    *,
    tiles: Sequence[int] = (),
    for_generation: bool = False,
    too_long: Literal["drop", "cut"] = "drop",
    max_length: int | None = None,
) -> Encoded | None:
    """Ids, labels and masks of a conversation; no pixels are looked at.

    Args:
        tiles: number of tiles, thumbnail included, of each of `messages.images(messages)`; one only drawn may have any number.
        for_generation: stop where the model goes on: after the last user turn, or within the assistant's last message. Nothing
            is a target then. Otherwise an unanswered last user turn is left out.
        too_long: what training does with a conversation over `max_length`. "drop" returns None; "cut" ends it there, without
            EOS, and before an image that would be cut, and returns None only if nothing learned is left.
        max_length: tokens; by default `config.language.context`.

    Raises:
        ValueError: nothing to encode, or a prompt that leaves no room for an answer.
    """
    limit = max_length or config.language.context
    if len(tiles) != len(images(messages)):
        raise ValueError(
            f"{len(images(messages))} images in the messages need as many numbers of tiles, not {len(tiles)}"
        )
    row = _Row(tokenizer.specials, config.bridge.queries)
    row.add([tokenizer.specials.bos], learn=False)
    _write(messages if for_generation else _until_answered(messages), tokenizer, tiles, row)
    if for_generation:
        if len(row.ids) >= limit:
            raise ValueError(
                f"the prompt takes {len(row.ids)} tokens and the model's context is {limit}: shorten the text, or send fewer or "
                "smaller images"
            )
        return dataclasses.replace(row.finish(), draw_mask=torch.zeros(len(row.ids), dtype=torch.bool), draws=())
    row.add([tokenizer.specials.eos], learn=True)
    if len(row.ids) > limit:
        if too_long == "drop":
            return None
        row.cut(limit)
        if all(label == IGNORE for label in row.labels):
            return None
    return row.finish()


def prepare(
    messages: Sequence[Message],
    tokenizer: Tokenizer,
    config: Config,
    *,
    for_generation: bool = False,
    too_long: Literal["drop", "cut"] = "drop",
    max_length: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Encoded | None:
    """`encode`, with the pictures opened and tiled.

    An image in the messages is whatever `open_image` takes, or `Tiles` made before: of pixels, or of the visual tokenizer's
    features, whose last one (the thumbnail) is the target if the image is drawn.

    Raises:
        ValueError: as `encode` and `open_image`.
    """
    pictures = [_open(part, max_pixels) for part in images(messages)]
    counts = [len(p) if isinstance(p, Tiles) else tile_count(p.size, config.tiling) for p in pictures]
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
    read = {i: _tiles(pictures[i], config) for i in encoded.reads}
    drawn = [read[i].pixels[-1] if i in read else _target(pictures[i], config) for i in encoded.draws]
    return dataclasses.replace(
        encoded,
        tiles=torch.cat([read[i].pixels for i in encoded.reads]) if read else None,
        tile_positions=torch.cat([read[i].positions for i in encoded.reads]) if read else None,
        targets=torch.stack(drawn) if drawn else None,
    )


@dataclass
class _Row:
    """A sequence as it grows."""

    specials: SpecialTokens
    queries: int
    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    read: list[tuple[int, int, int]] = field(default_factory=list)  # image, start and end of its tokens
    drawn: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, ids: list[int], learn: bool) -> None:
        self.ids += ids
        self.labels += ids if learn else [IGNORE] * len(ids)

    def read_form(self, tiles: int) -> list[int]:
        return self.specials.patch(self.queries) * (tiles - 1) + self.specials.image(self.queries)

    def draw_form(self) -> list[int]:
        return self.specials.image(self.queries)

    def cut(self, limit: int) -> None:
        """End at `limit` tokens, or before the image that lies across it."""
        limit = min([limit, *(start for _, start, end in self.read + self.drawn if start < limit < end)])
        del self.ids[limit:], self.labels[limit:]
        self.read = [span for span in self.read if span[2] <= limit]
        self.drawn = [span for span in self.drawn if span[2] <= limit]

    def finish(self) -> Encoded:
        ids, labels = torch.tensor(self.ids), torch.tensor(self.labels)
        placeholders = set(self.specials.placeholders[: self.queries])
        content = torch.tensor([i in placeholders for i in self.ids])
        read_mask, draw_mask = torch.zeros_like(content), torch.zeros_like(content)
        for mask, spans in ((read_mask, self.read), (draw_mask, self.drawn)):
            for _, start, end in spans:
                mask[start:end] = content[start:end]
        reads, draws = (tuple(image for image, _, _ in spans) for spans in (self.read, self.drawn))
        return Encoded(ids, labels, torch.arange(len(ids)), read_mask, draw_mask, reads, draws)


def _write(messages: Sequence[Message], tokenizer: Tokenizer, tiles: Sequence[int], row: _Row) -> None:
    """Append every turn to the row."""
    if not any(message.content for message in messages):
        raise ValueError("the conversation is empty: it needs at least one message with a text or an image")
    count, drawn = 0, []  # images so far; those drawn since the last user turn
    for turn, message in enumerate(messages):
        here = list(range(count, count + len(images([message]))))
        count += len(here)
        match message.role:
            case "user":
                answered = any(earlier.role == "assistant" for earlier in messages[:turn])
                parts = ["\n[INST] " if answered else "[INST] ", *drawn, *_parts(message, here), " [/INST]\n"]
                _write_turn(parts, tokenizer, tiles, row, assistant=False)
                drawn = []
            case "assistant":
                _write_turn(_parts(message, here), tokenizer, tiles, row, assistant=True)
                drawn += here
            case "system":
                before_user = turn + 1 < len(messages) and messages[turn + 1].role == "user"
                _write_turn(
                    _closed_line(_parts(message, here)) if before_user else _parts(message, here),
                    tokenizer,
                    tiles,
                    row,
                    assistant=False,
                )


def _write_turn(
    parts: Sequence[str | int], tokenizer: Tokenizer, tiles: Sequence[int], row: _Row, assistant: bool
) -> None:
    """Append one turn of texts and numbers of images.

    It is encoded as one, because what white space means depends on what is beside it; the images are found again by their
    first token, which no text can hold.
    """
    forms = {
        image: row.draw_form() if assistant else row.read_form(tiles[image])
        for image in parts
        if isinstance(image, int)
    }
    ids = tokenizer.encode_parts([forms[part] if isinstance(part, int) else part for part in parts])
    ends = {row.specials.patch_start, row.specials.image_start}
    at = 0
    for image in (part for part in parts if isinstance(part, int)):
        start = next(i for i in range(at, len(ids)) if ids[i] in ends)
        row.add(ids[at:start], learn=assistant)
        at = start + len(forms[image])
        (row.drawn if assistant else row.read).append((image, len(row.ids), len(row.ids) + len(forms[image])))
        row.add(ids[start : start + 1], learn=assistant)
        row.add(ids[start + 1 : at], learn=False)
    row.add(ids[at:], learn=assistant)


def _parts(message: Message, numbers: Sequence[int]) -> list[str | int]:
    """Content as texts and the numbers of its images. A box is its label, a space and its tokens; a space parts two boxes."""
    parts: list[str | int] = []
    rest, before = iter(numbers), None
    for part in message.content:
        if isinstance(part, Image):
            parts.append(next(rest))
        elif isinstance(part, Box):
            gap = " " if isinstance(before, Box) else ""
            parts.append(gap + (f"{part.label} " if part.label else "") + box_to_text(part.box))
        else:
            parts.append(part.text)
        before = part
    return parts


def _closed_line(parts: list[str | int]) -> list[str | int]:
    """The parts with a new line at the end, unless there is one."""
    ended = parts and isinstance(parts[-1], str) and parts[-1].endswith("\n")
    return parts if ended else [*parts, "\n"]


def _until_answered(messages: Sequence[Message]) -> Sequence[Message]:
    """Without what follows the assistant's last message: there is nothing to learn from it."""
    answers = [i for i, message in enumerate(messages) if message.role == "assistant"]
    if not answers:
        raise ValueError("a conversation to learn from needs a message of the assistant")
    return messages[: answers[-1] + 1]


def _open(part: Image, max_pixels: int) -> PIL.Image.Image | Tiles:
    return part.image if isinstance(part.image, Tiles) else open_image(part.image, max_pixels=max_pixels)


def _tiles(picture: PIL.Image.Image | Tiles, config: Config) -> Tiles:
    return picture if isinstance(picture, Tiles) else tile_image(picture, config.tiling)


def _target(picture: PIL.Image.Image | Tiles, config: Config) -> Tensor:
    return picture.pixels[-1] if isinstance(picture, Tiles) else thumbnail(picture, config.tiling.tile)
