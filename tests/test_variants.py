"""What each model is sent, against the forms of the release's scripts, and which part of it draws.

The ids are compared with those of a reference on sentencepiece alone (prompt_forms.py), which is itself compared with
what transformers 4.30.2 gave.
"""

import dataclasses
import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest
import torch

from no_denoising import noting
from prompt_forms import FORMS, INST, SP, reference, written
from seedx import config, prompt, tokenizer
from seedx.checkpoint import native
from seedx.checkpoint.parts import Model
from seedx.config import TilingConfig
from seedx.errors import SeedxError, SeedxWarning
from seedx.inference import image_decoder
from seedx.inference.engine import Engine, Request
from seedx.inference.events import Answer, ImageEvent
from seedx.inference.generate import Generation
from seedx.inference.pipeline import Pipeline
from seedx.inference.reply import Reply
from seedx.inference.settings import Settings
from seedx.messages import Box, Image, Text, assistant, system, user
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.tiling import BICUBIC, Tiles, one_tile, thumbnail, to_tensor
from seedx.variants import VARIANTS, variant_of
from small import SMALL as WITH_SPARE_IDS
from small import TOKENIZER

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "golden"
WORDS = tokenizer.load(TOKENIZER)
LANGUAGE = dataclasses.replace(WITH_SPARE_IDS.language, vocab_size=WORDS.vocab_size)
SMALL = dataclasses.replace(WITH_SPARE_IDS, language=LANGUAGE)
QUERIES = SMALL.bridge.queries
ODD = ("a cat", "  a  cat ", "a\tcat\n", "\n\nWhat is it?", "", " [who] ", "Ça \N{SNOWMAN} 3", "cat\n ")


class Sized(SimpleNamespace):
    """Stands for a picture of a size."""


@pytest.fixture
def asked(monkeypatch):
    """A function of a variant that gives its pipeline and, when a verb is called, the requests that reach the model."""

    def make(variant):
        sizes = dataclasses.replace(SMALL.language, context=4096)
        made = dataclasses.replace(SMALL, variant=variant, tiling=TilingConfig(), language=sizes)
        detokenizer = SimpleNamespace(vae=SimpleNamespace(factor=8))
        model = SimpleNamespace(config=made, tokenizer=WORDS, detokenizer=detokenizer, has_stage=lambda condition: True)
        engine, requests = Engine(model), []
        reply = Reply((Text("ok"), Image(PIL.Image.new("RGB", (1, 1)))))
        monkeypatch.setattr(engine, "open_picture", lambda picture: picture)
        monkeypatch.setattr(engine, "reply", lambda given: requests.extend(given) or [reply] * len(given))
        return Pipeline(engine), requests

    def no_pixels(picture, tiling):
        count = prompt.count_tiles(picture, tiling)
        return Tiles(torch.zeros(count, 3, 1, 1), torch.zeros(count, 2))

    monkeypatch.setattr(prompt, "tiles_of", no_pixels)
    return make


def ids_of(pipeline, request):
    """The ids that the model reads, `<img>` included where the reply is to start with it."""
    row = pipeline.engine.row_request(request)
    return row.prompt.ids.tolist() + ([WORDS.specials.image_start] if row.settings.drawing == "now" else [])


def call(pipeline, verb, picture, text):
    match verb:
        case "chat":
            pipeline.chat(text, [picture])
        case "caption":
            pipeline.caption(picture)
        case "draw":
            pipeline.draw(text)
        case _:
            getattr(pipeline, verb)(picture, text)


def test_the_reference_gives_the_ids_of_the_release():
    rows = json.loads((GOLDEN / "i_llama_tokenizer.json").read_text())["rows"]
    assert len(rows) >= 30
    for row in rows:
        assert reference(row["text"]) == row["ids"], row["text"]


@pytest.mark.parametrize(("variant", "verb"), FORMS)
def test_every_verb_sends_the_form_that_the_model_was_trained_on(variant, verb, asked):
    pipeline, requests = asked(variant)
    rows = json.loads((GOLDEN / "f_any_res.json").read_text())["rows"][:200]
    for row in rows:
        call(pipeline, verb, Sized(size=row["size"]), "a cat")
        columns, lines = (1, 1) if variant == "seed_x_edit" else row["release"][:2]
        text = FORMS[variant, verb].format(img=written(columns * lines), q="a cat")
        text = text.replace("find the a cat", "find a cat")  # a phrase with an article keeps its own
        assert ids_of(pipeline, requests[-1]) == [SP.bos_id(), *reference(text)], row["size"]
    assert len(requests) == 200


