"""Rows of the case `g` (calls of the release's data functions) as messages, and the faults of the release among them.

Each row holds a function, its arguments, what its random draws came to, and its output, empty if the sample was
dropped. Rows are known by these alone, never by their names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import PIL.Image
import torch

from seedx.collate import IGNORE
from seedx.config import SEED_X_17B, BridgeConfig, Config, TilingConfig
from seedx.images import large_enough, open_image
from seedx.messages import Image, Message, assistant, images, system, user
from seedx.prompt import Encoded, prepare
from seedx.tiling import Tiles
from seedx.tokenizer import Tokenizer
from seedx.tokens import IMAGE_END, IMAGE_START, PLACEHOLDERS

Row = dict[str, Any]

CAPTION = ("encode_caption_input_ids", "encode_caption_input_ids_v2")
CHAT = "decode_llava_data"
EDIT = "decode_single_turn_edit_data"
PAIR = "decode_image_text_pair+unwarp_data+tokenize_text"


@dataclass(frozen=True)
class World:
    """What the rows of a case share."""

    tokenizer: Tokenizer
    pictures: Path

    def encode(self, row: Row, too_long: Literal["drop", "cut"] = "drop") -> Encoded | None:
        """Our encoding of a row, None if it is dropped.

        Raises:
            ValueError: the record is incomplete or its picture can't be opened; a loader drops and counts these as
                well.
        """
        args = row["args"]
        messages = conversation(row, self.pictures)
        sizes = [part.image.size for part in images(messages) if isinstance(part.image, PIL.Image.Image)]
        limits = {"min_side": args.get("min_resolution", 1), "min_ratio": args.get("min_aspect_ratio", 0.0)}
        if not all(large_enough(size, **limits) for size in sizes):
            return None
        return prepare(messages, self.tokenizer, config(row), too_long=too_long, max_length=args["max_length"])


def config(row: Row) -> Config:
    """Queries and tiling as the row's arguments have them."""
    args = row["args"]
    if args["num_img_in_tokens"] != args["num_img_out_tokens"]:
        raise ValueError("images read and images drawn take the same number of placeholders in this model")
    many = args.get("multi_resolution", True)
    tiling = TilingConfig(
        tile=args.get("base_resolution", 1), grids=tuple(args.get("grids", ())) if many else ("1x1",), single_tile=many
    )
    return dataclasses.replace(SEED_X_17B, bridge=BridgeConfig(queries=args["num_img_in_tokens"]), tiling=tiling)


def conversation(row: Row, pictures: Path) -> list[Message]:
    """The row's sample in our form.

    Raises:
        ValueError: a part of it is missing, or a picture can't be opened.
    """
    function, args = row["function"], row["args"]
    if function in CAPTION:
        return _caption(args["caption"], _blank(args.get("patch_length", 1)), row["branches"]["img_first_by_draw"])
    if function == PAIR:
        return _caption(_pair_text(row), _picture(pictures, args["image"]), _image_first(row))
    if function == CHAT:
        return _context(args) + _chat(row, pictures)
    if function == EDIT:
        return _context(args) + _edit(row, pictures)
    raise ValueError(f"no translation into messages for the function {function!r}")


def _caption(caption: str, picture: Image, image_first: bool) -> list[Message]:
    return [system(picture), assistant(caption)] if image_first else [system(caption), assistant(picture)]


def _pair_text(row: Row) -> str:
    """The release joins the chat template and the answer's words to the caption before it encodes them."""
    args, drawn = row["args"], row["branches"]
    from_metadata = args["use_caption_in_metadata"]
    caption = args["metadata"][args["caption_key_in_metadata"]] if from_metadata else args["caption"]
    if not args["add_gen_prompt"]:
        return caption
    instruction = f"{drawn['prompt']} {caption.strip()}"
    return f"{args['instruction_prompt'].format(instruction=instruction)} {drawn['response']}"


def _image_first(row: Row) -> bool:
    """A pair's draw is not recorded: certain ratios tell, for others the output has to."""
    ratio = row["args"]["img_first_ratio"]
    return "1" in row["output"]["ids_cmp_mask"] if 0 < ratio < 1 else ratio >= 1


def _chat(row: Row, pictures: Path) -> list[Message]:
    value = row["args"]["value"]
    turns = [assistant(text) if i % 2 else user(text) for i, text in enumerate(value.get("data") or ())]
    if turns and value.get("image") not in (None, "", "null", "none"):
        turns[0] = user(*_around(value["data"][0], _picture(pictures, value["image"]), row))
    return turns


def _edit(row: Row, pictures: Path) -> list[Message]:
    value, drawn = row["args"]["value"], row["branches"]
    absent = [key for key in ("source_image", "target_image") if not value.get(key)]
    if absent:
        raise ValueError(f"an edit has no {absent[0]}")
    instruction = "" if drawn["drop_prompt"] else value.get("instruction_new") or value.get("instruction") or ""
    polite = row["args"]["use_polite_response"]
    response = (value.get("response") or drawn["polite_response"]) if polite else ""
    source, target = (_picture(pictures, value[key]) for key in ("source_image", "target_image"))
    return [user(*_around(instruction, source, row)), assistant(response, target)]


def _around(text: str, picture: Image, row: Row) -> tuple[Image | str, Image | str]:
    return (picture, text) if row["branches"]["image_in_start"] else (text, picture)


