"""Data sets in the files and layouts that they are published in, each with a few odd records, and what is read of them.

docs/make_datasets.py writes the table of docs/results/datasets.md from these.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow
import pyarrow.parquet
from layouts import layout, make_pictures
from shards import add

from seedx import tokenizer
from seedx.data.check import Check, SourceCheck
from seedx.data.shard_reader import Data
from small import SMALL, TOKENIZER

MISSING = "gone.jpg"  # a picture that is not there
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Published:
    """
    Attributes:
        form: how it is published, in words.
        source, format, options: those of the recipe.
        rows: records as they are published.
        odd: others, of which each is one sample error of the cause, or is read (None).
        pictures: the folder that paths of pictures are relative to.
        write: writes the file; by default by its ending.
        where: where the layout is documented.
    """

    name: str
    form: str
    source: str
    format: str
    rows: Rows
    odd: list[tuple[str | None, dict[str, Any]]]
    where: str
    options: dict[str, Any] = field(default_factory=dict)
    pictures: str = ""
    write: Callable[[Path, Rows], None] | None = None

    @property
    def expected(self) -> tuple[int, dict[str, int]]:
        """Samples used, and sample errors by cause."""
        causes = [cause for cause, _ in self.odd if cause]
        return len(self.rows) + len(self.odd) - len(causes), {cause: causes.count(cause) for cause in causes}

    def check(self, folder: Path) -> SourceCheck:
        """Write it into a folder, and read all of it."""
        path = folder / self.source
        path.parent.mkdir(parents=True, exist_ok=True)
        records = [*self.rows, *(row for _, row in self.odd)]
        make_pictures(records, folder / self.pictures)
        for picture in folder.rglob(MISSING):
            picture.unlink()
        (self.write or WRITERS[path.suffix])(path, records)
        look = Check(tokenizer.load(TOKENIZER), SMALL)
        (found,) = look([Data(str(path), self.format, options=self.options)], 100)
        return found


def jpeg(colour: str = "red") -> bytes:
    stream = io.BytesIO()
    PIL.Image.new("RGB", (40, 80), colour).save(stream, "JPEG")
    return stream.getvalue()


def _array(path: Path, rows: Rows) -> None:
    path.write_text(json.dumps(rows, indent=2))


def _lines(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _parquet(path: Path, rows: Rows) -> None:
    names = {name for row in rows for name in row}
    table = pyarrow.Table.from_pylist([{name: row.get(name) for name in sorted(names)} for row in rows])
    pyarrow.parquet.write_table(table, path)


def _tar(path: Path, rows: Rows) -> None:
    with tarfile.open(path, "w") as tar:
        for number, row in enumerate(rows):
            for ending, content in row.items():
                encoded = json.dumps(content).encode() if isinstance(content, dict) else content
                add(tar, f"{number:09d}.{ending}", encoded.encode() if isinstance(encoded, str) else encoded)


def _coco(path: Path, rows: Rows) -> None:
    """Each row is an image with its annotations."""
    published = layout(f"coco_{path.stem.partition('_')[0]}")
    images = [{name: value for name, value in row.items() if name != "annotations"} for row in rows]
    annotations = [one | {"image_id": row["id"], "id": 0} for row in rows for one in row["annotations"]]
    path.write_text(json.dumps(published | {"images": images, "annotations": annotations[::-1]}))


def _vist(path: Path, rows: Rows) -> None:
    """Each row is a story."""
    albums = [{"id": "44277", "title": "A day at the lake", "description": "", "vist_label": "camping"}]
    annotations = [[entry] for row in rows for entry in row["story"]]
    path.write_text(json.dumps({"images": [], "albums": albums, "type": "sis", "annotations": annotations}))


def _sessions(path: Path, rows: Rows) -> None:
    path.write_text(json.dumps({str(number): row["turns"] for number, row in enumerate(rows, 7)}))


def _pairs(path: Path, rows: Rows) -> None:
    path.write_text("".join(row["line"] + "\n" for row in rows))


WRITERS = {".json": _array, ".jsonl": _lines, ".parquet": _parquet, ".tar": _tar}


def _inside(path: str | None = None) -> dict[str, Any]:
    """A picture in a Parquet file, or the path alone."""
    return {"bytes": None if path else jpeg(), "path": path}


def _llava(image: str, *turns: str, **more: Any) -> dict[str, Any]:
    talk = [{"from": ("human", "gpt")[i % 2], "value": text} for i, text in enumerate(turns)]
    return {"id": Path(image).stem, "image": image, "conversations": talk, **more}


def _chat(asked: Any, answer: str = "Red.", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}], **more}


def _url(url: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]


def _trl(picture: dict[str, Any], **more: Any) -> dict[str, Any]:
    asked = [{"type": "image", "text": None}, {"type": "text", "text": "What colour?"}]
    answer = [{"type": "text", "text": "Red."}]
    talk = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"messages": talk, "images": [picture], **more}


def _image(number: int, name: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": 40, "height": 80, "license": 1, "annotations": list(annotations)}


def _object(kind: int, *box: float, crowd: int = 0) -> dict[str, Any]:
    return {
        "category_id": kind,
        "bbox": list(box),
        "iscrowd": crowd,
        "area": 100.0,
        "segmentation": [[1, 1, 9, 1, 9, 9]],
    }


def _refcoco(path: str, *box: float, said: str = "the lady with the blue shirt") -> dict[str, Any]:
    x, y, width, height = box
    sentence = {"raw": said, "sent": said, "sent_id": 0, "tokens": said.split()}
    annotation = {
        "segmentation": [[1, 1, 9, 1, 9, 9]],
        "iscrowd": 0,
        "image_id": 1,
        "bbox": box,
        "category_id": 1,
        "id": 2,
    }
    return {
        "sent_ids": [0],
        "file_name": "COCO_train2014_000000581857_16.jpg",
        "ann_id": 1719310,
        "ref_id": 0,
        "image_id": 581857,
        "split": "train",
        "sentences": [sentence] if said else [],
        "category_id": 1,
        "raw_anns": json.dumps(annotation),
        "raw_image_info": json.dumps({"width": 40, "height": 80}),
        "image_path": path,
        "bbox": [x, y, x + width, y + height],
        "captions": ["A lady."],
    }


def _story(number: str, *photos: str) -> dict[str, Any]:
    entry = {"album_id": "44277", "story_id": number, "tier": "story-in-sequence", "storylet_id": "1"}
    told = [
        entry | {"photo_flickr_id": photo, "worker_arranged_photo_order": i, "original_text": f"{i}.", "text": f"{i} ."}
        for i, photo in enumerate(photos)
    ]
    return {"story": told[::-1], "files": [f"{photo}.jpg" for photo in photos]}


def _session(number: int, turns: int, **more: Any) -> dict[str, Any]:
    names = [f"{number}-{name}.png" for name in ("input", *(f"output{i + 1}" for i in range(turns)))]
    made = [
        {"input": names[i], "mask": f"{number}-mask{i + 1}.png", "output": names[i + 1], "instruction": "Add a cat."}
        | more
        for i in range(turns)
    ]
    return {"turns": made, "files": [f"{number}/{name}" for name in names]}


def _pair(person: str, cloth: str) -> dict[str, Any]:
    return {"line": f"{person} {cloth}", "files": [f"image/{person}", f"agnostic-v3.2/{person}", f"cloth/{cloth}"]}


GRIT = {name: value for name, value in layout("grit").items() if name not in ("noun_chunks",)}
PAGE = layout("obelics") | {"images": ["https://example.org/lion.jpg", None, "https://example.org/zoo.jpg", None]}

FORMS = [
    Published(
        "LLaVA, ShareGPT4V",
        "`.json` array",
        "llava_v1_5_mix665k.json",
        "llava",
        [
            _llava("coco/train2017/1.jpg", "<image>\nWhat is it?", "A bus.", "Is it red?", "Yes."),
            _llava("gqa/images/2.jpg", "Where?\n<image>", "Here.", extra_column=1),
        ],
        [("missing file", _llava(MISSING, "<image>\nWhat?", "A bus.")), ("bad format", _llava("coco/train2017/1.jpg"))],
        "https://github.com/haotian-liu/LLaVA/blob/main/docs/Finetune_Custom_Data.md",
        {"images": "data"},
        "data",
    ),
    Published(
        "LLaVA's layout, one a line",
        "JSONL",
        "train.jsonl",
        "llava",
        [
            _llava("a.jpg", "<image>\nWhat is it?", "A bus."),
            _llava("b.jpg", "What?\n<image>", "A cat.", extra_column=1),
        ],
        [("missing file", _llava(MISSING, "<image>\nWhat?", "A bus.")), ("bad format", _llava("a.jpg", "", ""))],
        "https://github.com/haotian-liu/LLaVA/blob/main/docs/Finetune_Custom_Data.md",
    ),
    Published(
        "LLaMA-Factory, OpenAI's roles",
        "`.json` array, `<image>` and `images`",
        "mllm_demo.json",
        "messages",
        [
            _chat("<image>Who are they?", images=["mllm_demo_data/1.jpg"]),
            _chat("<image><image>Which?", images=["mllm_demo_data/1.jpg", "mllm_demo_data/2.jpg"], extra_column=1),
        ],
        [
            ("missing file", _chat("<image>Who?", images=[MISSING])),
            ("bad format", _chat("<image><image>Who?", images=["mllm_demo_data/1.jpg"])),
            ("bad format", {"messages": [], "images": []}),
        ],
        "https://github.com/hiyouga/LLaMA-Factory/tree/main/data",
    ),
    Published(
        "LLaMA-Factory, Alpaca's fields",
        "`.json` array, `<image>` and `images`",
        "alpaca.json",
        "llava",
        [
            {"instruction": "<image>Who?", "input": "", "output": "Kane.", "images": ["data/1.jpg"]},
            {"instruction": "Add.", "input": "1 and 2", "output": "3", "system": "", "history": [["Hello.", "Hi."]]},
        ],
        [
            ("missing file", {"instruction": "<image>Who?", "input": "", "output": "Kane.", "images": [MISSING]}),
            ("bad format", {"instruction": "<image>Who?", "input": "", "output": "", "images": ["data/1.jpg"]}),
            ("bad format", {"instruction": "Who?", "output": "I.", "history": [["Hello."]]}),
        ],
        "https://github.com/hiyouga/LLaMA-Factory/tree/main/data",
    ),
    Published(
        "LLaMA-Factory, ShareGPT's roles",
        "`.json` array, `<image>` and `images`",
        "sharegpt.json",
        "llava",
        [
            {"conversations": _llava("", "<image>Who?", "Kane.")["conversations"], "images": ["data/1.jpg"]},
            {"conversations": _llava("", "Hello.", "Hi.")["conversations"], "images": [], "extra_column": 1},
        ],
        [
            (
                "missing file",
                {"conversations": _llava("", "<image>Who?", "Kane.")["conversations"], "images": [MISSING]},
            ),
            ("bad format", {"conversations": [], "images": ["data/1.jpg"]}),
        ],
        "https://github.com/hiyouga/LLaMA-Factory/tree/main/data",
    ),
    Published(
        "OpenAI's fine-tuning",
        "JSONL, `image_url`",
        "train.jsonl",
        "messages",
        [_chat(_url("a.jpg")), _chat("Hello.", "Hi.", extra_column=1)],
        [
            ("missing file", _chat(_url(MISSING))),
            ("outside", _chat(_url("https://example.org/a.jpg"))),
            ("bad format", {"messages": []}),
        ],
        "https://platform.openai.com/docs/guides/fine-tuning",
    ),
    Published(
        "TRL's conversations",
        "Parquet, parts `{type: image}` and `images`",
        "data/train-00000-of-00001.parquet",
        "messages",
        [_trl(_inside()), _trl(_inside(), extra_column=1)],
        [("missing file", _trl(_inside(MISSING))), ("bad format", {"messages": [], "images": [_inside()]})],
        "https://huggingface.co/docs/trl/dataset_formats",
    ),
    Published(
        "The Cauldron",
        "Parquet, `images` and `texts`",
        "vqav2/train-00000-of-00001.parquet",
        "llava",
        [
            {"images": [_inside()], "texts": [{"user": "What colour?", "assistant": "Red.", "source": "VQAv2"}]},
            {"images": [_inside()] * 2, "texts": [{"user": "Alike?", "assistant": "Yes.", "source": "NLVR2"}]},
        ],
        [
            (
                "missing file",
                {"images": [_inside(MISSING)], "texts": [{"user": "What?", "assistant": "It.", "source": "a"}]},
            ),
            ("bad format", {"images": [_inside()], "texts": []}),
            ("bad format", {"images": [_inside()], "texts": [{"user": "What?", "assistant": None, "source": "a"}]}),
        ],
        "https://huggingface.co/datasets/HuggingFaceM4/the_cauldron",
    ),
    Published(
        "LLaVA-OneVision",
        "Parquet, `image` or null and `conversations`",
        "ai2d(internvl)/train-00000-of-00001.parquet",
        "llava",
        [
            _llava("", "<image>\nWhat?", "A cat.", data_source="ai2d") | {"image": _inside()},
            _llava("", "Hello.", "Hi.", data_source="words") | {"image": None},
        ],
        [
            ("missing file", _llava("", "<image>\nWhat?", "A cat.") | {"image": _inside(MISSING)}),
            ("bad format", _llava("") | {"image": _inside()}),
        ],
        "https://huggingface.co/datasets/lmms-lab/LLaVA-OneVision-Data",
    ),
    Published(
        "an imagefolder",
        "`metadata.jsonl` beside pictures",
        "train/metadata.jsonl",
        "image_text",
        [{"file_name": "0001.png", "text": "a red car"}, {"file_name": "more/0002.png", "text": "a dog", "split": "a"}],
        [
            ("missing file", {"file_name": MISSING, "text": "a dog"}),
            ("bad format", {"file_name": "0001.png", "text": ""}),
        ],
        "https://huggingface.co/docs/datasets/image_dataset",
        pictures="train",
    ),
    Published(
        "pokemon-blip-captions and its like",
        "Parquet, `image` and `text`",
        "data/train-00000-of-00001.parquet",
        "image_text",
        [{"image": _inside(), "text": "a drawing of a red frog"}, {"image": _inside(), "text": "a cat", "extra": 1}],
        [
            ("missing file", {"image": _inside(MISSING), "text": "a cat"}),
            ("bad format", {"image": _inside(), "text": ""}),
        ],
        "https://huggingface.co/datasets/lambdalabs/pokemon-blip-captions",
    ),
    Published(
        "img2dataset's output",
        "tar shards of `jpg`, `txt`, `json`",
        "00000.tar",
        "image_text",
        [
            {"jpg": jpeg(), "json": {"caption": "a red car", "status": "success", "width": 40}, "txt": "a red car"},
            {"jpg": jpeg(), "json": {"caption": "a dog", "url": "https://example.org/2.jpg"}, "txt": "a dog"},
        ],
        [
            ("missing file", {"json": {"caption": "a dog", "url": "https://example.org/3.jpg"}, "txt": "a dog"}),
            ("broken image", {"jpg": jpeg()[:200], "txt": "a dog"}),
            ("bad format", {"jpg": jpeg(), "txt": " "}),
        ],
        "https://github.com/rom1504/img2dataset",
    ),
    Published(
        "WebDataset",
        "tar shards of pictures and JSON",
        "shards/train-000000.tar",
        "messages",
        [
            {"png": jpeg(), "json": _chat([{"type": "image", "image": "png"}])},
            {"json": _chat("Hello.", extra_column=1)},
        ],
        [
            ("missing file", {"json": _chat([{"type": "image", "image": "png"}])}),
            ("bad format", {"png": jpeg(), "json": {"messages": []}}),
        ],
        "https://github.com/webdataset/webdataset",
    ),
    Published(
        "COCO, instances",
        "one `.json` object of tables",
        "annotations/instances_train2017.json",
        "coco_instances",
        [
            _image(
                9, "000000000009.jpg", _object(18, 4, 8, 8, 16), _object(18, 20, 40, 10, 20), _object(17, 0, 0, 9, 9)
            ),
            _image(25, "000000000025.jpg", _object(17, 1, 1, 20, 20), _object(1, 0, 0, 39, 5, crowd=1)),
        ],
        [
            ("missing file", _image(30, MISSING, _object(17, 0, 0, 9, 9))),
            ("bad format", _image(34, "000000000009.jpg", _object(99, 0, 0, 9, 9))),
            ("bad format", _image(35, "000000000009.jpg", _object(17, 50, 0, 9, 9))),
            ("filtered", _image(36, "000000000009.jpg")),
        ],
        "https://cocodataset.org/#format-data",
        {"images": "../train2017"},
        "train2017",
        _coco,
    ),
    Published(
        "COCO, captions",
        "one `.json` object of tables",
        "annotations/captions_train2017.json",
        "coco_captions",
        [
            _image(9, "000000000009.jpg", {"caption": "Two dogs."}, {"caption": "A pair of dogs"}),
            _image(25, "000000000025.jpg", {"caption": "A cat. "}),
        ],
        [
            ("missing file", _image(30, MISSING, {"caption": "A dog."})),
            ("bad format", _image(34, "000000000009.jpg", {"caption": ""})),
            ("filtered", _image(35, "000000000009.jpg")),
        ],
        "https://cocodataset.org/#format-data",
        {"images": "../train2017"},
        "train2017",
        _coco,
    ),
    Published(
        "RefCOCO, RefCOCO+, RefCOCOg (jxu124)",
        "Parquet, paths of COCO's pictures",
        "data/train-00000-of-00001.parquet",
        "referring",
        [_refcoco("coco/train2014/1.jpg", 4, 8, 8, 16), _refcoco("coco/train2014/2.jpg", 20, 40, 10, 20)],
        [
            ("missing file", _refcoco(MISSING, 4, 8, 8, 16)),
            ("bad format", _refcoco("coco/train2014/1.jpg", 4, 8, 8, 16, said="")),
            ("bad format", _refcoco("coco/train2014/1.jpg", 50, 8, 8, 16)),
        ],
        "https://huggingface.co/datasets/jxu124/refcoco",
        {"images": ".."},
    ),
    Published(
        "RefCOCO (lmms-lab)",
        "Parquet, `image`, `answer`, `bbox`",
        "data/val-00000-of-00004.parquet",
        "referring",
        [
            {
                "question_id": "0",
                "image": _inside(),
                "answer": ["left dog"],
                "bbox": [4.0, 8.0, 8.0, 16.0],
                "iscrowd": 0,
            },
            {
                "question_id": "1",
                "image": _inside(),
                "answer": ["dog", "it"],
                "bbox": [4.0, 8.0, 8.0, 16.0],
                "extra": 1,
            },
        ],
        [
            ("missing file", {"image": _inside(MISSING), "answer": ["dog"], "bbox": [4.0, 8.0, 8.0, 16.0]}),
            ("bad format", {"image": _inside(), "answer": [], "bbox": [4.0, 8.0, 8.0, 16.0]}),
        ],
        "https://huggingface.co/datasets/lmms-lab/RefCOCO",
    ),
    Published(
        "GRIT, downloaded by img2dataset",
        "tar shards, boxes in the JSON",
        "00000.tar",
        "grit",
        [{"jpg": jpeg(), "json": GRIT, "txt": GRIT["caption"]}, {"jpg": jpeg(), "json": GRIT | {"extra_column": 1}}],
        [
            ("missing file", {"json": GRIT}),
            ("filtered", {"jpg": jpeg(), "json": GRIT | {"ref_exps": [[0, 2] + [0.5] * 5]}}),
        ],
        "https://huggingface.co/datasets/zzliang/GRIT",
    ),
    Published(
        "GRIT, as it is published",
        "Parquet, URLs alone",
        "coyo_0_snappy.parquet",
        "grit",
        [],
        [("missing file", GRIT)],
        "https://huggingface.co/datasets/zzliang/GRIT",
    ),
    Published(
        "MagicBrush",
        "Parquet",
        "data/train-00000-of-00051.parquet",
        "edit",
        [
            {
                "img_id": "7",
                "turn_index": 1,
                "source_img": _inside(),
                "instruction": "Add a cat.",
                "target_img": _inside(),
            },
            {"img_id": "7", "turn_index": 2, "source_img": _inside(), "instruction": "Blue.", "target_img": _inside()},
        ],
        [
            ("missing file", {"source_img": _inside(MISSING), "instruction": "Blue.", "target_img": _inside()}),
            ("bad format", {"source_img": _inside(), "instruction": "", "target_img": _inside()}),
        ],
        "https://huggingface.co/datasets/osunlp/MagicBrush",
    ),
    Published(
        "MagicBrush's sessions",
        "`edit_sessions.json`, an object of lists",
        "edit_sessions.json",
        "edit",
        [_session(7, 2), _session(8, 1, extra_column=1)],
        [("missing file", {"turns": _session(9, 1)["turns"]}), ("bad format", {"turns": []})],
        "https://github.com/OSU-NLP-Group/MagicBrush",
        {"images": "images"},
        "images",
        write=_sessions,
    ),
    Published(
        "InstructPix2Pix",
        "Parquet",
        "data/train-00000-of-00262.parquet",
        "edit",
        [
            {"original_prompt": "a", "original_image": _inside(), "edit_prompt": "blue", "edited_image": _inside()},
            {"original_prompt": "b", "original_image": _inside(), "edit_prompt": "red", "edited_image": _inside()},
        ],
        [
            ("missing file", {"original_image": _inside(), "edit_prompt": "blue", "edited_image": _inside(MISSING)}),
            ("bad format", {"original_image": _inside(), "edit_prompt": None, "edited_image": _inside()}),
        ],
        "https://huggingface.co/datasets/timbrooks/instructpix2pix-clip-filtered",
    ),
    Published(
        "SEED-Data-Edit, pairs",
        "JSONL",
        "annotations/split_0001.jsonl",
        "edit",
        [layout("seed_data_edit"), layout("seed_data_edit") | {"extra_column": 1}],
        [
            ("missing file", layout("seed_data_edit") | {"target_image": MISSING}),
            ("bad format", layout("seed_data_edit") | {"instruction": ""}),
        ],
        "https://huggingface.co/datasets/AILab-CVC/SEED-Data-Edit-Part2-3",
        {"images": "../images"},
        "images",
    ),
    Published(
        "SEED-Data-Edit, sessions of many turns",
        "JSONL",
        "annotations/split_0001.jsonl",
        "edit",
        [layout("seed_data_edit_multi_turn"), layout("seed_data_edit_multi_turn") | {"extra_column": 1}],
        [
            ("missing file", layout("seed_data_edit_multi_turn") | {"edit_image_2": MISSING}),
            ("bad format", layout("seed_data_edit_multi_turn") | {"edit_image_1": ""}),
        ],
        "https://huggingface.co/datasets/AILab-CVC/SEED-Data-Edit-Part2-3",
        {"images": "../images"},
        "images",
    ),
    Published(
        "MMC4",
        "JSONL, URLs alone",
        "docs_shard_0_v2.jsonl",
        "mmc4",
        [],
        [("missing file", layout("mmc4"))],
        "https://github.com/allenai/mmc4",
        pictures="elsewhere",
    ),
    Published(
        "OBELICS",
        "Parquet, URLs alone",
        "data/train-00000-of-01335.parquet",
        "obelics",
        [],
        [("outside", PAGE)],
        "https://huggingface.co/datasets/HuggingFaceM4/OBELICS",
    ),
    Published(
        "StoryStream",
        "JSONL",
        "val.jsonl",
        "story",
        [
            {"id": 102, "images": [f"000-102/k{i}.jpg" for i in range(3)], "captions": ["One.", "Two.", "Three."]},
            {
                "id": 103,
                "images": [f"000-103/k{i}.jpg" for i in range(2)],
                "captions": ["One.", "Two."],
                "orders": [0, 1],
            },
        ],
        [
            ("missing file", {"id": 104, "images": ["000-102/k0.jpg", MISSING], "captions": ["One.", "Two."]}),
            ("bad format", {"id": 105, "images": ["000-102/k0.jpg"], "captions": []}),
        ],
        "https://huggingface.co/datasets/TencentARC/StoryStream",
        {"images": "image"},
        "image",
    ),
    Published(
        "VIST",
        "one `.json` object of tables",
        "sis/train.story-in-sequence.json",
        "story",
        [_story("45530", "1", "2", "3"), _story("45531", "2", "4")],
        [("missing file", _story("45532", "1", MISSING.removesuffix(".jpg"))), ("bad format", _story("45533", "1"))],
        "http://visionandlanguage.net/VIST/dataset.html",
        {"images": "../images"},
        "images",
        _vist,
    ),
    Published(
        "VITON-HD",
        "`train_pairs.txt` beside folders",
        "zalando-hd-resized/train_pairs.txt",
        "try_on",
        [_pair("00000_00.jpg", "00000_00.jpg"), _pair("00001_00.jpg", "00001_00.jpg")],
        [
            ("missing file", {"line": f"{MISSING} {MISSING}"}),
            ("bad format", {"line": "00000_00.jpg"}),
            ("filtered", _pair("00000_00.jpg", "00001_00.jpg")),
        ],
        "https://github.com/shadow2496/VITON-HD",
        {"images": "train"},
        "zalando-hd-resized/train",
        _pairs,
    ),
]
