"""The worker, and the command around it."""

import json

import numpy as np
import PIL.Image
import pytest

from seedx.bulk.command import run
from seedx.bulk.job import Job
from seedx.bulk.worker import Worker
from seedx.errors import SeedxError

SHORT = {"max_new_tokens": 40}


@pytest.fixture(scope="module")
def pictures():
    """Of several sizes, none the first by size."""
    return [PIL.Image.radial_gradient("L").resize(size).convert("RGB") for size in ((96, 96), (300, 96), (128, 128))]


def test_each_answer_is_the_one_that_the_model_gives_alone(tiny, pictures):
    worker = Worker("chat", model=tiny, batch_size=2, settings=SHORT, drawing="forbid")
    texts = ["what?", "where is the cat?", "how many?"]
    found = worker({"image": pictures, "text": texts, "id": [1, 2, 3], "error": [None, None, "torn tar"]})
    alone = [tiny.chat(text, [one], drawing="forbid", **SHORT).text for text, one in zip(texts, pictures, strict=True)]
    assert found["answer"] == [*alone[:2], None] and found["error"] == [None, None, "torn tar"]
    assert found["id"] == [1, 2, 3] and set(found) == {"id", "answer", "boxes", "picture", "error", "seconds"}
    captions = Worker("caption", model=tiny, settings=SHORT)({"image": np.array([*pictures, None], dtype=object)})
    assert captions["answer"][:3] == [tiny.caption(one, **SHORT) for one in pictures]
    assert captions["error"][3] == "one picture is needed, not 0"


def test_drawings_have_the_seed_of_their_row(tiny):
    worker = Worker("draw", model=tiny, settings=SHORT | {"seed": 5})
    found = worker({"text": ["a cat", "a cat", "a cat", " "], "seed": [1, 5, None, 1]})
    one, five, default, none = found["picture"]
    assert one[:4] == b"\x89PNG" and one != five and five == default and none is None
    assert found["error"][3].startswith("no text")


def test_a_batch_that_fails_is_answered_one_by_one(tiny, pictures, monkeypatch):
    caption_batch = type(tiny).caption_batch

    def scarce(self, images, **options):
        if len(images) > 1 or images[0].size == (300, 96):
            raise MemoryError("no memory")
        return caption_batch(self, images, **options)

    monkeypatch.setattr(type(tiny), "caption_batch", scarce)
    worker = Worker("caption", model=tiny, settings=SHORT)
    found = worker({"image": pictures})
    assert [error and error.split(":")[0] for error in found["error"]] == [None, "MemoryError", None]
    with pytest.raises(MemoryError):  # all of them: it is not the pictures' fault
        worker({"image": [pictures[1], pictures[1]]})


def test_the_command_answers_once_and_resumes(tiny_folder, tmp_path, pictures):
    for number, one in enumerate(pictures):
        one.save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    job = Job("ground", str(tmp_path), out, "the cat", str(tiny_folder), batch_size=2, settings=SHORT)
    first = run(job)
    assert (first.rows, first.errors, first.new) == (4, 1, 4)
    pictures[0].save(tmp_path / "4.png")
    second = run(job)
    assert (second.rows, second.errors, second.new) == (5, 1, 1)
    assert run(job).new == 0
    rows = [json.loads(line) for file in sorted((out / "rows").iterdir()) for line in file.open()]
    assert sorted(row["id"] for row in rows) == [f"{number}.png" for number in range(5)]
    [bad] = [row for row in rows if row["error"]]
    assert bad["id"] == "3.png" and bad["answer"] is None and "is not a picture" in bad["error"]


def test_mistakes_are_found_before_the_model_is_loaded(tmp_path, pictures):
    pictures[0].save(tmp_path / "0.png")
    for job, said in (
        (Job("chat", str(tmp_path), tmp_path / "out"), "--prompt"),
        (Job("caption", str(tmp_path), tmp_path), "is the input as well"),
        (Job("caption", str(tmp_path), tmp_path / "out", batch_size=0), "batch_size"),
        (Job("write", str(tmp_path), tmp_path / "out"), "the task is caption"),
    ):
        with pytest.raises(SeedxError, match=said):
            run(job)
    assert not (tmp_path / "out").exists()
