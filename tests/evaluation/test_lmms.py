"""The model for lmms-eval: against what its interface asks of us, and, where it is installed, by its own command."""

import abc
import importlib
import json
import os
import re
import runpy
import subprocess
import sys
import types
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from PIL import Image

from seedx.batch import collate
from seedx.evaluation.likelihood import score
from seedx.images import open_image
from seedx.inference.reply import Reply
from seedx.messages import Box, Text, assistant, map_images, user
from seedx.messages import Image as Picture
from seedx.prompt import prepare
from seedx.tokens import box_to_text

ROOT = Path(__file__).parents[2]
INSTALLED = find_spec("lmms_eval") is not None
SHORT = {"max_new_tokens": 6, "temperature": 0}
DOCUMENTS = [
    {"image": Image.new("RGB", (40 + 30 * i, 50), colour), "question": f"what is this {i}?", "answer": f"a {colour}"}
    for i, colour in enumerate(("red", "green", "blue", "white"))
]


class Lmms(abc.ABC):
    """What lmms_eval/api/model.py has, as far as an evaluation uses it."""

    is_simple = True

    def __init__(self):
        self._rank, self._world_size, self.task_dict = 0, 1, {}

    @abc.abstractmethod
    def loglikelihood(self, requests): ...

    @abc.abstractmethod
    def generate_until(self, requests): ...

    @abc.abstractmethod
    def generate_until_multi_round(self, requests): ...

    @property
    def rank(self):
        return self._rank


@dataclass
class GenerationResult:
    """What lmms_eval/api/instance.py wraps a result in."""

    text: object


@dataclass(frozen=True)
class Manifest:
    """What lmms_eval/models/registry_v2.py asks for."""

    model_id: str
    simple_class_path: str
    chat_class_path: str


@pytest.fixture(scope="module")
def harness():
    """Our module, over lmms-eval itself or over what stands for it."""
    with pytest.MonkeyPatch.context() as patch:
        if not INSTALLED:
            for name in ("", ".api", ".api.model", ".api.instance", ".models", ".models.registry_v2"):
                patch.setitem(sys.modules, f"lmms_eval{name}", types.ModuleType(f"lmms_eval{name}"))
            sys.modules["lmms_eval.models.registry_v2"].ModelManifest = Manifest
            sys.modules["lmms_eval.api.model"].lmms = Lmms
            sys.modules["lmms_eval.api.instance"].GenerationResult = GenerationResult
        yield importlib.import_module("seedx.evaluation.lmms")
        sys.modules.pop("seedx.evaluation.lmms")


@pytest.fixture(scope="module")
def simple(harness, tiny_folder):
    return with_documents(harness.SeedX(str(tiny_folder), batch_size="3", device="cpu"))


@pytest.fixture(scope="module")
def chat(harness, tiny_folder):
    return with_documents(harness.SeedXChat(str(tiny_folder), batch_size=2, device="cpu"))


def with_documents(model):
    model.task_dict = {"colours": {"test": DOCUMENTS}}
    return model


def request(*args):
    return types.SimpleNamespace(args=args)


def asked(number, kwargs=SHORT):
    visual = lambda doc: [doc["image"]]  # noqa: E731
    return request(DOCUMENTS[number]["question"], kwargs, visual, number, "colours", "test")


def test_answers_are_those_of_chat_in_order(simple):
    """Of two kinds of settings, in batches of three, with and without a picture."""
    longer = {"max_new_tokens": 9, "do_sample": False, "temperature": 0.7, "num_beams": 1}
    requests = [asked(0), asked(1, longer), asked(2), asked(3), asked(3, longer), asked(1)]
    requests.append(request("hello", SHORT, None, 0, "colours", "test"))
    wanted = [
        simple.pipeline.chat(
            each.args[0],
            [DOCUMENTS[each.args[3]]["image"]] if each.args[2] else [],
            drawing="forbid",
            max_new_tokens=each.args[1]["max_new_tokens"],
        ).text
        for each in requests
    ]
    assert simple.generate_until(requests) == wanted
    assert len(set(wanted)) > 3


def test_messages_keep_their_order(chat):
    def messages(doc):
        text, picture = {"type": "text", "text": doc["question"]}, {"type": "image", "url": doc["image"]}
        return [{"role": "user", "content": [text, picture, text]}, {"role": "user", "content": [text, picture]}]

    picture, text = DOCUMENTS[2]["image"], DOCUMENTS[2]["question"]
    each = request("", messages, SHORT, 2, "colours", "test")
    assert chat.conversation(each) == [user(text, Picture(picture), text), user(Picture(picture), text)]
    each = request("", lambda doc: messages(doc)[:1], SHORT, 2, "colours", "test")
    (reply,) = chat.pipeline.reply_batch([[user(text, Picture(picture), text)]], drawing="forbid", max_new_tokens=6)
    assert chat.generate_until([each]) == [reply.text]
    with pytest.raises(ValueError, match="'video'"):
        chat.conversation(
            request("", lambda doc: [{"role": "user", "content": [{"type": "video"}]}], {}, 0, "colours", "test")
        )


