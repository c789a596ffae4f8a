"""Answers of the small model of a golden case, whose head was fitted to draw when asked to."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import pytest
import torch

from seedx import tokenizer as tokenizers
from seedx.engines.compiled import StaticPasses
from seedx.engines.torch_runner import TorchRunner
from seedx.errors import SeedxError
from seedx.inference.events import Answer, EndEvent, ImageEvent, TextEvent
from seedx.inference.generate import Generation
from seedx.inference.generate import generate as generate_rows
from seedx.inference.rows import Prompt, RowRequest, SamplingSettings
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


def generate(model, prompts, **settings):
    return generate_rows(model, TOKENIZER, [RowRequest(prompt, SamplingSettings(**settings)) for prompt in prompts])


def ids_of(ids):
    return Prompt(torch.tensor(ids, dtype=torch.int64))


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


SETTINGS = {
    "greedy": [SamplingSettings(max_new_tokens=45)] * 6,
    "force": [SamplingSettings(max_new_tokens=45, drawing="force")] * 6,
    "sampled": [
        SamplingSettings(max_new_tokens=30, temperature=1.5, top_p=0.9, seed=seed) for seed in (3, 1, 4, 1, 5, 9)
    ],
    "each its own": [
        SamplingSettings(max_new_tokens=45, drawing="forbid"),
        SamplingSettings(max_new_tokens=30, temperature=1.5, seed=3),
        SamplingSettings(max_new_tokens=20, drawing="force"),
        SamplingSettings(max_new_tokens=25, temperature=0.7, top_p=0.5, seed=8),
        SamplingSettings(max_new_tokens=45),
        SamplingSettings(max_new_tokens=22, release_suppression=True),
    ],
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_batch_gives_what_each_prompt_gives_alone(model, kind):
    assert len({len(prompt.ids) for prompt in PROMPTS.values()}) > 3
    model = with_eos_for(model, token=TOKENIZER.encode("<loc-19>")[0])  # some rows end early
    requests = [RowRequest(prompt, each) for prompt, each in zip(PROMPTS.values(), SETTINGS[kind], strict=True)]
    together = generate_rows(model, TOKENIZER, requests)
    assert {answer.reason for answer in together} == {"stop", "length"}
    assert any(answer.images for answer in together)
    for request, answer in zip(requests, together, strict=True):
        assert_same(generate_rows(model, TOKENIZER, [request])[0], answer)


@pytest.mark.parametrize(("prompt_limit", "static"), [(None, False), (5, False), (None, True), (5, True)])
def test_rows_join_and_leave_between_passes(model, prompt_limit, static):
    """Rows that join at other passes, long prompts read in pieces and a row that is aborted change no reply."""
    model = with_eos_for(model, token=TOKENIZER.encode("<loc-19>")[0])
    requests = [
        RowRequest(prompt, each) for prompt, each in zip(PROMPTS.values(), SETTINGS["each its own"], strict=True)
    ]
    runner = TorchRunner(model.language, static=StaticPasses(model.language, compiled=False) if static else None)
    generation, answers, numbers = Generation(model, TOKENIZER, runner), {}, {}
    (aborted,) = generation.join([RowRequest(READ, SamplingSettings(max_new_tokens=45))])
    waiting = dict(enumerate(requests))
    for passes in range(500):
        if waiting and passes % 3 == 0:
            number = min(waiting)
            (row,) = generation.join([waiting.pop(number)])
            numbers[row], answers[number] = number, Answer()
        if passes == 4:
            generation.leave(aborted)
        for row, event in generation.step(prompt_limit):
            if row is not aborted:
                answers[numbers[row]].add(event)
                if isinstance(event, EndEvent):
                    generation.leave(row)
        if not generation.rows and not waiting:
            break
    assert not generation.rows and not generation.runner.rows
    for number, request in enumerate(requests):
        assert_same(generate_rows(model, TOKENIZER, [request])[0], answers[number])


@pytest.mark.parametrize("static", [False, True])
def test_a_row_continues_elsewhere(model, static):
    """A row that was taken out among others continues in another batch as if it had stayed."""
    static = StaticPasses(model.language, compiled=False) if static else None
    first, second = SamplingSettings(max_new_tokens=20), SamplingSettings(max_new_tokens=25)
    generation = Generation(model, TOKENIZER, TorchRunner(model.language, static=static))
    row, other = generation.join([RowRequest(DRAW, first), RowRequest(READ, SamplingSettings(max_new_tokens=60))])
    while row.running:
        generation.step()
    state = generation.leave(row, keep=True)
    while other.running:
        generation.step()
    more = ids_of(TOKENIZER.encode("\n[INST] And now? [/INST]\n"))
    generation.leave(other)
    elsewhere = Generation(model, TOKENIZER, TorchRunner(model.language, static=static))
    elsewhere.join([RowRequest(READ, second)])
    (continued,) = elsewhere.join([RowRequest(more, second, state)])
    while continued.running:
        elsewhere.step()
    ids = [*DRAW.ids.tolist(), *row.new, *more.ids.tolist()]
    read = torch.cat([DRAW.read_mask, torch.zeros(len(ids) - len(DRAW.ids), dtype=torch.bool)])
    whole = Prompt(torch.tensor(ids), DRAW.tiles, DRAW.tile_positions, read)
    assert continued.new == generate(model, [whole], max_new_tokens=25)[0].ids


def test_the_last_of_many_rows_keeps_no_memory_of_the_others(model):
    generation = Generation(model, TOKENIZER, TorchRunner(model.language))
    rows = generation.join([RowRequest(prompt) for prompt in (READ, DRAW) * 3])
    generation.step()
    for row in rows[1:]:
        generation.leave(row)
    kept = generation.leave(rows[0], keep=True).read.content
    tensors = [*kept.keys, *kept.values]
    held = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}
    assert sum(held.values()) <= 2 * sum(each[:, : rows[0].length].nbytes for each in tensors)


def test_single_tokens_keep_their_shapes_and_memory(model, monkeypatch):
    """On a static cache: whatever the lengths of its rows, and from one reply to the next."""
    static, seen = StaticPasses(model.language, compiled=False), set()
    run = static.run

    def watched(embeds, positions, cache, first, starts):
        mask = cache.place(positions, first, starts)
        seen.add((embeds.shape, mask.shape, cache.keys[0].data_ptr()))
        return run(embeds, positions, cache, first, starts)

    monkeypatch.setattr(static, "run", watched)
    for prompts in ([READ, DRAW], [DRAW, READ]):
        generation = Generation(model, TOKENIZER, TorchRunner(model.language, static=static))
        rows = generation.join([RowRequest(each, SamplingSettings(max_new_tokens=12)) for each in prompts])
        while all(row.running for row in rows):
            generation.step()
        for row in rows:
            generation.leave(row)
    ((embeds, mask, _),) = seen
    assert (embeds[:2], mask) == ((2, 1), (2, 1, 1, 256))


def test_span_in_one_pass_equals_one_by_one(model):
    answer = generate(model, [DRAW], max_new_tokens=45)[0]
    assert len(answer.images) >= 2
    ids = [*DRAW.ids.tolist(), *answer.ids]
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
    assert generate(model, [DRAW], max_new_tokens=45)[0].images
    forbidden = generate(model, [DRAW], max_new_tokens=45, drawing="forbid")[0]
    assert not forbidden.images and SPECIALS.image_start not in forbidden.ids

    assert not generate(model, [READ], max_new_tokens=30)[0].images
    forced = generate(model, [READ], max_new_tokens=30, drawing="force")[0]
    assert len(forced.images) == 1 and len(forced.ids) == 30

    ends_early = with_eos_for(model, token=forced.ids[2])
    in_place_of_eos = generate(ends_early, [READ], max_new_tokens=30, drawing="force")[0]
    assert in_place_of_eos.ids[:3] == [*forced.ids[:2], SPECIALS.image_start] and in_place_of_eos.reason == "stop"


def test_no_image_is_begun_without_room_for_it(model):
    answer = generate(model, [DRAW], max_new_tokens=QUERIES + 1)[0]
    assert len(answer.ids) == QUERIES + 1 and not answer.images and SPECIALS.image_start not in answer.ids
    with pytest.raises(ValueError, match="an image takes 18 tokens"):
        generate(model, [READ], max_new_tokens=QUERIES + 1, drawing="force")
    with pytest.raises(ValueError, match="an image takes 17 tokens"):
        generate(model, [PROMPTS["edit"]], max_new_tokens=QUERIES)


def test_events_in_order(model):
    generation, events = Generation(model, TOKENIZER, TorchRunner(model.language)), []
    (row,) = generation.join([RowRequest(DRAW, SamplingSettings(max_new_tokens=45))])
    while row.running:
        events += [event for _, event in generation.step()]
    kinds = [type(event) for event in events]
    assert kinds[-1] is EndEvent and kinds.count(EndEvent) == 1
    assert kinds.count(ImageEvent) >= 2 and TextEvent in kinds
    answer = generate(model, [DRAW], max_new_tokens=45)[0]
    assert events[-1].ids == answer.ids
    span = SPECIALS.image(QUERIES)
    words = [token for token in answer.ids if token not in span]
    assert answer.text == TOKENIZER.decode(words) and words


def test_text_comes_in_whole_characters(model):
    class Bytes:
        specials = SPECIALS

        def decode(self, ids):
            return bytes(ids).decode(errors="replace")

    text = "naïve 🐈 x"
    whole, cut = TextStream(Bytes()), TextStream(Bytes())
    assert "".join(whole.push(byte) for byte in text.encode()) + whole.flush() == text
    assert [cut.push(byte) for byte in "ï".encode()[:1]] == [""] and cut.flush() == "\N{REPLACEMENT CHARACTER}"


def conversation(model, prompts, states, **settings):
    """The answers of one turn of several rows, and their states after it."""
    requests = [
        RowRequest(prompt, SamplingSettings(**settings), state) for prompt, state in zip(prompts, states, strict=True)
    ]
    generation = Generation(model, TOKENIZER, TorchRunner(model.language))
    rows = generation.join(requests)
    answers = {row: Answer() for row in rows}
    while any(row.running for row in rows):
        for row, event in generation.step():
            answers[row].add(event)
    return list(answers.values()), [generation.leave(row, keep=True) for row in rows]


def test_a_state_holds_what_was_read(model, monkeypatch):
    """Two turns of two rows: the answers of the whole conversations, at the price of the new tokens."""
    first = [DRAW, READ]
    answers, states = conversation(model, first, [None, None], max_new_tokens=37)
    more = [ids_of(TOKENIZER.encode(text)) for text in ("\n[INST] And now? [/INST]\n", "\n[INST] x [/INST]\n")]

    passes, forward = [], model.language.states
    monkeypatch.setattr(model.language, "states", lambda x, *rest: passes.append(x.shape[1]) or forward(x, *rest))
    continued, _ = conversation(model, more, states, max_new_tokens=37)
    assert passes[0] == max(len(prompt.ids) for prompt in more) + 1  # and the last token of the answer before
    monkeypatch.undo()

    for before, answer, after, now in zip(first, answers, more, continued, strict=True):
        ids = torch.cat([before.ids, torch.tensor(answer.ids), after.ids])
        read = torch.cat([before.read_mask, torch.zeros(len(ids) - len(before.ids), dtype=torch.bool)])
        alone = Prompt(ids, before.tiles, before.tile_positions, read)
        assert_same(generate(model, [alone], max_new_tokens=37)[0], now)


def test_an_answer_that_ends_with_a_picture_leaves_its_last_token_to_the_next_turn(model):
    first = ids_of([*DRAW.ids.tolist(), SPECIALS.image_start])
    first = Prompt(first.ids, read_mask=torch.zeros(len(first.ids), dtype=torch.bool))
    (answer,), (state,) = conversation(model, [first], [None], max_new_tokens=QUERIES + 1)
    assert len(answer.images) == 1 and answer.reason == "length"
    assert state.pending == (SPECIALS.image_end,) and state.read.length == len(first.ids) + QUERIES
    more = TOKENIZER.encode("\n[INST] And now? [/INST]\n")
    (continued,), _ = conversation(model, [ids_of(more)], [state], max_new_tokens=12)
    ids = torch.tensor([*first.ids.tolist(), *answer.ids, *more])
    alone = Prompt(ids, read_mask=torch.zeros(len(ids), dtype=torch.bool))
    assert_same(generate(model, [alone], max_new_tokens=12)[0], continued)


def test_a_reply_that_was_aborted_continues(model):
    generation = Generation(model, TOKENIZER, TorchRunner(model.language))
    (row,) = generation.join([RowRequest(READ, SamplingSettings(max_new_tokens=12))])
    assert generation.leave(row, keep=True) is None  # nothing of its prompt was read
    (row,) = generation.join([RowRequest(READ, SamplingSettings(max_new_tokens=12))])
    for _ in range(4):
        generation.step()
    state = generation.leave(row, keep=True)
    held = state.read.length + len(state.pending) - len(READ.ids)
    assert 0 < held < 12
    (rest,), _ = conversation(model, [ids_of([])], [state], max_new_tokens=12 - held)
    assert generate(model, [READ], max_new_tokens=12)[0].ids[held:] == rest.ids


def test_sampling_is_reproducible(model):
    def ids(seed):
        answers = generate(model, [READ, READ], max_new_tokens=20, temperature=2.0, seed=seed, drawing="forbid")
        return [answer.ids for answer in answers]

    assert ids(7) == ids(7) and ids(7)[0] == ids(7)[1] != ids(8)[0]


def test_sample_follows_the_chances_within_top_p():
    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log()
    draws = (torch.arange(1000) + 0.5) / 1000
    counts = torch.bincount(sample(logits.expand(1000, -1), torch.ones(1000), draws), minlength=4)
    assert counts.tolist() == [100, 500, 150, 250]
    counts = torch.bincount(sample(logits.expand(1000, -1), torch.full((1000,), 0.7), draws), minlength=4)
    assert counts.tolist() == [0, 667, 0, 333]
    assert sample(logits[None], torch.tensor([1e-6]), torch.tensor([0.999])).item() == 1


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
    prompt = ids_of([5] * (context - 3))
    answer = generate(model, [prompt], max_new_tokens=50)[0]
    assert answer.reason == "length" and len(answer.ids) == 3


def test_users_mistakes(model):
    def error(match, prompts, **settings):
        with pytest.raises(SeedxError, match=match):
            generate(model, prompts, **settings)

    error("prompt 1 is empty", [DRAW, ids_of([])])
    error("has 512 tokens, but the context holds 512", [ids_of([5] * 512)])
    error("prompt 0 has 2 tiles", [dataclasses.replace(READ, tiles=READ.tiles[:2])])
    error("top_p in", [DRAW], top_p=0.0)
    error("max_new_tokens must be at least 1", [DRAW], max_new_tokens=0)
    error('drawing is "auto"', [DRAW], drawing="always")
    with pytest.raises(SeedxError, match="no adapter 'snow'"):
        generate_rows(model, TOKENIZER, [RowRequest(DRAW, adapter="snow")])


def test_a_reply_of_one_image_ends_with_it(model):
    one, more = generate_rows(
        model,
        TOKENIZER,
        [
            RowRequest(DRAW, SamplingSettings(max_new_tokens=45, drawing="now", one_image=each))
            for each in (True, False)
        ],
    )
    assert (one.reason, len(one.images), one.ids[-1]) == ("stop", 1, SPECIALS.image_end)
    assert one.ids == more.ids[: len(one.ids)] and len(more.ids) > len(one.ids)
    torch.testing.assert_close(one.images[0], more.images[0], atol=1e-5, rtol=1e-5)
