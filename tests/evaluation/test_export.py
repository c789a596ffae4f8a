"""Pictures for other people's scorers: each layout as its scorer reads it, and exports that are stopped and go on."""

import io
import json
import re

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from seedx.cli import main
from seedx.evaluation import gedit, geneval, imgedit
from seedx.evaluation.export import Count

PROMPTS = ["a photo of a cat", "a photo of two red stars", "a photo of a dog"]


def picture(*what, size=(12, 8)):
    """One that its words alone decide."""
    value = hash(what) & 0xFFFFFF
    return Image.new("RGB", size, (value >> 16, value >> 8 & 255, value & 255))


class Model:
    """Draws and edits by words and seed, and may fail after some pictures."""

    def __init__(self, limit=100):
        self.limit, self.batches = limit, []

    def draw_batch(self, prompts, seeds, **options):
        return self._made([picture(*each) for each in zip(prompts, seeds, strict=True)])

    def edit_batch(self, pictures, instructions, seeds, **options):
        opened = [Image.open(io.BytesIO(p) if isinstance(p, bytes) else p).getpixel((0, 0)) for p in pictures]
        return self._made([picture(*each) for each in zip(opened, instructions, seeds, strict=True)])

    def _made(self, pictures):
        if sum(self.batches) >= self.limit:
            raise KeyboardInterrupt
        self.batches.append(len(pictures))
        return pictures


@pytest.fixture
def prompts(tmp_path):
    file = tmp_path / "evaluation_metadata.jsonl"
    lines = [{"tag": "counting", "include": [{"class": "cat", "count": 1}], "prompt": prompt} for prompt in PROMPTS]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.fixture
def edits(tmp_path):
    for name in ("a/1.png", "b/2.png"):
        (tmp_path / "originals" / name).parent.mkdir(parents=True)
        picture(name).save(tmp_path / "originals" / name)
    rows = {
        "1082": {"id": "a/1.png", "prompt": "Add a hat.", "edit_type": "add"},
        "7": {"id": "b/2.png", "prompt": "Remove the cat.", "edit_type": "remove"},
    }
    (tmp_path / "basic_edit.json").write_text(json.dumps(rows))
    return tmp_path / "basic_edit.json"


@pytest.fixture
def dataset(tmp_path):
    """Two files as the library `datasets` writes them."""

    def image(*what):
        file = io.BytesIO()
        picture(*what).save(file, format="PNG")
        return {"bytes": file.getvalue(), "path": None}

    for number, language in enumerate(("en", "cn")):
        rows = [
            {
                "key": f"{language}{i}",
                "task_type": task,
                "instruction": f"do {i}",
                "instruction_language": language,
                "input_image": image("shown", i),
                "input_image_raw": image("raw", i),
                "Intersection_exist": True,
            }
            for i, task in enumerate(("subject-add", "tone_transfer"))
        ]
        (tmp_path / "data").mkdir(exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "data" / f"train-{number}.parquet")
    return tmp_path / "data"


def scored(folder):
    """What GenEval's evaluation/evaluate_images.py would look at: (metadata, names of pictures) of each folder."""
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and inner.name.isdigit():
            with (inner / "metadata.jsonl").open() as file:
                metadata = json.load(file)
            yield metadata, sorted(f.name for f in (inner / "samples").iterdir() if re.match(r"\d+\.png", f.name))


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_geneval_finds_every_prompt_and_sample(prompts, tmp_path):
    out = tmp_path / "out"
    assert geneval.draw(Model(), prompts, out, samples=3, seed=5, batch=4) == Count(9, 0)
    names = ["0000.png", "0001.png", "0002.png"]
    assert list(scored(out)) == [(json.loads(line), names) for line in prompts.read_text().splitlines()]
    assert sorted(folder.name for folder in out.iterdir()) == ["00000", "00001", "00002"]
    for number, prompt in enumerate(PROMPTS):
        for sample in range(3):
            drawn = Image.open(out / f"{number:05d}" / "samples" / f"{sample:04d}.png")
            assert drawn.getpixel((0, 0)) == picture(prompt, 5 + sample).getpixel((0, 0))
    grid = Image.open(out / "00001" / "grid.png")
    assert grid.size == (24, 16) and grid.getpixel((0, 8)) == picture(PROMPTS[1], 7).getpixel((0, 0))


