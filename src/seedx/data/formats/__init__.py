"""Formats: functions that turn a record of a public data set into messages, by name.

    format = get("laion_coco", draw=0.5, at_least={"similarity": 0.3}, min_side=256)
    messages = format(record, rng)

A name is one of `FORMATS`, or "package.module:function" for one of your own (docs/guide/data.md). Every format also
takes the options of `Filters`, and

    images: a folder, relative to the source's, that the paths of pictures are relative to, and in which they lie.
    roots: folders and URL prefixes, besides that one, in which pictures may lie that records name.
    grids: the only grids that pictures are cut into when they are read, such as ["1x1"]; by default the model's.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from seedx.config import nearest
from seedx.data import storage
from seedx.data.formats.captions import capsfusion, image_text, journeydb, laion_coco, unsplash
from seedx.data.formats.checks import check, check_types
from seedx.data.formats.coco import coco_captions, coco_instances
from seedx.data.formats.conversations import llava, llavar, vqa
from seedx.data.formats.editing import edit, try_on
from seedx.data.formats.fields import SLOT, Fields
from seedx.data.formats.filters import Filters
from seedx.data.formats.grounded import grit, referring, shikra
from seedx.data.formats.interleaved import mmc4, obelics
from seedx.data.formats.plain import messages, text
from seedx.data.formats.slides import slides
from seedx.data.formats.stories import story
from seedx.data.record import Record
from seedx.deprecated import rename_keys
from seedx.errors import SeedxError
from seedx.messages import Image, Message, Part, Text
from seedx.tiling import parse_grid

Format = Callable[[Record, random.Random], list[Message]]

FORMATS: dict[str, Callable[..., list[Message]]] = {
    function.__name__: function
    for function in (
        messages,
        text,
        image_text,
        laion_coco,
        capsfusion,
        unsplash,
        journeydb,
        coco_captions,
        grit,
        mmc4,
        obelics,
        llava,
        llavar,
        vqa,
        referring,
        shikra,
        coco_instances,
        edit,
        slides,
        story,
        try_on,
    )
}

_TALK = (
    messages,
    llava,
    llavar,
    vqa,
    referring,
    shikra,
    coco_instances,
    edit,
    try_on,
    story,
)  # not pages, where it may be any word


def get(name: str, **options: Any) -> Format:
    """The format of this name with these options. It can be pickled, and raises a `SampleError` for a bad record.

    Raises:
        SeedxError: an unknown name or option (with the nearest), or an option of the wrong type.
    """
    function = _imported(name) if ":" in name else FORMATS.get(name)
    if function is None:
        raise SeedxError(f"no format {name!r}{nearest(name, sorted(FORMATS))}")
    options = rename_keys("format options", options, f"the format {name!r}")
    common = {f.name for f in dataclasses.fields(Filters)}
    filters = {option: options.pop(option) for option in [*options] if option in common}
    images, roots, grids = options.pop("images", ""), options.pop("roots", ()), options.pop("grids", None)
    check(name, function, options, also=(*common, "images", "roots", "grids"))
    if grids is not None and (not isinstance(grids, (list, tuple)) or not grids):
        raise SeedxError(f"the option 'grids' of the format {name!r} is a list such as [\"1x1\"], not {grids!r}")
    for grid in grids or ():
        parse_grid(str(grid))
    check_types(name, Filters, filters)
    if not isinstance(images, str):
        raise SeedxError(f"the option 'images' of the format {name!r} is a folder, not {images!r}")
    if not isinstance(roots, (list, tuple)) or not all(isinstance(root, str) and root for root in roots):
        raise SeedxError(f"the option 'roots' of the format {name!r} is a list of folders and URLs, not {roots!r}")
    own = None if grids is None else tuple(map(str, grids))
    return _Chosen(function, options, Filters(**filters), images, tuple(roots), own)


@dataclass(frozen=True)
class _Chosen:
    """A format's function with its options."""

    function: Callable[..., list[Message]]
    options: Mapping[str, Any]
    filters: Filters
    images: str
    roots: tuple[str, ...] = ()
    grids: tuple[str, ...] | None = None

    def __call__(self, record: Record, rng: random.Random) -> list[Message]:
        if self.images and record.folder is not None:
            record = dataclasses.replace(record, folder=storage.join(record.folder, self.images))
        if self.roots:
            record = dataclasses.replace(record, roots=self.roots)
        fields = Fields(record)
        self.filters.check_scores(fields)
        made = self.function(record, rng, **self.options)
        if self.function in _TALK:
            _check_slots(made, fields)
        self.filters.check_sizes(made, fields)
        return made if self.grids is None else _with_grids(made, self.grids)


def _with_grids(made: list[Message], grids: tuple[str, ...]) -> list[Message]:
    def cut(part: Part) -> Part:
        return dataclasses.replace(part, grids=grids) if isinstance(part, Image) else part

    return [dataclasses.replace(message, content=tuple(map(cut, message.content))) for message in made]


def _check_slots(made: list[Message], fields: Fields) -> None:
    """No text still says where a picture would be: the record has lost one, and its words would be about nothing."""
    for message in made:
        if any(isinstance(part, Text) and SLOT in part.text for part in message.content):
            raise fields.bad(f"a text has {SLOT} without its picture")


def _imported(name: str) -> Callable[..., list[Message]]:
    """A user's own function by "package.module:function"."""
    module, _, function = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise SeedxError(
            f"the format {name!r} can't be imported ({error}): it is package.module:function, and Python has to find "
            "the module; install it, or name its folder in PYTHONPATH"
        ) from error
    if not callable(found) or len(inspect.signature(found).parameters) < 2:
        raise SeedxError(f"the format {name!r} is not a function of a record and a random.Random")
    return cast("Callable[..., list[Message]]", found)
