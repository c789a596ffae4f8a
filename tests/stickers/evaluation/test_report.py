"""The HTML report of the scores is self-contained and shows examples."""

import json
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from seedx.cli import main
from seedx_stickers.evaluation import ABILITIES
from seedx_stickers.evaluation.report import EACH, chosen


class Reader(HTMLParser):
    """Collects tags, pictures and words, and checks that what is opened is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.ids, self.cards, self.rows, self.words = [], [], [], 0, 0, []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in ("img", "meta"):
            self.open.append(tag)
        self.sources += [attributes["src"]] if "src" in attributes else []
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.cards += attributes.get("class", "").startswith("card") and "cards" not in attributes["class"]
        self.rows += tag == "tr"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def page(perfect, tmp_path_factory):
    file = perfect.report.write(tmp_path_factory.mktemp("report"), perfect.scores, "<tiny>")
    assert file.name == "index.html"
    reader = Reader()
    reader.feed(file.read_text(encoding="utf-8"))
    return reader


def test_it_is_well_formed_and_needs_nothing_else(page):
    assert page.open == []
    assert len(page.sources) > 100 and all(source.startswith("data:image/png;base64,") for source in page.sources)


def test_it_has_every_ability_with_its_examples_and_scores(page, perfect):
    assert page.ids == list(ABILITIES)
    assert page.cards == 4 * len(ABILITIES)  # there are four examples of each
    assert page.rows == 1 + sum(len(perfect.scores[ability]) for ability in ABILITIES)
    words = " ".join(page.words)
    assert "<tiny>" in words and "Baseline: copy of the picture." in words and "from the thumbnail" in words


def test_a_file_may_be_named(perfect, tmp_path):
    assert perfect.report.write(tmp_path / "new" / "scores.html", perfect.scores, "tiny").name == "scores.html"


def test_best_worst_and_others_are_apart():
    records = [SimpleNamespace(values={"done": float(i % 2), "psnr": float(i), "none": None}) for i in range(12)]
    found = chosen(records)
    assert found["Best"] == [records[11], records[9], records[7]]
    assert found["Worst"] == [records[0], records[2], records[4]]
    every = [record for some in found.values() for record in some]
    assert len(every) == 3 * EACH == len({id(record) for record in every})
    assert sum(map(len, chosen(records[:4]).values())) == 4
    assert [len(some) for some in chosen(records[:2]).values()] == [2, 0, 0]


def test_the_command_writes_scores_and_page(tiny_folder, tmp_path, capsys):
    options = ["--abilities", "boxes", "--shift", "jpeg", "--n", "1", "--json", "--html", str(tmp_path)]
    assert main(["eval", "stickers", "--model", str(tiny_folder), *options]) == 0
    shown = capsys.readouterr()
    scores = json.loads(shown.out)
    assert scores["shift"] == "jpeg"
    assert {"iou", "acc@iou0.5"} < scores["boxes"].keys() == scores["chance"]["boxes"].keys()
    assert str(tmp_path / "index.html") in shown.err and (tmp_path / "index.html").is_file()
