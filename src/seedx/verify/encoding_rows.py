"""Rows of the case `g` (calls of the release's data functions) as messages, encoded.

Each row has a function, its arguments, the seed, the results of its random draws, and its output, empty if the sample
was dropped. These alone identify a row, never its name.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image
import torch

from seedx.batch import Encoded
from seedx.config import SEED_X_17B, BridgeConfig, Config, TilingConfig
from seedx.errors import SeedxError
from seedx.images import large_enough
from seedx.messages import Image, Message, Text, assistant, images, system, user
from seedx.prompt import prepare
from seedx.tiling import Tiles, count_tiles
from seedx.tokenizer import Mark, Tokenizer
from seedx.verify.encoding_cases import picture_of

Row = dict[str, Any]
Opened = PIL.Image.Image | Tiles  # the release opens pictures in its own way; of a caption only the tiles may be known

CAPTION = ("encode_caption_input_ids", "encode_caption_input_ids_v2")
CHAT = "decode_llava_data"
EDIT = "decode_single_turn_edit_data"
PAIR = "decode_image_text_pair"  # and what the release does with its result

TEMPLATE = "[INST] {instruction} [/INST]\n"  # ours; a row may have another
UNLIMITED = 1 << 20  # tokens


@dataclass(frozen=True)
class World:
    """The tokenizer and the pictures of all rows of a case."""

    tokenizer: Tokenizer
    pictures: Path

    def encode(
        self, row: Row, too_long: Literal["drop", "truncate"] = "drop", limit: int | None = None
    ) -> Encoded | None:
        """Our encoding of a row, None if it is dropped.

        Raises:
            SeedxError: the record is incomplete or its picture can't be opened; a loader drops and counts these as
                well.
        """
        messages, limit = conversation(row, self.pictures), limit or row["args"]["max_length"]
        if not passes(row, messages):
            return None
        lengths = set(placeholders(row, messages))
        if len(lengths) <= 1:
            settings = config(row, *(lengths or {1}))
            return prepare(messages, self.tokenizer, settings, too_long=too_long, max_length=limit)
        encoded = self._spliced(row, messages)
        return encoded if len(encoded) <= limit else None

    def length(self, row: Row) -> int:
        """Tokens of a row if there were no limit, 0 if it is dropped anyhow."""
        try:
            encoded = self.encode(row, limit=UNLIMITED)
        except ValueError:
            return 0
        return 0 if encoded is None else len(encoded)

    def _spliced(self, row: Row, messages: list[Message[Opened]]) -> Encoded:
        """Images read and drawn take the same number of placeholders in our model. Where they do not, a row is encoded
        with either number, and goes over from one to the other before the image that is drawn."""
        read, drawn = (row["args"][f"num_img_{way}_tokens"] for way in ("in", "out"))
        sides = [self._whole(row, messages, queries) for queries in (read, drawn)]
        starts = [int(side.draw_mask.int().argmax()) - 1 for side in sides]

        def join(field: str) -> torch.Tensor:
            before, after = (getattr(side, field) for side in sides)
            return torch.cat([before[: starts[0]], after[starts[1] :]])

        return dataclasses.replace(
            sides[0],
            input_ids=(ids := join("input_ids")),
            labels=join("labels"),
            position_ids=torch.arange(len(ids)),
            read_mask=join("read_mask"),
            draw_mask=join("draw_mask"),
        )

    def _whole(self, row: Row, messages: list[Message[Opened]], queries: int) -> Encoded:
        encoded = prepare(messages, self.tokenizer, config(row, queries), max_length=UNLIMITED)
        assert encoded is not None, "nothing is too long without a limit"
        return encoded


def passes(row: Row, messages: list[Message[Opened]]) -> bool:
    """The release's filter: of an edit the source alone is looked at, of a chat nothing."""
    function, args = name_of(row), row["args"]
    if function not in (PAIR, EDIT):
        return True
    return large_enough(
        picture(images(messages)[0]).size, min_side=args["min_resolution"], min_aspect_ratio=args["min_aspect_ratio"]
    )


def picture(part: Image[Opened]) -> PIL.Image.Image:
    assert not isinstance(part.image, Tiles), "only the picture of a caption may be given by its tiles"
    return part.image


def placeholders(row: Row, messages: list[Message[Opened]]) -> list[int]:
    """Of every image, how many it takes."""
    args = row["args"]
    return [
        args["num_img_out_tokens" if message.role == "assistant" else "num_img_in_tokens"]
        for message in messages
        for _ in images([message])
    ]


def config(row: Row, queries: int = 1) -> Config:
    """Queries and tiling as the row's arguments have them."""
    args = row["args"]
    many = args.get("multi_resolution", True)
    tiling = TilingConfig(
        tile=args.get("base_resolution", 1),
        grids=tuple(args.get("grids") or ()) if many else ("1x1",),
        single_tile=many,
    )
    return dataclasses.replace(SEED_X_17B, bridge=BridgeConfig(queries=queries), tiling=tiling)