@pytest.mark.parametrize(("variant", "verb"), [form for form in FORMS if form[1] != "caption" and form[0] != "tiny"])
def test_odd_white_space_is_kept_or_lost_as_in_the_release(variant, verb, asked):
    pipeline, requests = asked(variant)
    for q in ODD:
        if not q.strip():
            with pytest.raises(SeedxError, match="the prompt is empty"):
                call(pipeline, verb, Sized(size=(9, 9)), q)
            continue
        call(pipeline, verb, Sized(size=(9, 9)), q)
        text = FORMS[variant, verb].format(img=written(1), q=q)
        assert ids_of(pipeline, requests[-1]) == [SP.bos_id(), *reference(text)], q


def test_two_pictures_and_two_turns(asked):
    one, wide = Sized(size=(9, 9)), Sized(size=(900, 400))
    for variant, grid in (("seed_x_i", 2), ("seed_x_edit", 1)):
        pipeline, requests = asked(variant)
        pipeline.chat("Which one?", [one, wide])
        text = INST.format(img=written(1) + written(grid), q="Which one?")
        assert ids_of(pipeline, requests[-1]) == [SP.bos_id(), *reference(text)]

        turns = [user(Image(wide), "Add a hat."), assistant("Here. ", Image(wide)), user(" Now a cat.")]
        pipeline.reply_batch([turns])
        first, then = (
            INST.format(img=written(grid), q="Add a hat."),
            "\n" + INST.format(img=written(grid), q=" Now a cat."),
        )
        expected = reference(first) + reference("Here. " + written(0)) + reference(then)
        assert ids_of(pipeline, requests[-1]) == [SP.bos_id(), *expected]
    pipeline, requests = asked("seed_x")
    pipeline.reply_batch([[user("What?"), assistant("A cat."), user("Which?")]])
    expected = reference("Question: What?\nAnswer:") + reference("A cat.") + reference("\nQuestion: Which?\nAnswer:")
    assert ids_of(pipeline, requests[-1]) == [SP.bos_id(), *expected]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_session_adds_the_ids_that_the_whole_conversation_has(variant, asked):
    engine = asked(variant)[0].engine
    wide = Sized(size=(900, 400))
    turns = [user(Image(wide), "Add a hat."), assistant("Here.", Image(wide)), user(Image(wide), "And this?")]
    whole = engine.prompt(Request(turns)).ids.tolist()
    added = engine.prompt(Request(turns, state=object())).ids.tolist()
    assert whole[-len(added) :] == added
    first = engine.prompt(Request(turns[:1])).ids.tolist()
    answer = [*WORDS.encode("Here."), *WORDS.specials.image(QUERIES)]
    assert whole == [*first, *answer, *added]


def test_any_case_of_the_user_reads_alike_where_the_variant_folds_it(asked):
    pipeline, requests = asked("folded")
    pipeline.reply_batch([[user(text), assistant("A Cat."), user("And?")] for text in ("What IS it?", "what is it?")])
    pipeline.reply_batch([[user("What is it?"), assistant("a cat."), user("AND?")]])
    one, other, answered = (ids_of(pipeline, request) for request in requests[-3:])
    texts = ("[INST] what is it? [/INST]\n", "A Cat.", "\n[INST] and? [/INST]\n")
    assert one == other == [SP.bos_id(), *(token for text in texts for token in reference(text))]
    assert answered != one  # what the model said stays as it is


def test_boxes_that_the_user_gives_are_bare_or_in_brackets(asked):
    box = "<box_start><loc-112><loc-112><loc-223><loc-223><box_end>"
    for variant, text in (("tiny", f"What is the dog {box}?"), ("seed_x_i", f"What is the dog [[ {box} ]]?")):
        pipeline, requests = asked(variant)
        pipeline.reply_batch([[user("What is the ", Box((0, 0, 1, 1), "dog"), "?")]])
        assert ids_of(pipeline, requests[-1]) == [SP.bos_id(), *reference(f"[INST] {text} [/INST]\n")]


def test_settings_reach_the_row(asked):
    pipeline, requests = asked("seed_x_i")
    picture = Sized(size=(9, 9))
    pipeline.draw("a cat", drawing="now", release_suppression=True)
    pipeline.chat("hello", release_suppression=False)
    pipeline.story("a cat", frames=1, drawing="now")
    pipeline.ground(picture, "a cat")
    rows = [pipeline.engine.row_request(request).settings for request in requests]
    assert [row.drawing for row in rows] == ["now", "auto", "now", "forbid"]
    assert [row.release_suppression for row in rows] == [True, False, False, False]


