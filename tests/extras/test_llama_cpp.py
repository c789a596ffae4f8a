"""The engine llama_cpp on the bundled model, whose weights are stored in half precision: against torch, and against
itself in other batches."""

from __future__ import annotations

import dataclasses
import random
import sys

import numpy as np
import pytest
import torch

import seedx
from random_adapters import language_updates
from replies import requests
from seedx import cli
from seedx.checkpoint import llama_cpp, native
from seedx.checkpoint.adapters import Adapter, sampled, write_adapter
from seedx.engines.llama_context import SEQUENCES
from seedx.engines.llama_runner import LlamaRunner
from seedx.engines.runner import RunnerState
from seedx.engines.torch_runner import TorchRunner
from seedx.errors import ContextFullError, MissingPackageError, SeedxError
from seedx.inference.engine import Request
from seedx.inference.events import Answer, EndEvent
from seedx.inference.settings import Settings
from seedx.model.lora import LoraSwitch, Update
from small import load_with_steps

EXAMPLES = requests.EXAMPLES
DRAWINGS = tuple(prompt for prompt, _ in requests.DRAW)
QUESTIONS = tuple((prompt, tuple(EXAMPLES / file for file in files)) for prompt, *files in requests.CHAT)


def rms(one, other):
    """In levels of a pixel."""
    return float(np.sqrt(np.square(one.astype(float) - other).mean()))


@pytest.mark.slow
def test_every_verb_replies_as_by_torch(folders):
    """Questions, boxes, drawings, edits, stories, a slide, a batch and sessions, whose replies by torch are on file."""
    recorded, found = requests.read(), requests.replies(load_with_steps(requests.STEPS, folders / "f16"))
    assert len(recorded) >= 50 and recorded.keys() == found.keys()
    for name, each in recorded.items():
        assert (each.text, each.boxes) == (found[name].text, found[name].boxes), name
        for ours, theirs in zip(each.pictures, found[name].pictures, strict=True):
            assert rms(ours, theirs) < 1, name


def features(model, prompts):
    """The regressed features (N, Kp, D) of one image each."""
    turns = [Request([model.engine.turn(prompt, verb="draw")], drawing="force") for prompt in prompts]
    answers = [Answer() for _ in turns]
    for index, event in model.engine.respond(turns):
        answers[index].add(event)
    return torch.stack([answer.images[0] for answer in answers])


@pytest.mark.parametrize(("kind", "least"), [("f16", 0.9999), ("q8_0", 0.99)])
def test_features_are_those_of_torch(folders, by_torch, kind, least):
    expected, found = features(by_torch, DRAWINGS), features(seedx.load(folders / kind), DRAWINGS)
    cosine = torch.nn.functional.cosine_similarity(expected, found, dim=-1)
    assert cosine.shape == (len(DRAWINGS), by_torch.model.config.vision.pooled)
    assert float(cosine.min()) > least
    changed = torch.nn.functional.cosine_similarity(expected, expected.roll(1, 0), dim=-1)
    assert float(changed.mean()) < 0.9  # another picture's


def test_four_bits_answer_and_draw(folders):
    model = seedx.load(folders / "q4_0", repack=False)
    assert model.chat("what does the dog wear?", [EXAMPLES / "beach.png"]).text == "sunglasses"
    assert model.draw("draw a cat on the beach", steps=2).size == (96, 96)


def test_no_weights_of_the_language_model_are_loaded(by_llama):
    parameters = dict(by_llama.model.seedx.named_parameters())
    assert {name.startswith("language.") for name, each in parameters.items() if each.is_meta} == {True}
    assert not any(each.is_meta for name, each in parameters.items() if not name.startswith("language."))


def assert_same(one, other):
    assert (one.ids, one.reason, one.text) == (other.ids, other.reason, other.text)
    for ours, theirs in zip(one.images, other.images, strict=True):
        torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0.02)


def mixed(model):
    """Requests of all kinds, each with settings of its own."""
    turns = [model.engine.turn(prompt, images) for prompt, images in QUESTIONS]
    turns += [model.engine.turn(prompt) for prompt in DRAWINGS]
    settings = [Settings(max_new_tokens=40, temperature=0.8 * (i % 3 == 2), seed=i) for i in range(len(turns))]
    return [model.engine.row_request(Request([turn], each)) for turn, each in zip(turns, settings, strict=True)]


