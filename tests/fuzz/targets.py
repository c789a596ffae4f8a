"""What is fuzzed: for each parser, an input made from a seed, and what it is handed to."""

from __future__ import annotations

import functools
import io
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pillow_heif

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "data")]

import folder_targets  # noqa: E402
from layouts import FIXTURES, TABLES, joined, layout, make_pictures  # noqa: E402
from mutate import mutate_bytes, mutate_record, mutate_text  # noqa: E402
from shards import write_jsonl, write_parquet, write_tar  # noqa: E402

from seedx import tokenizer  # noqa: E402
from seedx.data import formats, pictures  # noqa: E402
from seedx.data.formats.boxes import parse  # noqa: E402
from seedx.data.formats.fields import Fields  # noqa: E402
from seedx.data.record import Record  # noqa: E402
from seedx.data.sample_errors import SampleError  # noqa: E402
from seedx.data.sources import open_source  # noqa: E402
from seedx.errors import SeedxError  # noqa: E402
from seedx.images import PLUGINS, ImageError, open_image, read_header  # noqa: E402
from seedx.messages import Image, Text, assistant, from_json, map_images, user  # noqa: E402
from seedx.prompt import encode, prepare  # noqa: E402
from seedx.slides import Slide  # noqa: E402
from seedx.tokens import strip_boxes, text_to_boxes  # noqa: E402
from small import SMALL, TOKENIZER  # noqa: E402

Target = Callable[[random.Random], bool]  # True: accepted; False: refused by the documented error
PIXELS = 4_000_000  # of a fuzzed picture: the limits on time and memory are those of a parser, not of many pixels


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="seedx-fuzz-"))


@functools.cache
def _pictures() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    colour = PIL.Image.fromarray(pixels)
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    pillow_heif.register_heif_opener()  # which writes, too
    made = [(colour, kind, {}) for kind in PLUGINS]
    made += [(colour, kind, {"exif": exif}) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "HEIF")]
    made += [(colour, "TIFF", {"compression": name}) for name in ("tiff_lzw", "jpeg", "tiff_deflate", "packbits")]
    made += [(colour, "JPEG", {"progressive": True}), (colour.convert("CMYK"), "JPEG", {})]
    made += [(colour.convert(mode), "PNG", {}) for mode in ("RGBA", "P", "L", "LA", "1")]
    made += [(colour.convert("L").convert("I;16"), kind, {}) for kind in ("PNG", "TIFF", "PPM")]
    made += [(colour.convert("F"), "TIFF", {}), (colour.convert("P"), "PNG", {"transparency": 3})]
    made += [(colour, kind, {"save_all": True, "append_images": [colour]}) for kind in ("GIF", "WEBP", "PNG", "MPO")]
    return [_saved(*one) for one in made]