def test_a_stopped_export_goes_on(prompts, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    geneval.draw(Model(), prompts, whole, samples=2, batch=4)
    with pytest.raises(KeyboardInterrupt):
        geneval.draw(Model(limit=2), prompts, stopped, samples=2, batch=2)
    model = Model()
    assert geneval.draw(model, prompts, stopped, samples=2, batch=3) == Count(4, 2)
    assert model.batches == [3, 1]
    assert contents(stopped) == contents(whole)
    assert geneval.draw(Model(limit=0), prompts, stopped, samples=2) == Count(0, 6)


def test_other_prompts_are_not_mixed_in(prompts, tmp_path):
    geneval.draw(Model(), prompts, tmp_path / "out", samples=1)
    prompts.write_text(prompts.read_text().replace("cat", "cow"))
    with pytest.raises(ValueError, match="another prompt"):
        geneval.draw(Model(), prompts, tmp_path / "out", samples=1)


def test_imgedit_finds_edits_by_their_keys(edits, tmp_path):
    originals, out = tmp_path / "originals", tmp_path / "out"
    assert imgedit.edit(Model(), edits, originals, out, seed=3) == Count(2, 0)
    assert sorted(contents(out)) == ["1082.png", "7.png"]
    wanted = picture(picture("b/2.png").getpixel((0, 0)), "Remove the cat.", 3)
    assert Image.open(out / "7.png").getpixel((0, 0)) == wanted.getpixel((0, 0))
    assert imgedit.edit(Model(limit=0), edits, originals, out) == Count(0, 2)


def test_gedit_finds_edits_and_their_sources(dataset, tmp_path):
    out = tmp_path / "results" / "seedx"
    assert gedit.edit(Model(), dataset, out, languages=["en"]) == Count(2, 0)
    assert gedit.edit(Model(), dataset, out) == Count(2, 2)
    tasks = {f"en{i}": f"{task}/en" for i, task in enumerate(("subject-add", "tone_transfer"))}
    tasks |= {f"cn{i}": f"{task}/cn" for i, task in enumerate(("subject-add", "tone_transfer"))}
    assert sorted(contents(out)) == sorted(f"fullset/{tasks[k]}/{k}{end}.png" for k in tasks for end in ("", "_SRCIMG"))
    folder = out / "fullset" / "tone_transfer" / "cn"
    edited, compared = (Image.open(folder / f"cn1{end}.png").getpixel((0, 0)) for end in ("", "_SRCIMG"))
    assert compared == picture("shown", 1).getpixel((0, 0))
    assert edited == picture(picture("raw", 1).getpixel((0, 0)), "do 1", 0).getpixel((0, 0))


@pytest.mark.parametrize(
    ("line", "problem"), [("not json", "evaluation_metadata.jsonl:4"), ('{"tag": "x"}', '"prompt"'), ("[1]", "object")]
)
def test_a_line_that_is_not_genevals_is_named(prompts, tmp_path, line, problem):
    prompts.write_text(prompts.read_text() + line)
    with pytest.raises(ValueError, match=problem):
        geneval.draw(Model(), prompts, tmp_path / "out")


@pytest.mark.parametrize("text", ["[1]", "{", '{"a": {"id": "x"}}', '{"../a": {"id": "x", "prompt": "y"}}', '{"a": 1}'])
def test_a_file_that_is_not_imgedits_is_refused(text, tmp_path):
    (tmp_path / "edits.json").write_text(text)
    with pytest.raises(ValueError, match=r"edits\.json"):
        imgedit.edit(Model(), tmp_path / "edits.json", tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rows_that_are_not_gedits_are_refused(tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"key": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet.*instruction_language"):
        gedit.edit(Model(), tmp_path / "a.parquet", tmp_path)
    (tmp_path / "a.parquet").write_text("nothing")
    with pytest.raises(ValueError, match="broken parquet"):
        gedit.edit(Model(), tmp_path, tmp_path)
    with pytest.raises(ValueError, match="'de'"):
        gedit.edit(Model(), tmp_path, tmp_path, languages=["de"])


def test_the_verb_draws_and_edits_with_a_model(prompts, edits, dataset, tmp_path, tiny_folder, capsys):
    common = ["--model", str(tiny_folder), "--max-new-tokens", "24"]
    out = str(tmp_path / "g")
    assert main(["eval", "export", "geneval", str(prompts), "--out", out, "--samples", "1", *common]) == 0
    assert capsys.readouterr().out == f"{out}: 3 images made, 0 already there\n"
    assert Image.open(tmp_path / "g" / "00002" / "samples" / "0000.png").size == (96, 96)
    originals = ["--originals", str(tmp_path / "originals")]
    assert main(["eval", "export", "imgedit", str(edits), "--out", str(tmp_path / "i"), *originals, *common]) == 0
    out = str(tmp_path / "e")
    assert main(["eval", "export", "gedit", str(dataset), "--out", out, "--languages", "en", *common]) == 0
    assert Image.open(tmp_path / "e" / "fullset" / "subject-add" / "en" / "en0.png").size == (120, 80)
    assert capsys.readouterr().out.count("2 images made") == 2
    assert main(["eval", "export", "imgedit", str(edits), "--out", str(tmp_path / "i")]) == 2
    assert main(["eval", "export", "geneval", str(tmp_path / "none"), "--out", str(tmp_path / "i")]) == 2
    assert "--originals" in (err := capsys.readouterr().err) and "there is no" in err