def alone(model, request):
    answer, generation = Answer(), model.engine.generation()
    (row,) = generation.join([request])
    while row.running:
        for _, event in generation.step():
            answer.add(event)
    generation.leave(row)
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_rows_that_join_and_leave_at_random_are_as_alone(by_llama, seed):
    rng, waiting = random.Random(seed), mixed(by_llama)
    expected = [alone(by_llama, request) for request in waiting]
    order = rng.sample(range(len(waiting)), len(waiting))
    generation, answers, numbers, aborted = by_llama.engine.generation(), {}, {}, []
    most = 0
    while order or generation.rows:
        while order and rng.random() < 0.4:
            number = order.pop()
            (row,) = generation.join([waiting[number]])
            numbers[row], answers[number] = number, Answer()
        if rng.random() < 0.1:
            aborted += generation.join([rng.choice(waiting)])
        if aborted and rng.random() < 0.2:
            generation.leave(aborted.pop(rng.randrange(len(aborted))))
        most = max(most, len(generation.rows))
        for row, event in generation.step(rng.choice([None, 30])):
            if row in numbers:
                answers[numbers[row]].add(event)
                if isinstance(event, EndEvent):
                    generation.leave(row)
        if not order and not any(row in numbers for row in generation.rows):
            for row in aborted:
                generation.leave(row)
    assert most > 3 and not generation.runner.rows
    for number, answer in answers.items():
        assert_same(answer, expected[number])


def read(runner, row, ids, wanted=1):
    with torch.inference_mode():
        return runner.forward([row], [runner.embed(torch.tensor(ids))], [wanted])[0], runner.logits([row])[0]


IDS = [int(i) for i in torch.randint(3, 2000, (40,), generator=torch.Generator().manual_seed(1))]


