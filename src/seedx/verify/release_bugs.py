"""Known bugs of the release's data functions in the rows of the case `g`, and what this library does instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seedx.batch import IGNORE
from seedx.messages import Image, Message
from seedx.tokens import IMAGE_END, IMAGE_START, PLACEHOLDERS
from seedx.verify.encoding_rows import CAPTION, CHAT, EDIT, PAIR, Opened, Row, World, conversation, image_first, name_of


@dataclass(frozen=True)
class Bug:
    """
    Attributes:
        release: what the release does.
        ours: what this library does instead.
        affects: whether a row shows the bug.
        corrected: whether this library encodes the row as it should.
    """

    release: str
    ours: str
    affects: Callable[[Row, World], bool]
    corrected: Callable[[Row, World], bool]


def find_bug(row: Row, world: World) -> Bug | None:
    return next((bug for bug in BUGS if bug.affects(row, world)), None)


def is_dropped(row: Row, world: World) -> bool:
    try:
        return world.encode(row) is None
    except ValueError:
        return True


def was_dropped(row: Row) -> bool:
    """The release made no ids of it."""
    return not row["output"].get("input_ids")


def _has_no_image(row: Row, world: World) -> bool:
    masks = row["output"].get("ids_gen_mask", "") + row["output"].get("ids_cmp_mask", "")
    return name_of(row) not in CAPTION and "1" in masks and not row["output"].get("images_shape")


def _is_turned_round(row: Row, world: World) -> bool:
    pictured = name_of(row) in (*CAPTION, PAIR) and not was_dropped(row)
    return pictured and not image_first(row) and "1" not in row["output"]["ids_gen_mask"]


def _has_many_tiles(row: Row, world: World) -> bool:
    return name_of(row) == PAIR and was_dropped(row) and "patches tokens" in (row["printed"] or "")


def _is_unanswered(row: Row, world: World) -> bool:
    return name_of(row) == CHAT and not was_dropped(row) and bool(len(row["args"]["value"]["data"]) % 2)


def _is_cut(row: Row, world: World) -> bool:
    if was_dropped(row):
        return False
    used = row["output"]["attention_mask"].count("1")
    return bool(row["output"]["input_ids"][used - 1] != world.tokenizer.specials.eos)


def _is_edit_of_one_resolution(row: Row, world: World) -> bool:
    return name_of(row) == EDIT and was_dropped(row) and "local variable" in (row["printed"] or "")


def _is_edit_that_just_fits(row: Row, world: World) -> bool:
    return name_of(row) == EDIT and was_dropped(row) and world.length(row) == row["args"]["max_length"]


def _drops_both_ways(row: Row, world: World) -> bool:
    return world.encode(row, "drop") is None and world.encode(row, "truncate") is None


def _is_never_turned(row: Row, world: World) -> bool:
    """It is kept if it fits. Cut, the sample may keep its picture, which is drawn or read still."""
    kept, cut = world.encode(row, "drop"), world.encode(row, "truncate")
    fits = world.length(row) <= row["args"]["max_length"]
    ways = {(len(encoded.reads), len(encoded.draws)) for encoded in (kept, cut) if encoded is not None}
    return (kept is not None) == fits and ways <= {(1, 0) if image_first(row) else (0, 1)}


def _drops_or_cuts_alike(row: Row, world: World) -> bool:
    cut = world.encode(row, "truncate")
    learned = any(label != IGNORE for label in row["output"]["labels"])
    same = cut is not None and (
        cut.input_ids.tolist() == row["output"]["input_ids"] and cut.labels.tolist() == row["output"]["labels"]
    )
    return world.encode(row, "drop") is None and (same if learned else cut is None)


def _leaves_question_out(row: Row, world: World) -> bool:
    if len(row["args"]["value"]["data"]) < 2:
        return is_dropped(row, world)
    encoded = world.encode(row)
    if encoded is None:
        return _drops_or_cuts_alike(row, world)
    *answered, last = encoded.input_ids.tolist()
    eos, theirs = world.tokenizer.specials.eos, row["output"]
    return (
        last == eos == encoded.labels[-1]
        and answered == theirs["input_ids"][: len(answered)]
        and encoded.labels[:-1].tolist() == theirs["labels"][: len(answered)]
        and all(label in (IGNORE, eos) for label in theirs["labels"][len(answered) :])
    )


def _encodes_thumbnails(row: Row, world: World) -> bool:
    """Against the text that the release would have encoded, written out."""
    texts = [_written(message, row) for message in conversation(row, world.pictures)]
    specials = world.tokenizer.specials
    ids = [specials.bos, *(i for text in texts for i in world.tokenizer.encode(text)), specials.eos]
    encoded = world.encode(row)
    if len(ids) > row["args"]["max_length"]:
        return encoded is None
    return encoded is not None and encoded.input_ids.tolist() == ids


def _written(message: Message[Opened], row: Row) -> str:
    args = row["args"]
    count = args["num_img_out_tokens" if message.role == "assistant" else "num_img_in_tokens"]
    picture = "".join([IMAGE_START, *PLACEHOLDERS[:count], IMAGE_END])
    text = "".join(picture if isinstance(part, Image) else part.text for part in message.content)  # type: ignore[union-attr]
    return args["instruction_prompt"].format(instruction=text) if message.role == "user" else text


BUGS = (
    Bug(
        "a picture that the filter rejected leaves its placeholders behind, which are trained without an image",
        "the whole sample is dropped",
        _has_no_image,
        _drops_both_ways,
    ),
    Bug(
        "a text-to-image sample silently becomes image-to-text if it were over the maximum length with all its tiles, "
        "of which it has one",
        'kept if it fits; else dropped, or truncated with too_long="truncate", and dropped if the picture is lost; '
        "never turned",
        _is_turned_round,
        _is_never_turned,
    ),
    Bug(
        "a text-to-image sample is dropped if its picture's tiles do not fit, of which it has one",
        "kept if it fits",
        _has_many_tiles,
        _is_never_turned,
    ),
    Bug(
        "after a question without an answer, the end of the text is trained as the answer",
        "the unanswered turn is left out",
        _is_unanswered,
        _leaves_question_out,
    ),
    Bug(
        "a sample over the maximum length is silently cut, losing EOS, even if nothing supervised is left",
        'dropped; with too_long="truncate" truncated alike, and dropped only if nothing supervised is left',
        _is_cut,
        _drops_or_cuts_alike,
    ),
    Bug(
        "edits of one resolution always fail on an undefined variable and are dropped",
        "source and target encoded as their thumbnails alone",
        _is_edit_of_one_resolution,
        _encodes_thumbnails,
    ),
    Bug(
        "an edit of exactly the maximum length is dropped",
        "kept",
        _is_edit_that_just_fits,
        lambda row, world: not is_dropped(row, world),
    ),
)
