"""Stories told in sentences and pictures."""

from __future__ import annotations

import random

from seedx.data.formats.fields import Fields
from seedx.data.record import Record
from seedx.hints import Ratio
from seedx.messages import Image, Message, assistant, user


def story(record: Record, rng: random.Random, *, draw: Ratio = 1.0, given: int = 1) -> list[Message]:
    """VIST, and any story that has lists of texts and images of the same length.

    A record is one story. VIST's `train.story-in-sequence.json` (http://visionandlanguage.net/VIST/dataset.html) is one
    JSON object for all of them, {"annotations": [[{story_id, worker_arranged_photo_order, photo_flickr_id, text,
    original_text, ...}], ...]}, which the source joins to records with the `annotations` of a story (`json_tables`);
    photos are files named by their Flickr number. Other stories have `captions` (or `texts`) and `images`, and perhaps
    a `title` or an `instruction`.

        told     user("Go on with this story in 3 parts. Two dogs met.", picture 1), assistant(text 2, picture 2, ...)
        read     user(picture 1, picture 2, ..., "Tell the story of these pictures."), assistant(text 1 text 2 ...)

    Args:
        draw: the share of stories that become `told`; the others become `read`.
        given: parts that the beginning has; 0 asks by the title or instruction alone.
    """
    fields = Fields(record)
    texts, pictures = _parts(fields)
    if rng.random() >= draw:
        return [user(*pictures, "Tell the story of these pictures."), assistant(" ".join(texts))]
    topic = str(fields.find("instruction", "title", "album_title") or "").strip()
    if not 0 <= given < len(texts) or not (given or topic):
        raise fields.bad(f"a story of {len(texts)} parts can't begin with {given}" + ("" if topic else " and no title"))
    ahead = f"Go on with this story in {len(texts) - given} parts." if given else f"Tell a story in {len(texts)} parts."
    start = [f"{ahead} {topic}".strip(), *_alternating(texts[:given], pictures[:given])]
    return [user(*start), assistant(*_alternating(texts[given:], pictures[given:]))]


def _parts(fields: Fields) -> tuple[list[str], list[Image]]:
    if fields.find("annotations") is None:
        texts, sources = fields.entries("captions", "texts"), fields.entries("images")
    else:
        entries = [entry[0] if isinstance(entry, list) and entry else entry for entry in fields.entries("annotations")]
        try:
            entries.sort(key=lambda entry: int(entry["worker_arranged_photo_order"]))
            texts = [entry.get("original_text") or entry["text"] for entry in entries]
            sources = [f"{entry['photo_flickr_id']}.jpg" for entry in entries]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise fields.bad(f"an annotation of VIST lacks {error}") from error
    if len(texts) != len(sources) or not all(isinstance(text, str) and text.strip() for text in texts):
        raise fields.bad(f"{len(texts)} texts and {len(sources)} pictures: there is one sentence for each picture")
    return [text.strip() for text in texts], [fields.open(source) for source in sources]


def _alternating(texts: list[str], pictures: list[Image]) -> list[str | Image]:
    return [part for pair in zip(texts, pictures, strict=True) for part in pair]