def _saved(picture: PIL.Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def picture(rng: random.Random) -> bool:
    data = mutate_bytes(rng, rng.choice(_pictures()), _pictures())
    try:
        if rng.random() < 0.5:
            open_image(data, max_pixels=PIXELS)
        else:
            read_header(data, max_pixels=PIXELS).close()
            pictures.decode(data, max_pixels=PIXELS)
    except ImageError:
        return False
    return True


@functools.cache
def _files(kind: str) -> list[bytes]:
    import tarfile

    folder = _folder()
    if kind == "jsonl":
        paths = [write_jsonl(folder / "seed.jsonl", 20)]
    elif kind == "json":
        paths = [write_jsonl(folder / "array.jsonl", 20)]
        array = ",\n".join(Path(paths[0]).read_text().splitlines())
        return [f"[{array}]".encode(), b'{"7": [{"input": "a.png"}], "8": [{"input": "b.png"}]}']
    elif kind == "parquet":
        paths = [write_parquet(folder / f"seed{group}.parquet", 12, group) for group in (4, 12)]
    else:
        kinds = ((tarfile.USTAR_FORMAT, "a/"), (tarfile.GNU_FORMAT, "long" * 40 + "/"), (tarfile.PAX_FORMAT, "ß" * 90))
        paths = [write_tar(folder / f"seed{f}.tar", 5, prefix=prefix, format=f, mtime=1.5) for f, prefix in kinds[1:]]
        paths.append(write_tar(folder / "seed.tar", 5, prefix="a/", format=tarfile.USTAR_FORMAT))
    return [Path(path).read_bytes() for path in paths]


def _file(kind: str, rng: random.Random) -> bool:
    path = _folder() / f"fuzzed.{kind}"
    path.write_bytes(mutate_bytes(rng, rng.choice(_files(kind)), _files(kind)))
    try:
        read = [item for unit in open_source(str(path), rng.choice((1, 3))) for _, item in unit.read()]
    except SeedxError:
        return False
    for item in read:
        assert isinstance(item, (Record, SampleError)), item
        str(item.where).encode()  # it is shown, logged and seeds random choices
    return not any(isinstance(item, SampleError) for item in read)


@functools.cache
def _records() -> list[tuple[str, dict[str, Any]]]:
    from test_formats import NO_PICTURE_NAMED, READ_BY

    made = []
    for name, (chosen, _) in READ_BY.items():
        fields = joined(name)[0] if name in TABLES else layout(name)
        if name in NO_PICTURE_NAMED:
            fields = fields | {"jpg": "a.jpg"}
        make_pictures([fields, "a.jpg", "1000092795.jpg"], _folder())
        made.append((chosen, fields))
    assert len(made) == len(list(FIXTURES.glob("*.json")))
    return made


@functools.cache
def _tokenizer() -> tokenizer.Tokenizer:
    return tokenizer.load(TOKENIZER)


def record(rng: random.Random) -> bool:
    chosen, fields = rng.choice(_records())
    one = Record("fuzzed.jsonl:1", mutate_record(rng, fields), str(_folder()))
    options = {"boxes": rng.choice(("none", "shikra", "kosmos"))} if chosen == "llava" else {}
    try:
        made = formats.get(chosen, **options)(one, rng)
    except SampleError as error:
        assert len(str(error)) < 1000, "a message repeats its input"
        return False
    try:
        prepare(map_images(made, open_image), _tokenizer(), SMALL, max_length=2000)
    except SeedxError as error:
        assert len(str(error)) < 1000, "a message repeats its input"
        return False
    return True


def conversation(rng: random.Random) -> bool:
    parts = [{"type": "image", "image": "a.jpg"}, {"type": "text", "text": "Who?"}]
    box = [{"type": "box", "label": "a cat", "box": [0.1, 0.2, 0.3, 0.4]}]
    turns = [{"role": "user", "content": parts}, {"role": "assistant", "content": box}]
    try:
        made = from_json(mutate_record(rng, {"messages": [*turns, {"role": "user", "content": "why?"}]}))
        encode(made, _tokenizer(), SMALL, tiles=[1] * str(made).count("Image("), max_length=500)
    except SeedxError:
        return False
    return True


TEXTS = (
    "Where is the cat? A cat <box_start><loc-1><loc-2><loc-3><loc-4><box_end> and a dog.",
    "the man [0.120,0.300,0.450,0.900] and dogs [0.1,0.2,0.3,0.4;0.5,0.6,0.7,1] in [2024].",
    "An image of<phrase> a snowman</phrase><object><patch_index_0044><patch_index_0863></object> by a fire.",
    "größer 猫 \U0001f600 [INST] <img><img_00000></img> [/INST]\n",
)


def prompt(rng: random.Random) -> bool:
    text = mutate_text(rng, rng.choice(TEXTS))
    tokens = _tokenizer()
    for ids in (tokens.encode(text), tokens.encode_parts([text])):
        tokens.decode(ids).encode()
    try:
        encode([user(text), assistant(Text(text))], tokens, SMALL, max_length=10_000, for_generation=rng.random() < 0.5)
    except SeedxError:
        return False
    return True


def boxes(rng: random.Random) -> bool:
    text = mutate_text(rng, rng.choice(TEXTS))
    for box in text_to_boxes(text):
        assert all(0 <= value <= 1 for value in box.box)
    strip_boxes(text)
    try:
        for style in ("shikra", "kosmos"):
            parse(text, style, Fields(Record("fuzzed.jsonl:1", {})))  # type: ignore[arg-type]
    except SampleError:
        return False
    return True


PLACE = '"x": <loc-10>, "y": <loc-10>, "width": <loc-100>, "height": <loc-30>'
TITLE = '"paragraphs": [{"texts": "Title", "font_size": 40}]'
SLIDE = (
    '{"slide_width": 9144000, "slide_height": 6858000, "elements": ['
    f'{{"type": "text", {PLACE}, {TITLE}}}, {{"type": "image", {PLACE}}}]}}'
)


def slide(rng: random.Random) -> bool:
    picture = Image(PIL.Image.new("RGB", (4, 4)))
    try:
        Slide.parse([Text(mutate_text(rng, SLIDE)), picture]).problems()
    except SeedxError:
        return False
    return True


TARGETS: dict[str, Target] = {
    "picture": picture,
    "tar": functools.partial(_file, "tar"),
    "jsonl": functools.partial(_file, "jsonl"),
    "json": functools.partial(_file, "json"),
    "parquet": functools.partial(_file, "parquet"),
    "record": record,
    "conversation": conversation,
    "prompt": prompt,
    "boxes": boxes,
    "slide": slide,
    "recipe": folder_targets.recipe,
    "settings": folder_targets.settings,
    "model folder": folder_targets.model_folder,
    "checkpoint": folder_targets.checkpoint,
}
SLOW = ("model folder", "checkpoint")  # which get fewer inputs
