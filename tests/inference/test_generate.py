"""Answers of the small model of a golden case, whose head was fitted to draw when asked to."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch

from seedx import tokenizer as tokenizers
from seedx.inference.generate import Answer, End, ImageFeatures, Options, Prompt, Session, Text, generate, stream
from seedx.inference.sampling import sample, suppress
from seedx.inference.text_stream import TextStream
from seedx.verify import build
from seedx.verify.answer_case import prompt_of
from seedx.verify.case import read_case

GOLDEN = Path(__file__).parents[1] / "golden"
CASE = read_case(GOLDEN, "d_generate")
TOKENIZER = tokenizers.load(GOLDEN / "tokenizer")
SPECIALS = TOKENIZER.specials
QUERIES = CASE.facts["config"]["num_img_tokens"]
PROMPTS = {name: prompt_of(CASE, name) for name in CASE.facts["inputs"] if name != "processor"}
DRAW, READ = PROMPTS["two_images"], PROMPTS["comprehension"]


@pytest.fixture(scope="module")
def model():
    return build.seedx(CASE).eval()


def with_eos_for(model, token):
    """A model that ends where the given one would say `token`."""
    model = copy.deepcopy(model)
    head = model.language.llm.lm_head.weight.data
    head[SPECIALS.eos] = 1.01 * head[token]
    return model


def assert_same(one: Answer, other: Answer) -> None:
    assert (one.ids, one.reason, one.text) == (other.ids, other.reason, other.text)
    assert len(one.images) == len(other.images)
    for a, b in zip(one.images, other.images, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        Options(max_new_tokens=45),
        Options(max_new_tokens=45, images="force"),
        Options(max_new_tokens=30, temperature=1.5, top_p=0.9, seed=[3, 1, 4, 1, 5, 9]),
    ],
    ids=["greedy", "force", "sampled"],
)
def test_batch_gives_what_each_prompt_gives_alone(model, options):
    prompts = list(PROMPTS.values())
    assert len({len(prompt.ids) for prompt in prompts}) > 3
    model = with_eos_for(model, token=TOKENIZER.encode("<loc-19>")[0])  # some rows end early
    together = generate(model, TOKENIZER, prompts, options)
    assert {answer.reason for answer in together} == {"stop", "length"}
    assert any(answer.images for answer in together)
    for i, (prompt, answer) in enumerate(zip(prompts, together, strict=True)):
        seed = options.seed if isinstance(options.seed, int) else options.seed[i]
        assert_same(generate(model, TOKENIZER, [prompt], dataclasses.replace(options, seed=seed))[0], answer)


def test_span_in_one_pass_equals_one_by_one(model):
    answer = generate(model, TOKENIZER, [DRAW], Options(max_new_tokens=45))[0]
    assert len(answer.images) >= 2
    ids = [*DRAW.ids, *answer.ids]
    cache, states = model.language.new_cache(), []
    with torch.no_grad():
        for position, token in enumerate(ids):
            embeds = model.language.embed(torch.tensor([[token]]))
            states.append(model.language.states(embeds, torch.tensor([[position]]), cache)[0, 0])
        starts = [i + 1 for i, token in enumerate(ids) if token == SPECIALS.image_start]
        for start, image in zip(starts, answer.images, strict=True):
            features = model.draw_features(torch.stack(states[start : start + QUERIES])[None])[0]
            torch.testing.assert_close(image, features, atol=1e-4, rtol=0)


def test_images_forbidden_or_forced(model):
    assert generate(model, TOKENIZER, [DRAW], Options(max_new_tokens=45))[0].images
    forbidden = generate(model, TOKENIZER, [DRAW], Options(max_new_tokens=45, images="forbid"))[0]
    assert not forbidden.images and SPECIALS.image_start not in forbidden.ids

    assert not generate(model, TOKENIZER, [READ], Options(max_new_tokens=30))[0].images
    forced = generate(model, TOKENIZER, [READ], Options(max_new_tokens=30, images="force"))[0]
    assert len(forced.images) == 1 and len(forced.ids) == 30

    ends_early = with_eos_for(model, token=forced.ids[2])
    in_place_of_eos = generate(ends_early, TOKENIZER, [READ], Options(max_new_tokens=30, images="force"))[0]
    assert in_place_of_eos.ids[:3] == [*forced.ids[:2], SPECIALS.image_start] and in_place_of_eos.reason == "stop"


def test_no_image_is_begun_without_room_for_it(model):
    answer = generate(model, TOKENIZER, [DRAW], Options(max_new_tokens=QUERIES + 1))[0]
    assert len(answer.ids) == QUERIES + 1 and not answer.images and SPECIALS.image_start not in answer.ids
    with pytest.raises(ValueError, match="an image takes 18 tokens"):
        generate(model, TOKENIZER, [READ], Options(max_new_tokens=QUERIES + 1, images="force"))
    with pytest.raises(ValueError, match="an image takes 17 tokens"):
        generate(model, TOKENIZER, [PROMPTS["edit"]], Options(max_new_tokens=QUERIES))


def test_events_in_order(model):
    events = list(stream(model, TOKENIZER, [DRAW], Options(max_new_tokens=45)))
    kinds = [type(event) for _, event in events]
    assert kinds[-1] is End and kinds.count(End) == 1 and kinds.count(ImageFeatures) >= 2 and Text in kinds
    answer = generate(model, TOKENIZER, [DRAW], Options(max_new_tokens=45))[0]
    assert events[-1][1].ids == answer.ids
    span = SPECIALS.image(QUERIES)
    said = [token for token in answer.ids if token not in span]
    assert answer.text == TOKENIZER.decode(said) and said


def test_text_comes_in_whole_characters(model):
    class Bytes:
        specials = SPECIALS

        def decode(self, ids):
            return bytes(ids).decode(errors="replace")

    text = "naïve 🐈 x"
    whole, cut = TextStream(Bytes()), TextStream(Bytes())
    assert "".join(whole.push(byte) for byte in text.encode()) + whole.flush() == text
    assert [cut.push(byte) for byte in "ï".encode()[:1]] == [""] and cut.flush() == "\N{REPLACEMENT CHARACTER}"


def test_session_reads_only_what_is_new(model, monkeypatch):
    """Two turns of two rows with a session: the answers of the whole conversations, at the price of the new tokens."""
    first, options = [DRAW, READ], Options(max_new_tokens=37)
    session = Session.start(model, rows=2)
    answers = generate(model, TOKENIZER, first, options, session)
    more = [Prompt(TOKENIZER.encode("\n[INST] And now? [/INST]\n")), Prompt(TOKENIZER.encode("\n[INST] x [/INST]\n"))]

    passes, states = [], model.language.states
    monkeypatch.setattr(model.language, "states", lambda x, *rest: passes.append(x.shape[1]) or states(x, *rest))
    continued = generate(model, TOKENIZER, more, options, session)
    assert passes[0] == max(len(prompt.ids) for prompt in more) + 1  # and the last token of the answer before
    monkeypatch.undo()

    for before, answer, after, now in zip(first, answers, more, continued, strict=True):
        ids = [*before.ids, *answer.ids, *after.ids]
        read = [*(before.read_mask or []), *[False] * (len(ids) - len(before.ids))]
        alone = Prompt(ids, before.tiles, before.tile_positions, read)
        assert_same(generate(model, TOKENIZER, [alone], options)[0], now)


def test_an_answer_that_ends_with_a_picture_leaves_its_last_token_to_the_next_turn(model):
    session, room = Session.start(model), Options(max_new_tokens=QUERIES + 1)
    first = Prompt([*DRAW.ids, SPECIALS.image_start])
    answer = generate(model, TOKENIZER, [first], room, session)[0]
    assert len(answer.images) == 1 and answer.reason == "length"
    assert session.pending == [[SPECIALS.image_end]] and session.lengths == [len(first.ids) + QUERIES]
    more = TOKENIZER.encode("\n[INST] And now? [/INST]\n")
    continued = generate(model, TOKENIZER, [Prompt(more)], Options(max_new_tokens=12), session)[0]
    ids = [*first.ids, *answer.ids, *more]
    alone = Prompt(ids, read_mask=[False] * len(ids))
    assert_same(generate(model, TOKENIZER, [alone], Options(max_new_tokens=12))[0], continued)


def test_session_goes_on_after_a_stream_was_closed(model):
    session, events = Session.start(model), []
    running = stream(model, TOKENIZER, [READ], Options(max_new_tokens=12), session)
    for _, event in running:
        events.append(event)
        if len(events) == 3:
            running.close()
    held = session.lengths[0] + len(session.pending[0])
    assert len(READ.ids) < held < len(READ.ids) + 12
    rest = generate(model, TOKENIZER, [Prompt([])], Options(max_new_tokens=12 - (held - len(READ.ids))), session)[0]
    whole = generate(model, TOKENIZER, [READ], Options(max_new_tokens=12))[0]
    assert whole.ids[held - len(READ.ids) :] == rest.ids


def test_sampling_is_reproducible(model):
    def ids(seed):
        options = Options(max_new_tokens=20, temperature=2.0, seed=seed, images="forbid")
        return [answer.ids for answer in generate(model, TOKENIZER, [READ, READ], options)]

    assert ids(7) == ids(7) and ids(7)[0] == ids(7)[1]
    assert ids([7, 8])[0] == ids(7)[0] != ids([7, 8])[1]


def test_sample_follows_the_chances_within_top_p():
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log()
    draws = (torch.arange(1000) + 0.5) / 1000
    counts = torch.bincount(sample(logits.expand(1000, -1), 1.0, draws), minlength=4)
    assert counts.tolist() == [100, 500, 150, 250]
    counts = torch.bincount(sample(logits.expand(1000, -1), 0.7, draws), minlength=4)
    assert counts.tolist() == [0, 667, 0, 333]
    assert sample(logits[None], 1e-6, torch.tensor([0.999])).item() == 1


def test_suppressed_tokens_never_win():
    """All other logits are very low: the release's rule lets a placeholder win, ours does not."""
    logits = torch.full((1, 423), -100.0)
    assert suppress(logits, SPECIALS, QUERIES, release=True).argmax().item() in SPECIALS.image(QUERIES)
    ours = suppress(logits, SPECIALS, QUERIES)
    spans = {*SPECIALS.placeholders, SPECIALS.image_end, SPECIALS.patch_start, SPECIALS.patch_end}
    assert spans < set(ours.isinf().nonzero()[:, 1].tolist())
    assert ours[0, SPECIALS.image_start].isfinite() and ours[0, SPECIALS.eos].isfinite()


def test_answer_ends_at_the_context(model):
    context = model.config.language.context
    prompt = Prompt([5] * (context - 3))
    answer = generate(model, TOKENIZER, [prompt], Options(max_new_tokens=50))[0]
    assert answer.reason == "length" and len(answer.ids) == 3


def test_users_mistakes(model):
    def error(match, prompts, **options):
        with pytest.raises(ValueError, match=match):
            generate(model, TOKENIZER, prompts, Options(**options))

    error("prompt 1 is empty", [DRAW, Prompt([])])
    error("has 512 tokens, but the context holds 512", [Prompt([5] * 512)])
    error("prompt 0 has 2 tiles", [dataclasses.replace(READ, tiles=READ.tiles[:2])])
    error("2 prompts need a seed of as many rows, not 3", [DRAW, READ], seed=[1, 2, 3])
    error("top_p in", [DRAW], top_p=0.0)
    error("max_new_tokens is at least 1", [DRAW], max_new_tokens=0)
    error('images is "auto"', [DRAW], images="always")
    with pytest.raises(ValueError, match="1 prompts need a session of as many rows, not 2"):
        generate(model, TOKENIZER, [DRAW], Options(), Session.start(model, 2))