def test_a_variant_is_known_and_old_configs_have_ours(tmp_path):
    values = config.to_dict(SMALL)
    del values["variant"]
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert native.read_config(tmp_path).variant == "tiny"
    with pytest.raises(SeedxError, match=r"unknown variant 'seed_x_ii'; did you mean 'seed_x_i'\?"):
        variant_of(dataclasses.replace(SMALL, variant="seed_x_ii"))


@pytest.fixture(scope="module")
def modules():
    """A language model, and a de-tokenizer of each stage with the same autoencoder."""
    torch.manual_seed(0)
    sizes = [dataclasses.replace(SMALL.detokenizer, condition=condition) for condition in (False, True)]
    first, second = (Detokenizer(each, SMALL.vision.output_dim).eval() for each in sizes)
    first.vae = second.vae
    return SeedX(SMALL).eval(), first, second


@pytest.fixture
def drawn(modules, monkeypatch):
    """A function of a variant that gives a pipeline, and what `Denoising` was given: stage, and whether a condition."""
    seedx, first, second = modules
    calls = []

    stage = lambda detokenizer: "second" if detokenizer.config.condition else "first"  # noqa: E731
    monkeypatch.setattr(image_decoder, "Denoising", noting(calls, stage))

    def make(variant, both=True, main="second"):
        chosen, other = (second, first) if main == "second" else (first, second)
        made = dataclasses.replace(
            SMALL,
            variant=variant,
            tiling=TilingConfig(tile=28),
            detokenizer=dataclasses.replace(SMALL.detokenizer, condition=main == "second"),
        )
        model = Model(made, seedx, chosen, WORDS, (lambda: other) if both else None)
        return Pipeline(Engine(model)), calls

    return make


SHORT = {"max_new_tokens": QUERIES + 2}
PICTURE = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8))


@pytest.mark.parametrize("main", ["first", "second"])
def test_the_stage_that_draws_is_the_one_of_the_release(drawn, main):
    pipeline, calls = drawn("seed_x_i", main=main)
    pipeline.draw("a cat", **SHORT)
    pipeline.chat("a cat", [PICTURE], drawing="force", **SHORT)
    pipeline.reconstruct(PICTURE)
    pipeline.reconstruct(PICTURE, PICTURE)
    pipeline.session().send("a cat", PICTURE, drawing="now", **SHORT)
    assert calls == [("first", False), ("first", False), ("first", False), ("second", True), ("first", False)]
    calls.clear()
    pipeline, calls = drawn("seed_x_edit", main=main)
    pipeline.edit(PICTURE, "a cat", **SHORT)
    pipeline.chat("a cat", [PICTURE], drawing="force", **SHORT)
    pipeline.edit(PICTURE, "a cat", condition=False, **SHORT)
    pipeline.draw("a cat", **SHORT)
    assert calls == [("second", True), ("second", True), ("first", False), ("first", False)]
    calls.clear()
    pipeline, calls = drawn("tiny", main=main)
    pipeline.draw("a cat", **SHORT)
    pipeline.edit(PICTURE, "a cat", **SHORT)
    assert calls == [("second", False), ("second", True)]


def test_a_model_that_was_not_trained_to_edit_does_so_only_if_told(drawn):
    pipeline, calls = drawn("seed_x_i")
    with pytest.raises(SeedxError, match=r"SEED-X-I was not trained to edit pictures: .* condition=True"):
        pipeline.edit(PICTURE, "a cat", **SHORT)
    with pytest.warns(SeedxWarning, match="SEED-X-I was not trained to edit"):
        pipeline.edit(PICTURE, "a cat", condition=True, **SHORT)
    assert calls == [("second", True)]


def test_a_condition_needs_the_second_stage(drawn):
    pipeline, calls = drawn("seed_x_edit", both=False, main="first")
    for verb in (
        lambda: pipeline.edit(PICTURE, "a cat", **SHORT),
        lambda: pipeline.chat("a cat", [PICTURE], condition=True, **SHORT),
        lambda: pipeline.reconstruct(PICTURE, PICTURE),
    ):
        with pytest.raises(SeedxError, match="second stage of the de-tokenizer"):
            verb()
    pipeline.chat("a cat", [PICTURE], drawing="force", **SHORT)  # as far as the model can
    assert calls == [("first", False)]
    pipeline, calls = drawn("seed_x_i", both=False)
    with pytest.warns(SeedxWarning, match="SEED-X-I draws by the first stage"):
        pipeline.draw("a cat", **SHORT)
    assert calls[1:] == [("second", False)]


