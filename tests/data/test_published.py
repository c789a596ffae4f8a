"""Data sets in the files and layouts that they are published in, read without a change: source, format, messages."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest
from layouts import layout, make_pictures, rng, shown

from seedx.data import formats
from seedx.data.record import Record
from seedx.data.sample_errors import SampleError
from seedx.data.sources import open_source


def jpeg(colour: str = "red") -> bytes:
    stream = io.BytesIO()
    PIL.Image.new("RGB", (40, 80), colour).save(stream, "JPEG")
    return stream.getvalue()


def read(path: Path, format: str, **options: Any) -> list[Any]:
    """The messages of each record in short."""
    chosen = formats.get(format, **options)
    made = []
    for unit in open_source(str(path)):
        for _, item in unit.read():
            assert isinstance(item, Record), item
            made.append(shown(chosen(item, rng())))
    return made


def parquet(path: Path, *rows: dict[str, Any]) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    return path


def test_llama_factorys_sharegpt_file(tmp_path: Path) -> None:
    """mllm_demo.json by https://github.com/hiyouga/LLaMA-Factory/tree/main/data: an array; `<image>` and `images`."""
    record = {
        "messages": [
            {"content": "<image>Who are they?", "role": "user"},
            {"content": "They're Kane and Gretzka.", "role": "assistant"},
            {"content": "What are they doing?<image>", "role": "user"},
            {"content": "They are celebrating.", "role": "assistant"},
        ],
        "images": ["mllm_demo_data/1.jpg", "mllm_demo_data/2.jpg"],
    }
    (tmp_path / "mllm_demo.json").write_text(json.dumps([record, record | {"images": record["images"][:1]}]))
    make_pictures(record, tmp_path)
    with pytest.raises(SampleError, match="1 images and 2 places"):
        read(tmp_path / "mllm_demo.json", "messages")
    (tmp_path / "mllm_demo.json").write_text(json.dumps([record]))
    ((first, _, third, _),) = read(tmp_path / "mllm_demo.json", "messages")
    assert first == ("user", "@1.jpg", "Who are they?") and third == ("user", "What are they doing?", "@2.jpg")
    sharegpt = {
        "conversations": [{"from": "human", "value": "<image>Who?"}, {"from": "gpt", "value": "Kane."}],
        "images": ["mllm_demo_data/1.jpg"],
    }
    (tmp_path / "sharegpt.json").write_text(json.dumps([sharegpt]))
    assert read(tmp_path / "sharegpt.json", "llava") == [[("user", "@1.jpg", "Who?"), ("assistant", "Kane.")]]


