"""Choosing a format, what every format refuses, and formats behind real sources."""

import io
import json
import math
import pickle
import tarfile

import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest
from layouts import FIXTURES, TABLES, joined, layout, make_pictures, record, rng, shown

from seedx import tokenizer
from seedx.data import formats
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.data.sources import open_source
from seedx.images import open_image
from seedx.messages import assistant, map_images
from seedx.prompt import prepare
from small import SMALL, TOKENIZER

# Each format and the fixture in whose layout it reads.
READ_BY = {
    "messages": ("messages", {}),
    "c4": ("text", {}),
    "laion_aesthetics": ("image_text", {}),
    "laion_coco": ("laion_coco", {}),
    "capsfusion": ("capsfusion", {}),
    "unsplash": ("unsplash", {}),
    "journeydb": ("journeydb", {}),
    "grit": ("grit", {}),
    "mmc4": ("mmc4", {}),
    "obelics": ("obelics", {}),
    "llava": ("llava", {}),
    "seed_x_sft": ("llava", {}),
    "llavar": ("llavar", {}),
    "vqav2": ("vqa", {}),
    "refcoco": ("referring", {}),
    "shikra_rec": ("referring", {"bbox": "xyxy"}),
    "shikra_boxcot": ("shikra", {}),
    "shikra_flickr": ("shikra", {}),
    "seed_data_edit": ("edit", {}),
    "seed_data_edit_multi_turn": ("edit", {}),
    "magicbrush_session": ("edit", {}),
    "slide": ("slides", {}),
    "vist_sis": ("story", {}),
    "coco_instances": ("coco_instances", {}),
    "coco_captions": ("coco_captions", {}),
}
NO_PICTURE_NAMED = ("laion_aesthetics", "laion_coco", "capsfusion", "unsplash", "grit")  # it is the `jpg` of the sample


def sample(name, folder):
    """The fixture, with a picture where its layout has it in another member of the sample."""
    if name in TABLES:
        fields = joined(name)[0]
        named = [fields.get("file_name"), *(f"{one.get('photo_flickr_id')}.jpg" for one in fields["annotations"])]
        make_pictures(named, folder)
        return Record(f"{name}.json#1", fields, str(folder))
    if name == "shikra_flickr":
        make_pictures("1000092795.jpg", folder)
    return record(name, folder, **({"jpg": "a.jpg"} if name in NO_PICTURE_NAMED else {}))


def test_every_format_and_every_fixture_is_tried():
    assert {name for name, _ in READ_BY.values()} == {*formats.FORMATS} - {"try_on"}  # test_formats_editing has it
    assert set(READ_BY) == {path.stem for path in FIXTURES.glob("*.json")}


@pytest.mark.parametrize("name", READ_BY)
def test_every_format_gives_labels(name, tmp_path):
    chosen, options = READ_BY[name]
    format = pickle.loads(pickle.dumps(formats.get(chosen, **options)))  # as it goes to a worker
    made = format(sample(name, tmp_path), rng())
    encoded = prepare(map_images(made, open_image), tokenizer.load(TOKENIZER), SMALL, max_length=2000)
    assert encoded is not None and (encoded.labels >= 0).any()


@pytest.mark.parametrize("name", READ_BY)
def test_the_same_seed_gives_the_same_messages(name, tmp_path):
    chosen, options = READ_BY[name]
    format, one = formats.get(chosen, **options), sample(name, tmp_path)
    assert format(one, rng(5)) == format(one, rng(5))


@pytest.mark.parametrize("name", READ_BY)
def test_an_empty_record_is_a_sample_error(name):
    chosen, options = READ_BY[name]
    with pytest.raises(SampleError) as caught:
        formats.get(chosen, **options)(Record("a.jsonl:3", {"license": 1}, "folder"), rng())
    assert caught.value.cause == "bad format" and caught.value.where == "a.jsonl:3"


@pytest.mark.parametrize("name", [name for name in READ_BY if name not in ("c4", "mmc4", "obelics")])
def test_a_missing_picture_is_a_sample_error(name, tmp_path):
    chosen, options = READ_BY[name]
    options = options | ({"draw": 1.0} if chosen == "slides" else {})
    made = sample(name, tmp_path)
    for path in [*tmp_path.rglob("*.jpg"), *tmp_path.rglob("*.png")]:
        path.unlink()
    with pytest.raises(SampleError) as caught:
        formats.get(chosen, **options)(made, rng())
    assert caught.value.cause == "missing file"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("laion_cocos", {}, "no format 'laion_cocos'; did you mean 'laion_coco'"),
        ("zzz", {}, "known: capsfusion, coco_captions, coco_instances, edit, grit"),
        ("edit", {"polit": 1}, "no option 'polit'; did you mean 'polite'"),
        (
            "edit",
            {"zzz": 1},
            "known: at_least, at_most, grids, images, inverse, min_aspect_ratio, min_side, polite, roots, turns",
        ),
        ("edit", {"polite": 1.5}, "a number from 0 to 1, not 1.5"),
        ("edit", {"turns": "all"}, "'session' or 'one', not 'all'"),
        ("mmc4", {"max_images": 2.5}, "a whole number, not 2.5"),
        ("mmc4", {"min_match": True}, "a number, not True"),
        ("laion_coco", {"instruct": "no"}, "true or false, not 'no'"),
        ("laion_coco", {"at_least": 0.3}, "a table of numbers by the names of fields"),
        ("laion_coco", {"images": 3}, "is a folder"),
        ("laion_coco", {"roots": "/data"}, "is a list of folders and URLs"),
        ("edit", {"grids": "1x1"}, "is a list such as"),
        ("edit", {"grids": ["1"]}, "a grid is columns x rows"),
        ("no_such_module:f", {}, "PYTHONPATH"),
        ("json:no_such_function", {}, "can't be imported"),
        ("json:JSONDecoder.x", {}, "can't be imported"),
        ("textwrap:dedent", {}, "not a function of a record"),
        ("string:digits", {}, "not a function of a record"),
    ],
)
def test_a_wrong_option_is_an_error_before_any_record(name, options, message):
    with pytest.raises(ValueError, match=message):
        formats.get(name, **options)