def test_decoding_settings_of_a_task(harness):
    of = harness.Decoding.of
    assert of({}) == harness.Decoding(512, 0.0, 1.0, ())
    assert of({"until": "Q:", "do_sample": True, "top_p": None}) == harness.Decoding(512, 1.0, 1.0, ("Q:",))
    assert of({"until": ["", "\n\n"], "do_sample": False, "temperature": 1, "max_new_tokens": 9}) == harness.Decoding(
        9, 0.0, 1.0, ("\n\n",)
    )
    assert of({"until": ["b", "cd"]}).cut("a cd b") == "a "
    with pytest.raises(ValueError, match="beam search"):
        of({"num_beams": 5})


def test_boxes_are_written_as_tasks_read_them(harness):
    box = Box((0.25, 0.5, 0.75, 1.0))
    reply = Reply((Text("the cat " + box_to_text(box.box)),))
    assert harness.reply_text(reply) == "the cat [0.2500, 0.5000, 0.7500, 1.0000]"


def test_the_mean_loss_of_an_answer_is_that_of_training(simple):
    visual = lambda doc: [doc["image"]]  # noqa: E731
    requests = [
        request("what is this?", " a red car", visual, 0, "colours", "test"),
        request("what is it?", lambda doc: doc["answer"], visual, 1, "colours", "test"),
        request("hello", "two stars and a tree", None, 2, "colours", "test"),
        request("hello", "a tree", None, 2, "colours", "test"),
    ]
    conversations = [
        [user(Picture(DOCUMENTS[0]["image"]), "what is this?"), assistant("a red car")],
        [user(Picture(DOCUMENTS[1]["image"]), "what is it?"), assistant("a green")],
        [user("hello"), assistant("two stars and a tree")],
        [user("hello"), assistant("a tree")],
    ]
    model = simple.pipeline.model
    for result, messages in zip(simple.loglikelihood(requests), conversations, strict=True):
        row = prepare(map_images(messages, open_image), model.tokenizer, model.config)
        with torch.no_grad():
            losses = model.seedx(collate([row], model.tokenizer.specials.pad))
        assert result.text[0] == pytest.approx(float(losses.mean("text")), abs=1e-4)


def test_what_the_trained_model_says_is_greedy_and_likeliest():
    from seedx.inference import pipeline

    model = pipeline.load("tiny")
    picture, question = ROOT / "examples" / "beach.png", "what does the dog wear?"
    said = model.chat(question, [picture], drawing="forbid", max_new_tokens=16).text
    answers = [said, "a bow tie", "nothing", "a rocket"]
    scores = score(model, [[user(Picture(picture), question), assistant(answer)] for answer in answers])
    assert [greedy for _, greedy in scores] == [True, False, False, False]
    assert min(scores)[0] == scores[0][0]


def test_mistakes_are_told(harness, simple, tiny_folder):
    with pytest.raises(ValueError, match="'auto'"):
        harness.SeedX(str(tiny_folder), batch_size="auto")
    with pytest.raises(ValueError, match="'floaty'"):
        harness.SeedX(str(tiny_folder), dtype="floaty")
    with pytest.raises(ValueError, match="400 tokens"):
        simple.loglikelihood([request("hello", "a tree " * 400, None, 0, "colours", "test")])
    with pytest.raises(NotImplementedError, match="one round"):
        simple.generate_until_multi_round([])


def test_the_entry_point_names_both_classes(harness):
    text = (ROOT / "pyproject.toml").read_text()
    (value,) = re.findall(r'\[project\.entry-points\."lmms_eval\.models"\]\nseedx = "(.+)"', text)
    manifest = EntryPoint("seedx", value, "lmms_eval.models").load()()
    assert manifest.model_id == "seedx"
    for path, is_simple in ((manifest.simple_class_path, True), (manifest.chat_class_path, False)):
        module, name = path.rsplit(".", 1)
        assert module == harness.__name__ and getattr(harness, name).is_simple is is_simple


def test_the_example_is_made_again_the_same(tmp_path):
    make_data = runpy.run_path(str(ROOT / "examples" / "lmms_eval" / "make_data.py"))
    for folder in ("one", "other"):
        make_data["write"](tmp_path / folder)
    lines = (tmp_path / "one" / "metadata.jsonl").read_text().splitlines()
    assert lines == (tmp_path / "other" / "metadata.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 24 and len({record["type"] for record in records}) == 8
    for record in records:
        assert record["answer"] in record["choices"] and len(record["choices"]) >= 2
        assert Image.open(tmp_path / "one" / record["file_name"]).size >= (64, 64)


if INSTALLED:

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("task", "metric", "more"),
        [("stickers", "accuracy,none", []), ("stickers_choice", "acc,none", ["--force_simple"])],
    )
    def test_by_its_own_command(task, metric, more, tmp_path):
        subprocess.run([sys.executable, "examples/lmms_eval/make_data.py"], cwd=ROOT, check=True)
        command = ["-m", "lmms_eval", "--model", "seedx", "--model_args", "pretrained=tiny", "--tasks", task, *more]
        command += ["--include_path", "examples/lmms_eval", "--batch_size", "8", "--output_path", str(tmp_path)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
        subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=True)
        (file,) = tmp_path.rglob("*_results.json")
        assert json.loads(file.read_text())["results"][task][metric] > 0.7