@pytest.mark.parametrize("url", [{"url": "a.jpg"}, {"url": "a.jpg", "detail": "low"}, "a.jpg"])
def test_openais_image_url(url: Any, tmp_path: Path) -> None:
    """By https://platform.openai.com/docs/guides/fine-tuning, vision: lines of {"messages": [...]}."""
    asked = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": url}]
    line = {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": "Red."}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    make_pictures("a.jpg", tmp_path)
    assert read(tmp_path / "a.jsonl", "messages") == [[("user", "What is it?", "@a.jpg"), ("assistant", "Red.")]]


def test_a_url_says_to_download_first(tmp_path: Path) -> None:
    url = {"type": "image_url", "image_url": {"url": "https://example.org/a.jpg"}}
    line = {"messages": [{"role": "user", "content": [url]}, {"role": "assistant", "content": "Red."}]}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(SampleError, match=r"is a URL: download the pictures first \(img2dataset does\)"):
        read(tmp_path / "a.jsonl", "messages")


def test_trls_conversations_with_pictures(tmp_path: Path) -> None:
    """By https://huggingface.co/docs/trl/dataset_formats, "Conversational" with images: a part {"type": "image"}."""
    asked = [{"type": "image", "text": None}, {"type": "text", "text": "What colour?"}]
    row = {
        "images": [{"bytes": jpeg(), "path": None}],
        "messages": [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": [{"type": "text", "text": "Red."}]},
        ],
    }
    ((question, answer),) = read(parquet(tmp_path / "train-00000-of-00001.parquet", row), "messages")
    assert question == ("user", jpeg(), "What colour?") and answer == ("assistant", "Red.")


def test_the_cauldron(tmp_path: Path) -> None:
    """By https://huggingface.co/datasets/HuggingFaceM4/the_cauldron: images, texts of {user, assistant, source}."""
    row = {
        "images": [{"bytes": jpeg(), "path": None}],
        "texts": [
            {"user": "What colour?\nGive one word.", "assistant": "Red.", "source": "VQAv2"},
            {"user": "Is it large?", "assistant": "No.", "source": "VQAv2"},
        ],
    }
    (made,) = read(parquet(tmp_path / "a.parquet", row), "llava")
    assert made == [
        ("user", jpeg(), "What colour?\nGive one word."),
        ("assistant", "Red."),
        ("user", "Is it large?"),
        ("assistant", "No."),
    ]
    torn = row | {"texts": [{"user": "What colour?", "assistant": None, "source": "VQAv2"}]}
    with pytest.raises(SampleError, match="a turn is words"):
        read(parquet(tmp_path / "b.parquet", torn), "llava")


def test_llava_onevision(tmp_path: Path) -> None:
    """By https://huggingface.co/datasets/lmms-lab/LLaVA-OneVision-Data: image or null, conversations, data_source."""
    talk = [{"from": "human", "value": "<image>\nWhat colour?"}, {"from": "gpt", "value": "Red."}]
    words = [{"from": "human", "value": "Hello."}, {"from": "gpt", "value": "Hi."}]
    rows = [
        {"id": "1", "image": {"bytes": jpeg(), "path": "1.jpg"}, "conversations": talk, "data_source": "a"},
        {"id": "2", "image": None, "conversations": words, "data_source": "b"},
    ]
    seen, plain = read(parquet(tmp_path / "a.parquet", *rows), "llava")
    assert seen == [("user", jpeg(), "What colour?"), ("assistant", "Red.")]
    assert plain == [("user", "Hello."), ("assistant", "Hi.")]


def test_an_imagefolder(tmp_path: Path) -> None:
    """By https://huggingface.co/docs/datasets/image_dataset, "ImageFolder": metadata.jsonl with file_name."""
    (tmp_path / "train").mkdir()
    lines = [{"file_name": "0001.png", "text": "a red car"}, {"file_name": "more/0002.png", "text": "a dog"}]
    (tmp_path / "train" / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    make_pictures([line["file_name"] for line in lines], tmp_path / "train")
    made = read(tmp_path / "train" / "metadata.jsonl", "image_text", draw=1.0)
    assert made == [
        [("system", "a red car"), ("assistant", "@0001.png")],
        [("system", "a dog"), ("assistant", "@0002.png")],
    ]


def test_captions_in_parquet(tmp_path: Path) -> None:
    """The columns of https://huggingface.co/datasets/lambdalabs/pokemon-blip-captions and its like: image, text."""
    row = {"image": {"bytes": jpeg(), "path": None}, "text": "a drawing of a red frog"}
    made = read(parquet(tmp_path / "a.parquet", row), "image_text", draw=1.0)
    assert made == [[("system", "a drawing of a red frog"), ("assistant", jpeg())]]


def test_magicbrushs_sessions(tmp_path: Path) -> None:
    """edit_sessions.json and images/ID/ by https://github.com/OSU-NLP-Group/MagicBrush."""
    turns = [
        {"input": "7-input.png", "mask": "7-mask1.png", "output": "7-output1.png", "instruction": "Add a cat."},
        {"input": "7-output1.png", "mask": "7-mask2.png", "output": "7-output2.png", "instruction": "Make it blue."},
    ]
    (tmp_path / "edit_sessions.json").write_text(json.dumps({"7": turns}))
    make_pictures(turns, tmp_path / "images" / "7")
    assert read(tmp_path / "edit_sessions.json", "edit", images="images", polite=0.0) == [
        [
            ("user", "@7-input.png", "Add a cat."),
            ("assistant", "@7-output1.png"),
            ("user", "Make it blue."),
            ("assistant", "@7-output2.png"),
        ]
    ]


def test_storystream(tmp_path: Path) -> None:
    """By https://huggingface.co/datasets/TencentARC/StoryStream: a line has the paths and captions of a story."""
    line = {"id": 102, "images": [f"000-102/k{i}.jpg" for i in range(3)], "captions": ["One.", "Two.", "Three."]}
    (tmp_path / "val.jsonl").write_text(json.dumps(line) + "\n")
    make_pictures(line, tmp_path / "image")
    ((asked, told),) = read(tmp_path / "val.jsonl", "story", images="image")
    assert asked == ("user", "Go on with this story in 2 parts.", "One.", "@k0.jpg")
    assert told == ("assistant", "Two.", "@k1.jpg", "Three.", "@k2.jpg")


@pytest.mark.parametrize("name", ["mmc4", "obelics"])
def test_pages_as_they_are_published_have_urls(name: str, tmp_path: Path) -> None:
    page = layout(name)
    if name == "obelics":
        page["images"] = [image and f"https://example.org/{image}" for image in page["images"]]
    (tmp_path / "pages.jsonl").write_text(json.dumps(page) + "\n")
    with pytest.raises(SampleError, match="img2dataset"):
        read(tmp_path / "pages.jsonl", name)