def test_the_old_name_of_an_option_is_a_warning():
    with pytest.warns(FutureWarning, match="min_ratio is now min_aspect_ratio"):
        old = formats.get("laion_coco", min_ratio=0.5)
    assert old == formats.get("laion_coco", min_aspect_ratio=0.5)
    with pytest.raises(ValueError, match="old name of min_aspect_ratio: give one of them"):
        formats.get("laion_coco", min_ratio=0.5, min_aspect_ratio=0.5)


def yelling(record, rng, *, loud: bool = True):
    return [assistant(record.fields["text"].upper() if loud else record.fields["text"])]


def test_a_function_of_ones_own_is_a_format():
    one = Record("a.jsonl:1", {"text": "hi"})
    assert formats.get(f"{__name__}:yelling")(one, rng()) == [assistant("HI")]
    assert formats.get(f"{__name__}:yelling", loud=False)(one, rng()) == [assistant("hi")]
    with pytest.raises(ValueError, match="did you mean 'loud'"):
        formats.get(f"{__name__}:yelling", load=False)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"at_least": {"similarity": 0.3}}, True),
        ({"at_least": {"similarity": 0.32}}, False),
        ({"at_most": {"pwatermark": 0.2}}, True),
        ({"at_most": {"pwatermark": 0.1}}, False),
        ({"at_most": {"unknown": 0.5}}, False),
        ({"at_least": {"unknown": 0.5}}, False),
        ({"min_side": 40, "min_aspect_ratio": 0.5}, True),
        ({"min_side": 41}, False),
        ({"min_aspect_ratio": 0.51}, False),
    ],
)
def test_filters(options, kept, tmp_path):
    format, one = formats.get("laion_coco", **options), record("laion_coco", tmp_path, jpg="a.jpg", unknown=math.nan)
    if kept:
        assert format(one, rng())
    else:
        with pytest.raises(SampleError) as caught:
            format(one, rng())
        assert caught.value.cause == "filtered"


def test_a_filter_needs_its_score(tmp_path):
    one = record("laion_coco", tmp_path, jpg="a.jpg", similarity=None, punsafe="?")
    for option in ({"at_least": {"similarity": 0.3}}, {"at_most": {"punsafe": 0.3}}):
        with pytest.raises(SampleError, match="bad format"):
            formats.get("laion_coco", **option)(one, rng())


def test_a_broken_header_is_a_broken_image(tmp_path):
    one = record("laion_coco", tmp_path, jpg="a.jpg")
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(SampleError, match="broken image"):
        formats.get("laion_coco", min_side=10)(one, rng())


def jpeg():
    stream = io.BytesIO()
    PIL.Image.new("RGB", (40, 80)).save(stream, "JPEG")
    return stream.getvalue()


def only(source):
    (_, item), *rest = [step for unit in open_source(str(source)) for step in unit.read()]
    assert isinstance(item, Record) and not rest
    return item


def test_a_shard_of_img2dataset(tmp_path):
    content = {"jpg": jpeg(), "txt": b"DSC_0042.JPG for sale!!", "json": json.dumps(layout("laion_coco")).encode()}
    with tarfile.open(tmp_path / "00000.tar", "w") as shard:
        for ending, data in content.items():
            member = tarfile.TarInfo(f"000000373.{ending}")
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))
    format = formats.get("laion_coco", draw=0.0, at_least={"similarity": 0.3}, min_side=40)
    made = shown(format(only(tmp_path / "00000.tar"), rng()))
    assert made == [("system", content["jpg"]), ("assistant", "a red car parked on a street")]


def test_a_parquet_of_the_hub(tmp_path):
    picture = {"bytes": jpeg(), "path": None}
    row = {"original_image": picture, "edit_prompt": "make it night", "edited_image": picture}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "a.parquet")
    made = shown(formats.get("edit", polite=0.0, min_side=40)(only(tmp_path / "a.parquet"), rng()))
    assert made == [("user", picture["bytes"], "make it night"), ("assistant", picture["bytes"])]


def test_jsonl_with_pictures_in_another_folder(tmp_path):
    (tmp_path / "chat.jsonl").write_text(json.dumps(layout("llava")) + "\n")
    make_pictures(layout("llava"), tmp_path / "images")
    with pytest.raises(SampleError, match="missing file"):
        formats.get("llava")(only(tmp_path / "chat.jsonl"), rng())
    made = formats.get("llava", images="images")(only(tmp_path / "chat.jsonl"), rng())
    assert shown(made)[0] == ("user", "@000000033471.jpg", "What are the colors of the bus in the image?")
