"""COCO: objects with their boxes, and five captions, of each image.

Files by https://cocodataset.org/#format-data: instances_train2017.json and captions_train2017.json, whose tables of
images, annotations and categories a source joins to one record for each image (`json_tables`). The pictures lie in a
folder of their own: of annotations/ beside train2017/ give images = "../train2017".
"""

from __future__ import annotations

import random
from typing import Any

from seedx.data.formats import phrases
from seedx.data.formats.boxes import Corners, Frame, fractions, frame, labelled
from seedx.data.formats.captions import pair
from seedx.data.formats.fields import PICTURES, Fields
from seedx.data.record import Record
from seedx.errors import shorten
from seedx.hints import Ratio
from seedx.messages import Message, Part, Text, assistant, user


def coco_captions(record: Record, rng: random.Random, *, draw: Ratio = 0.5, instruct: bool = False) -> list[Message]:
    """COCO's captions: one sample for each image, with one of its captions, in each epoch another at random.

    An image has file_name, width, height, ...; an annotation has image_id, id, caption.

    Args:
        draw, instruct: as in `image_text`.
    """
    fields = Fields(record)
    captions = [annotation.get("caption") for annotation in _annotations(fields)]
    if not captions:
        raise fields.filtered("an image without a caption")
    said = rng.choice(captions)
    if not isinstance(said, str) or not said.strip():
        raise fields.bad(
            f"a caption is a text that is not empty, not {shorten(said)}: is this the file of the captions? Objects "
            "with boxes are read by the format coco_instances"
        )
    return pair(rng, fields.picture(*PICTURES), said.strip(), rng.random() < draw, instruct)


def coco_instances(record: Record, rng: random.Random, *, locate: Ratio = 0.5, max_boxes: int = 20) -> list[Message]:
    """COCO's instances, and data sets in its layout (Objects365, LVIS): one sample for each image.

    An annotation has category_id, bbox (corner and size in pixels), iscrowd, ...; a category has id, name.
    Boxes are answered from left to right, those of one kind together:

        locate    user(picture, "Find every dog."), assistant(dog box, box)
        list      user(picture, "List the objects in this picture with their boxes."),
                  assistant(cat box, ", ", dog box, box)

    What is labelled as a crowd (iscrowd 1) has no boxes of its members: its kind is left out of both.

    Args:
        locate: the share of images of which the boxes of one kind are asked for; of the others all are.
        max_boxes: kinds with more boxes are not asked for; an image with more to list, or without any kind to ask
            for, is filtered.
    """
    fields = Fields(record)
    picture = fields.picture(*PICTURES)
    kinds = _kinds(fields, frame(picture, fields))
    if not kinds:
        raise fields.filtered("an image without objects")
    if rng.random() >= locate:
        count = sum(map(len, kinds.values()))
        if count > max_boxes:
            raise fields.filtered(f"{count} boxes to list")
        return [user(picture, phrases.list_objects(rng)), assistant(*_listed(kinds))]
    few = [name for name, boxes in kinds.items() if len(boxes) <= max_boxes]
    if not few:
        raise fields.filtered(f"every kind of object has over {max_boxes} boxes")
    name = rng.choice(few)
    asked = phrases.locate(rng, f"the {name}") if len(kinds[name]) == 1 else phrases.locate_all(rng, name)
    return [user(picture, asked), assistant(*labelled(name, kinds[name]))]


def _annotations(fields: Fields) -> list[dict[str, Any]]:
    found = fields.values.get("annotations")
    if not isinstance(found, list) or not all(isinstance(annotation, dict) for annotation in found):
        raise fields.bad(
            f"'annotations' is a list of objects, not {shorten(found)}: give COCO's file as it is published"
        )
    return found


def _kinds(fields: Fields, place: Frame) -> dict[str, list[Corners]]:
    """Boxes by the name of their category, from left to right; the categories in the order of their first boxes."""
    found = fields.find("categories")
    names = found if isinstance(found, dict) else {}
    kinds, crowds = dict[str, list[Corners]](), set[str]()
    for annotation in _annotations(fields):
        kind = annotation.get("category_id")
        name = names.get(kind) if isinstance(kind, (int, str)) else None
        if not isinstance(name, str) or not name:
            raise fields.bad(
                f"the category {shorten(kind)} is none of the file's {len(names)}: is this "
                "the file of the instances? Captions are read by the format coco_captions"
            )
        if annotation.get("iscrowd"):
            crowds.add(name)
        else:
            kinds.setdefault(name, []).append(fractions(annotation.get("bbox"), fields, place, coco=True))
    ordered = {name: sorted(boxes) for name, boxes in kinds.items() if name not in crowds}
    return dict(sorted(ordered.items(), key=lambda kind: kind[1][0]))


def _listed(kinds: dict[str, list[Corners]]) -> list[Part]:
    parts: list[Part] = []
    for name, boxes in kinds.items():
        parts += [Text(", ")] if parts else []
        parts += labelled(name, boxes)
    return parts