def test_a_size_stretches_the_condition(drawn, monkeypatch):
    pipeline, _ = drawn("seed_x_edit")
    seen = []
    second = pipeline.model.stage(True)
    monkeypatch.setattr(second, "condition", lambda pixels: seen.append(pixels) or torch.zeros(1, 4, 8, 8))
    assert pipeline.edit(PICTURE, "a cat", size=(16, 16), **SHORT).size == (16, 16)
    assert seen[0].equal(to_tensor(PICTURE.resize((16, 16), BICUBIC), (0.5,) * 3, (0.5,) * 3)[None])


def test_reconstruction_reads_its_picture_as_the_model_was_trained(drawn, monkeypatch):
    for variant, read in (("seed_x_edit", one_tile), ("tiny", thumbnail)):
        decoder = drawn(variant)[0].engine.image_decoder
        monkeypatch.setattr(decoder, "_features", lambda pixels: pixels)
        assert decoder.encode([PICTURE]).equal(read(PICTURE, 28)[None])
    assert not one_tile(PICTURE, 28).equal(thumbnail(PICTURE, 28))


def events_of(pipeline, request, tokens=(), monkeypatch=None):
    """The whole answer; its sampled tokens are `tokens`."""
    script = iter(tokens)
    if tokens:
        monkeypatch.setattr(Generation, "_sampled", lambda self, rows, logits: [next(script) for _ in rows])
    answer = Answer()
    for _, event in pipeline.engine.respond([request]):
        answer.add(event)
    return answer


def test_now_starts_the_reply_with_an_image(drawn, monkeypatch):
    pipeline, _ = drawn("seed_x_i")
    eos, span = WORDS.specials.eos, WORDS.specials.image(QUERIES)
    request = Request([user("a cat")], Settings(max_new_tokens=12), "now")
    answer = events_of(pipeline, request, [*WORDS.encode("ok"), eos], monkeypatch)
    assert answer.ids == [*span, *WORDS.encode("ok"), eos]
    assert isinstance(answer.parts[0], ImageEvent) and answer.text.strip() == "ok"
    short = dataclasses.replace(request, settings=Settings(max_new_tokens=len(span) - 1))
    with pytest.raises(SeedxError, match=f"an image takes {len(span)} tokens"):
        events_of(pipeline, short)


def test_now_draws_what_a_prompt_that_ends_in_img_draws(drawn):
    pipeline, _ = drawn("seed_x")
    row = pipeline.engine.row_request(Request([system("a cat")], Settings(max_new_tokens=8), "now"))
    opened = dataclasses.replace(
        row.prompt, ids=torch.cat([row.prompt.ids, torch.tensor([WORDS.specials.image_start])])
    )
    same = dataclasses.replace(row, prompt=opened, settings=dataclasses.replace(row.settings, drawing="auto"))
    generation = pipeline.engine.generation()
    generation.join([row, same])
    one, other = (event.states for _, event in generation.step() if isinstance(event, ImageEvent))
    torch.testing.assert_close(one, other)


def test_the_box_that_the_prompt_opened_is_in_the_reply(drawn, monkeypatch):
    pipeline, _ = drawn("seed_x")
    locs, specials = WORDS.specials.locs, WORDS.specials
    box = [locs[112], locs[112], locs[223], locs[112], specials.box_end]
    closing, opening = WORDS.encode("]]"), WORDS.encode("and a star [[")
    script = [*box, *closing, *opening, specials.box_start, *box, *closing, specials.eos]
    it = iter(script)
    monkeypatch.setattr(Generation, "_sampled", lambda self, rows, logits: [next(it) for _ in rows])
    boxes = pipeline.ground(PICTURE, "a dog", max_new_tokens=40)
    assert [(box.box, box.label) for box in boxes] == [((0, 0.25, 1, 0.75), "a dog"), ((0, 0.25, 1, 0.75), "a star")]
    it = iter(script)
    reply = pipeline.reply_batch([[pipeline.engine.turn("a dog", PICTURE, "ground")]], max_new_tokens=40)[0]
    assert len(reply.boxes) == 2 and reply.text == "and a star"


def test_the_page_shows_what_the_code_gives():
    page = (ROOT / "docs" / "reference" / "variants.md").read_text(encoding="utf-8")
    table = runpy.run_path(str(ROOT / "docs" / "make_variants.py"))["table"]()
    assert table in page, "python docs/make_variants.py writes the table"
    assert all(f"`{name}`" in table for name, variant in VARIANTS.items() if variant.language)