def tile_counts(row: Row, messages: list[Message[Opened]]) -> list[int]:
    """Of every image, how many tiles the release cuts it into: the ones that are drawn as well."""
    settings = config(row).tiling
    return [count_tiles(part.image, settings) for part in images(messages)]


def name_of(row: Row) -> str:
    """The function that reads the sample, without those that the release calls after it."""
    return str(row["function"]).split("+")[0]


def conversation(row: Row, pictures: Path) -> list[Message[Opened]]:
    """The row's sample in our form.

    Raises:
        SeedxError: a part of it is missing, or a picture can't be opened.
    """
    function, args = name_of(row), row["args"]
    if function in CAPTION:
        return _caption(args["caption"], _blank(args.get("patch_length", 1)), image_first(row))
    if function == PAIR:
        return _caption(_pair_text(row), _picture(pictures, args["image"]), image_first(row))
    if function == CHAT:
        return _context(args) + _chat(row, pictures)
    if function == EDIT:
        return _context(args) + _edit(row, pictures)
    raise SeedxError(f"no translation into messages for the function {row['function']!r}")


def image_first(row: Row) -> bool:
    """The first number that the release draws decides; not every row has it written."""
    drawn = (row["branches"] or {}).get("img_first_by_draw")
    if drawn is None:
        drawn = np.random.RandomState(row["seed"]).uniform() < row["args"]["img_first_ratio"]
    return bool(drawn)


def _caption(caption: str, picture: Image[Opened], image_first: bool) -> list[Message[Opened]]:
    text = Text(Mark(caption))  # it may hold a template, which acts as one in the release
    return [system(picture), assistant(text)] if image_first else [system(text), assistant(picture)]


def _pair_text(row: Row) -> str:
    """The release joins the chat template and the answer's words to the caption before it encodes them."""
    args, drawn = row["args"], row["branches"]
    caption = args["caption"]
    if args.get("use_caption_in_metadata"):
        caption = (args["metadata"] or {}).get(args["caption_key_in_metadata"])
    if caption is None or not args.get("assure_text", True):
        raise SeedxError("the sample has no caption")
    if args["add_gen_prompt"]:
        caption = f"{drawn['prompt']} {caption.lstrip(' ')}"
    if args["instruction_prompt"] is not None:
        caption = args["instruction_prompt"].format(instruction=caption)
    return f"{caption.rstrip(' ')} {drawn['response']}" if args["add_gen_prompt"] else caption


def _chat(row: Row, pictures: Path) -> list[Message[Opened]]:
    value = row["args"]["value"]
    texts, turns = value.get("data") or (), []
    for i, text in enumerate(texts):
        shows = i == 0 and "null" not in (name := value.get("image") or "null") and name != "none"
        parts = _around(text, _picture(pictures, name.lstrip("/")), row) if shows else (text,)
        turns.append(assistant(text) if i % 2 else _instruction(row, *parts, later=i > 0))
    return turns


def _edit(row: Row, pictures: Path) -> list[Message[Opened]]:
    value, drawn = row["args"]["value"], row["branches"]
    absent = [key for key in ("source_image", "target_image", "instruction") if key not in value]
    if absent:
        raise SeedxError(f"an edit has no {absent[0]}")
    rewritten = "instruction_new" in value and "response" in value
    instruction = value["instruction_new" if rewritten else "instruction"]
    response = value["response"] if rewritten else drawn["polite_response"]
    if not row["args"]["use_polite_response"]:
        response = ""
    if response is None:
        raise SeedxError("an edit's response is empty")
    instruction = "" if drawn["drop_prompt"] or instruction is None else instruction
    source, target = (_picture(pictures, value[key]) for key in ("source_image", "target_image"))
    return [_instruction(row, *_around(instruction, source, row)), assistant(response, target)]


def _instruction(row: Row, *parts: Image[Opened] | str, later: bool = False) -> Message[Opened]:
    """A user's turn. In another template than ours it is context, written out."""
    template, separator = row["args"]["instruction_prompt"], row["args"].get("turn_sep", "\n")
    if template == TEMPLATE and separator == "\n":
        return user(*parts)
    before, after = template.format(instruction="\0").split("\0")
    return system((separator if later else "") + before, *parts, after)


def _around(text: str, picture: Image[Opened], row: Row) -> tuple[Image[Opened] | str, Image[Opened] | str]:
    return (picture, text) if row["branches"]["image_in_start"] else (text, picture)


def _context(args: dict[str, Any]) -> list[Message[Opened]]:
    text = args["system_message"]
    return [system(text if text.endswith("\n") else f"{text}\n")] if text else []


def _picture(pictures: Path, name: str) -> Image[Opened]:
    return Image(picture_of(pictures / name))


def _blank(tiles: int) -> Image[Opened]:
    """A picture of which only the number of tiles is known."""
    return Image(Tiles(torch.zeros(tiles, 3, 1, 1), torch.zeros(tiles, 2)))