def test_a_row_rewinds(by_llama):
    runner = by_llama.engine.generation().runner
    row, other, fresh = runner.open_row(), runner.open_row(), runner.open_row()
    read(runner, row, IDS[:12])
    read(runner, row, IDS[12:30])
    read(runner, other, IDS[::-1])
    row.length = 12
    found = read(runner, row, IDS[30:], 5)
    read(runner, fresh, IDS[:12])
    expected = read(runner, fresh, IDS[30:], 5)
    assert row.length == 22 and found[0].shape == (5, 256)
    for ours, theirs in zip(expected, found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    by_torch = TorchRunner(seedx.load("tiny").model.seedx.language)
    states, logits = read(by_torch, by_torch.open_row(), IDS[:12] + IDS[30:], 5)
    torch.testing.assert_close(found[0], states, atol=0.05, rtol=0.02)
    assert int(logits.argmax()) == int(found[1].argmax())


def test_a_state_continues_elsewhere_whole_or_in_part(by_llama):
    first = by_llama.engine.generation().runner
    row, stays = first.open_row(), first.open_row()
    read(first, stays, IDS[20:])
    read(first, row, IDS[:10])
    read(first, row, IDS[10:25])
    state = first.close_row(row, keep=True)
    expected = read(first, first.open_row(state), IDS[25:])
    for again in range(2):  # a turn that was aborted leaves the state as it was
        elsewhere = by_llama.engine.generation().runner
        for _ in range(again):
            read(elsewhere, elsewhere.open_row(), IDS[:3])
        continued = elsewhere.open_row(state)
        assert continued.length == 25
        for ours, theirs in zip(expected, read(elsewhere, continued, IDS[25:]), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    part = elsewhere.open_row(RunnerState(10, state.content))
    whole = elsewhere.open_row()
    read(elsewhere, whole, IDS[:10])
    for ours, theirs in zip(read(elsewhere, whole, IDS[30:]), read(elsewhere, part, IDS[30:]), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_a_state_of_another_engine_is_refused(by_llama, by_torch):
    runner = by_llama.engine.generation().runner
    row = runner.open_row()
    read(runner, row, IDS)
    state = runner.close_row(row, keep=True)
    torch_runner = TorchRunner(by_torch.model.seedx.language)
    torch_row = torch_runner.open_row()
    read(torch_runner, torch_row, IDS)
    with pytest.raises(SeedxError, match="the engine that made it"):
        torch_runner.open_row(state)
    with pytest.raises(SeedxError, match="the engine that made it"):
        runner.open_row(torch_runner.close_row(torch_row, keep=True))
    assert not runner.rows


def test_cells_grow_with_the_rows(by_llama):
    """Rows of 250 tokens each, until the first context has been replaced by larger ones several times."""
    runner = by_llama.engine.generation().runner
    ids = (IDS * 7)[:250]
    rows, sizes = [runner.open_row() for _ in range(8)], set()
    for count, row in enumerate(rows, 1):
        read(runner, row, ids[count:] + ids[:count])
        sizes.add(runner._context.cells)
    assert len(sizes) > 2
    found = [read(runner, row, IDS[:6], 3) for row in rows]
    for count, row in enumerate(rows, 1):
        single = by_llama.engine.generation().runner
        one = single.open_row()
        read(single, one, ids[count:] + ids[:count])
        for ours, theirs in zip(read(single, one, IDS[:6], 3), found[count - 1], strict=True):
            torch.testing.assert_close(ours, theirs, atol=5e-3, rtol=5e-3)
        runner.close_row(row)


def test_no_context_is_held_without_rows(by_llama):
    model, runner = by_llama.engine.llama, by_llama.engine.generation().runner
    row = runner.open_row()
    read(runner, row, IDS)
    context = runner._context
    runner.close_row(row)
    assert runner._context is None and model._idle == [context]
    row = runner.open_row()
    fresh = read(runner, row, IDS)
    assert runner._context is context and not model._idle
    runner.close_row(row)
    other = LlamaRunner(model)
    for ours, theirs in zip(fresh, read(other, other.open_row(), IDS), strict=True):
        torch.testing.assert_close(ours, theirs, atol=0, rtol=0)


def test_a_full_context_and_too_many_rows_are_errors(by_llama):
    runner = by_llama.engine.generation().runner
    row = runner.open_row()
    with pytest.raises(ContextFullError, match="1025 tokens are more than the context of 1024"):
        read(runner, row, (IDS * 26)[:1025])
    assert row.length == 0
    with pytest.raises(ContextFullError, match="shorten the text"):
        by_llama.chat("cat " * 2000)
    for _ in range(SEQUENCES - 1):
        runner.open_row()
    with pytest.raises(SeedxError, match=f"at most {SEQUENCES} requests"):
        runner.open_row()


def test_a_session_keeps_its_state_and_drops_an_aborted_turn(by_llama, by_torch):
    sessions = [model.session() for model in (by_llama, by_torch)]
    for session in sessions:
        session.send("how many things are there?", [EXAMPLES / "meadow.png"])
        stream = session.stream("describe the picture")
        next(stream)
        stream.close()  # keeps what came until then
    texts = [
        [session.send(text).text for text in ("what is right of the cat?", "find the tree")] for session in sessions
    ]
    assert texts[0] == texts[1]
    with pytest.raises(SeedxError):
        sessions[0].send("cat " * 2000)
    assert sessions[0].send("find the cat").boxes == sessions[1].send("find the cat").boxes


def test_a_file_of_ones_own_in_another_folder(folders, tmp_path, capsys):
    file = tmp_path / "mine.gguf"
    file.write_bytes((folders / "q8_0" / native.GGUF).read_bytes())
    arguments = ["what does the dog wear?", "--images", str(EXAMPLES / "beach.png")]
    assert cli.main(["chat", *arguments, "--gguf", str(file), "--engine", "llama_cpp", "--threads", "1"]) == 0
    assert capsys.readouterr().out.strip() == "sunglasses"
    assert cli.main(["chat", *arguments, "--model", str(folders / "q8_0"), "--no-repack"]) == 0
    assert capsys.readouterr().out.strip() == "sunglasses"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "llama"}, "engine is torch, llama_cpp, not 'llama'"),
        ({"engine": "llama_cpp"}, "seedx convert .* --gguf q8_0"),
        ({"gguf": "none.gguf"}, "there is no GGUF file 'none.gguf'"),
        ({"engine": "torch", "gguf": "none.gguf"}, "run by the engine llama_cpp, not torch"),
    ],
)
def test_what_does_not_fit_is_said(options, message):
    with pytest.raises(SeedxError, match=message):
        seedx.load("tiny", **options)


def test_a_folder_without_weights_for_torch(folders, by_llama, tmp_path):
    with pytest.raises(SeedxError, match="language model as GGUF, which the engine llama_cpp runs"):
        seedx.load(folders / "f16", engine="torch")
    with pytest.raises(SeedxError, match="copy the model's folder"):
        by_llama.save(tmp_path / "out")
    with pytest.raises(SeedxError, match="threads is a whole number of at least 1, not -2"):
        seedx.load(folders / "f16", threads=-2)


