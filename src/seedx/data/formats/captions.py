"""Pictures and their captions, in both directions.

img2dataset, which downloads most of these data sets, writes tar shards in the WebDataset layout: `000000000.jpg`,
`000000000.txt` (the caption) and `000000000.json` (width, height, and the columns that it was set to keep), see its
README, "Output format" and dataset_examples/. The same fields in JSONL or Parquet do as well.

Each format takes
    draw: the share of records that become text -> image; the others become image -> text.
    instruct: False writes documents, as in pre-training; True a person's request and the answer, as in instruction
        tuning.

    image -> text    system(image), assistant(caption)      user(image, "What do you see?"), assistant(caption)
    text -> image    system(caption), assistant(image)      user("Draw a red car"), assistant("Here you are.", image)
"""

from __future__ import annotations

import random

from seedx.data.formats import phrases
from seedx.data.formats.fields import PICTURES, Fields
from seedx.data.record import Record
from seedx.hints import Ratio
from seedx.messages import Image, Message, assistant, system, user

CAPTIONS = ("caption", "txt", "text", "TEXT")


def image_text(
    record: Record,
    rng: random.Random,
    *,
    draw: Ratio = 0.5,
    instruct: bool = False,
    caption: str = "",
    prompt: str = "",
) -> list[Message]:
    """Any picture with a caption.

    LAION-Aesthetics is read by it: URL, TEXT, WIDTH, HEIGHT, similarity, punsafe, pwatermark, AESTHETIC_SCORE, hash (by
    img2dataset's dataset_examples/laion-aesthetic.md).

    Args:
        caption: the field with the caption, if it is none of `CAPTIONS`.
        prompt: the field with the words to draw from, if they are others than the caption.
    """
    return _pair(record, rng, draw, instruct, (caption,) if caption else CAPTIONS, (prompt,) if prompt else ())


def laion_coco(record: Record, rng: random.Random, *, draw: Ratio = 0.5, instruct: bool = False) -> list[Message]:
    """LAION-COCO: web pictures captioned by models (`top_caption`); the alt text is TEXT.

    Columns by https://huggingface.co/datasets/laion/laion-coco: URL, TEXT, top_caption, all_captions,
    all_similarities, WIDTH, HEIGHT, similarity, hash, pwatermark, punsafe.
    """
    return _pair(record, rng, draw, instruct, ("top_caption",))


def capsfusion(record: Record, rng: random.Random, *, draw: Ratio = 0.5, instruct: bool = False) -> list[Message]:
    """CapsFusion-120M: alt text and generated caption fused by a language model.

    Columns by https://huggingface.co/datasets/BAAI/CapsFusion-120M: image_url, laion_2b, laion_coco, capsfusion.
    Downloaded with `--caption_col capsfusion` the caption is the `txt` file.
    """
    return _pair(record, rng, draw, instruct, ("capsfusion", "txt", "caption"))


def unsplash(record: Record, rng: random.Random, *, draw: Ratio = 0.5, instruct: bool = False) -> list[Message]:
    """The Unsplash Dataset: what the photographer wrote, or what a service saw.

    Columns of photos.tsv by https://github.com/unsplash/datasets/blob/master/DOCS.md: photo_id, photo_image_url,
    photo_width, photo_height, photo_description, ai_description and others.
    """
    return _pair(record, rng, draw, instruct, ("photo_description", "ai_description"))


def journeydb(record: Record, rng: random.Random, *, draw: Ratio = 1.0, instruct: bool = False) -> list[Message]:
    """JourneyDB: Midjourney's pictures, drawn from their prompt and read as their caption.

    Lines of train_anno_realease_repath.jsonl (https://huggingface.co/datasets/JourneyDB/JourneyDB): img_path
    ("./000/x.jpg", relative to `imgs`: give images = "imgs"), prompt, Task1, Task2.Caption, Task3.
    """
    return _pair(record, rng, draw, instruct, ("Task2.Caption", "prompt"), ("prompt",))


def _pair(
    record: Record,
    rng: random.Random,
    draw: float,
    instruct: bool,
    captions: tuple[str, ...],
    prompts: tuple[str, ...] = (),
) -> list[Message]:
    fields = Fields(record)
    drawn = rng.random() < draw
    words = fields.text(*(prompts if drawn and prompts else captions))
    return pair(rng, fields.picture(*PICTURES), words, drawn, instruct)


def pair(rng: random.Random, picture: Image, words: str, drawn: bool, instruct: bool) -> list[Message]:
    """One of the four forms at the top of this file."""
    if not instruct:
        return [system(words), assistant(picture)] if drawn else [system(picture), assistant(words)]
    if drawn:
        return [user(phrases.draw(rng, words)), assistant(phrases.here(rng), picture)]
    return [user(picture, phrases.describe(rng)), assistant(words)]