def _context(args: dict[str, Any]) -> list[Message]:
    return [system(args["system_message"])] if args["system_message"] else []


def _picture(pictures: Path, name: str) -> Image:
    return Image(open_image(pictures / name.lstrip("/")))


def _blank(tiles: int) -> Image:
    """A picture of which only the number of tiles is known."""
    return Image(Tiles(torch.zeros(tiles, 3, 1, 1), torch.zeros(tiles, 2)))


@dataclass(frozen=True)
class Fault:
    """A way in which the release fails, what we do instead, how its rows are known, and whether we did it."""

    release: str
    ours: str
    shows: Callable[[Row, Tokenizer], bool]
    mended: Callable[[Row, World], bool]


def find_fault(row: Row, tokenizer: Tokenizer) -> Fault | None:
    return next((fault for fault in FAULTS if fault.shows(row, tokenizer)), None)


def _used(row: Row) -> int:
    return row["output"]["attention_mask"].count("1")


def _is_turned_round(row: Row, tokenizer: Tokenizer) -> bool:
    drawn = row["branches"]
    return row["function"] in CAPTION and drawn["img_first_forced_by_length"] and not drawn["img_first_by_draw"]


def _is_cut(row: Row, tokenizer: Tokenizer) -> bool:
    return bool(row["output"]) and row["output"]["input_ids"][_used(row) - 1] != tokenizer.specials.eos


def _is_edit_of_one_resolution(row: Row, tokenizer: Tokenizer) -> bool:
    return row["function"] == EDIT and not row["output"] and "local variable" in (row["printed"] or "")


def _has_no_image(row: Row, tokenizer: Tokenizer) -> bool:
    masks = row["output"].get("ids_gen_mask", "") + row["output"].get("ids_cmp_mask", "")
    return row["function"] not in CAPTION and "1" in masks and not row["output"].get("images_shape")


def _is_unanswered(row: Row, tokenizer: Tokenizer) -> bool:
    return row["function"] == CHAT and bool(row["output"]) and len(row["args"]["value"]["data"]) % 2 == 1


def _is_never_turned(row: Row, world: World) -> bool:
    """Cut, the sample may keep its picture, which is drawn still."""
    cut = world.encode(row, "cut")
    return world.encode(row, "drop") is None and (cut is None or (cut.reads == () and len(cut.draws) == 1))


def _drops_both_ways(row: Row, world: World) -> bool:
    return world.encode(row, "drop") is None and world.encode(row, "cut") is None


def _drops_or_cuts_alike(row: Row, world: World) -> bool:
    cut = world.encode(row, "cut")
    learned = any(label != IGNORE for label in row["output"]["labels"])
    same = cut is not None and (
        cut.input_ids.tolist() == row["output"]["input_ids"] and cut.labels.tolist() == row["output"]["labels"]
    )
    return world.encode(row, "drop") is None and (same if learned else cut is None)


def _encodes_thumbnails(row: Row, world: World) -> bool:
    """Against the text that the release would have encoded, written out."""
    encoded, args = world.encode(row), row["args"]
    picture = "".join([IMAGE_START, *PLACEHOLDERS[: args["num_img_in_tokens"]], IMAGE_END])
    *context, question, answer = [
        "".join(picture if isinstance(part, Image) else part.text for part in message.content)  # type: ignore[union-attr]
        for message in conversation(row, world.pictures)
    ]
    instruction = args["instruction_prompt"].format(instruction=question)
    pieces = ["<s>", *(f"{text}\n" for text in context), instruction, answer, "</s>"]
    ids = [i for piece in pieces for i in world.tokenizer.encode(piece)]
    return encoded is not None and encoded.input_ids.tolist() == ids


def _leaves_question_out(row: Row, world: World) -> bool:
    encoded = world.encode(row)
    if encoded is None:
        return False
    *answered, last = encoded.input_ids.tolist()
    eos = world.tokenizer.specials.eos
    theirs = row["output"]
    return (
        last == eos == encoded.labels[-1]
        and answered == theirs["input_ids"][: len(answered)]
        and encoded.labels[:-1].tolist() == theirs["labels"][: len(answered)]
        and all(label in (IGNORE, eos) for label in theirs["labels"][len(answered) :])
    )


FAULTS = (
    Fault(
        "a text-to-image sample over the maximum length silently becomes image-to-text",
        'dropped, or with too_long="cut" cut, and dropped if the picture is lost; never turned round',
        _is_turned_round,
        _is_never_turned,
    ),
    Fault(
        "after a question that nobody answered, the end of the text is taught as the answer",
        "the unanswered turn is left out",
        _is_unanswered,
        _leaves_question_out,
    ),
    Fault(
        "a sample over the maximum length is silently cut, losing EOS, even if nothing to learn is left",
        'dropped; with too_long="cut", cut alike, and dropped only if nothing to learn is left',
        _is_cut,
        _drops_or_cuts_alike,
    ),
    Fault(
        "edits of one resolution always fail on an undefined variable and are dropped",
        "source and target encoded as their thumbnails alone",
        _is_edit_of_one_resolution,
        _encodes_thumbnails,
    ),
    Fault(
        "a picture that the filter refused leaves its placeholders behind, to be trained without an image",
        "the whole sample is dropped",
        _has_no_image,
        _drops_both_ways,
    ),
)