def test_a_file_of_other_sizes_is_refused(folders, tmp_path):
    config = native.read_config(folders / "f16")
    for file in (folders / "f16").iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "config.json").unlink()
    native.write_config(dataclasses.replace(config, language=dataclasses.replace(config.language, heads=4)), tmp_path)
    with pytest.raises(SeedxError, match=r"llama.attention.head_count must be 4.*not 8"):
        seedx.load(tmp_path)


def test_a_missing_package_names_make_llama(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    llama_cpp.package.cache_clear()
    with pytest.raises(MissingPackageError, match="`make llama` builds"):
        seedx.load(folders / "f16")


def test_each_row_has_its_own_adapter(folders):
    """Against torch: its rows of one pass have different adapters, llama.cpp's are read one adapter after the other."""
    by_torch, by_llama = seedx.load("tiny"), seedx.load(folders / "f16")
    llm = by_torch.model.seedx.language.llm
    updates = {name: language_updates(llm, seed) for seed, name in enumerate(("winter", "night"))}
    for name, each in updates.items():
        by_llama.engine.llama.add_adapter(name, each)
    runners = TorchRunner(by_torch.model.seedx.language, LoraSwitch(llm, updates)), LlamaRunner(by_llama.engine.llama)
    adapters, found = ("night", None, "winter", "night", None), []
    for runner in runners:
        rows = [runner.open_row(adapter=adapter) for adapter in adapters]
        with torch.inference_mode():
            embeds = [runner.embed(torch.tensor(IDS[i:])) for i in range(len(rows))]
            states = runner.forward(rows, embeds, [3, 3, 10, 1, 3])
            found.append((states, runner.logits(rows)))
    for ours, theirs in zip(found[0][0], found[1][0], strict=True):
        torch.testing.assert_close(theirs, ours, atol=0.05, rtol=0.02)
    torch.testing.assert_close(found[1][1], found[0][1], atol=0.1, rtol=0.02)
    assert (found[0][1][0] - found[0][1][1]).abs().max() > 1  # the adapters change much
    state = runners[1].close_row(rows[0], keep=True)
    with pytest.raises(SeedxError, match="continues with the adapter"):
        runners[1].open_row(state, adapter="winter")
    assert runners[1].open_row(state, adapter="night").length == len(IDS)
    with pytest.raises(SeedxError, match="there is no adapter 'summer' here; loaded are: winter, night"):
        runners[1].open_row(adapter="summer")


def test_an_adapter_is_loaded_with_the_model(folders, by_torch, tmp_path):
    llm = by_torch.model.seedx.language.llm
    write_adapter(tmp_path / "winter", "language", language_updates(llm, 3, size=2), llm)
    asked = ("describe the picture", [EXAMPLES / "meadow.png"])
    plain = seedx.load(folders / "q8_0").chat(*asked, drawing="forbid", max_new_tokens=9).text
    texts = []
    for name in ("tiny", folders / "f16", folders / "q8_0"):
        by_llama = seedx.load(name, adapter=tmp_path / "winter")
        told = {"drawing": "forbid", "max_new_tokens": 9}
        texts.append([by_llama.chat(*asked, adapter=adapter, **told).text for adapter in (None, "base")])
    assert texts[0] == texts[1] == texts[2] and texts[0][0] != texts[0][1] == plain
    with pytest.raises(SeedxError, match="merged into a GGUF file"):
        by_llama.merge_adapter("winter")
    other = {"language": [each + 1 for each in sampled("language", llm)]}
    header = Adapter("other", {"language": language_updates(llm, 3)}, other)
    with pytest.raises(SeedxError, match="was trained on another model"):
        header.check_sampled("language", by_llama.engine.llama.sampled(), 0.1)


def test_an_adapter_that_does_not_fit_is_refused(folders):
    model = seedx.load(folders / "f16").engine.llama
    name = "model.layers.0.mlp.down_proj.weight"
    with pytest.raises(SeedxError, match="the adapter 'wrong' does not fit this model"):
        model.add_adapter("wrong", {name: Update(torch.zeros(2, 30), torch.zeros(256, 2), 1.0)})
    with pytest.raises(SeedxError, match="the adapter 'wrong' does not fit this model"):
        model.add_adapter("wrong", {name.replace(".0.", ".9."): Update(torch.zeros(2, 704), torch.zeros(256, 2), 1.0)})
    with pytest.raises(SeedxError, match="no layer of a Llama"):
        model.add_adapter(
            "wrong", {"model.layers.0.attention.weight": Update(torch.zeros(2, 4), torch.zeros(4, 2), 1.0)}
        )
    assert not model.adapters
