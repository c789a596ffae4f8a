"""A model that plans an image before it draws. Its weights are set by hand, so that each token follows from the last:

the prompt's end -> x -> <plan> -> y -> <box_start> -> four numbers -> <box_end> -> </plan>, image -> end

All numbers of a box are equally likely.
"""

import dataclasses

import pytest
import torch

from seedx.checkpoint.parts import Model
from seedx.errors import SeedxError
from seedx.inference.engine import Engine, Request
from seedx.inference.events import Answer, EndEvent, ImageEvent
from seedx.inference.pipeline import Pipeline
from seedx.inference.rows import MAX_PLAN, PLAN_TOP_P
from seedx.inference.settings import Settings
from seedx.messages import Image, assistant, user
from seedx.model.seedx import SeedX
from seedx.prompt import encode
from seedx.serve.prefix_cache import PrefixCache, keys_of
from seedx.tokenizer import train_tokenizer
from seedx.tokens import text_to_boxes

HEAT = 20.0  # how much likelier what follows is than the end, which is next
QUERIES = 16


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["a cat and a dog"] * 9, 620, planned=True)


@pytest.fixture(scope="module")
def make(tiny, tokenizer):
    """A model in which other tokens follow than above."""

    def made(**changes):
        config = tiny.model.config
        config = dataclasses.replace(
            config, language=dataclasses.replace(config.language, vocab_size=tokenizer.vocab_size)
        )
        torch.manual_seed(0)
        seedx = SeedX(config).eval()
        rule_by_last_token(seedx.language.llm, follows(tokenizer) | changes, tokenizer.specials.eos)
        return Pipeline(Engine(Model(config, seedx, tiny.model.detokenizer, tokenizer)))

    return made


@pytest.fixture(scope="module")
def planner(make):
    return make()


def follows(tokenizer):
    """name -> (the tokens of that name, the name of what follows them)."""
    s = tokenizer.specials
    (x,), (y,), (end,) = (tokenizer.encode(text) for text in ("x", "y", "\n"))
    numbers = {f"number {i}": (s.locs[i * 56 : (i + 1) * 56], f"number {i + 1}") for i in range(3)}
    return {
        "end of prompt": ([tokenizer.encode_parts(["a"])[0], end], "text"),
        "text": ([x], "plan"),
        "plan": ([s.plan_start], "label"),
        "label": ([y], "box"),
        "box": ([s.box_start], "number 0"),
        **numbers,
        "number 3": (s.locs[168:], "box end"),
        "box end": ([s.box_end], "plan end"),
        "plan end": ([s.plan_end], "image end"),
        "image end": ([s.image_end], "end"),
        "end": ([s.eos], "end"),
    }


@torch.no_grad()
def rule_by_last_token(llm, rules, eos):
    for layer in llm.model.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    embed, head = llm.model.embed_tokens.weight, llm.lm_head.weight
    head.zero_()
    embed.zero_()
    names = list(rules)
    embed[:, names.index("end of prompt")] = 1.0  # all tokens but those named below
    head[eos] = 1.0
    for index, (name, (tokens, following)) in enumerate(rules.items()):
        if name != "end of prompt":
            embed[list(tokens)] = 0.0
            embed[list(tokens), index] = 1.0
        head[list(rules[following][0]), index] = HEAT


def answer(planner, prompt, drawing="auto", **settings):
    (answer,) = answers_to(planner, [Request([user(prompt)], Settings(**settings), drawing)])
    return answer


def answers_to(planner, requests):
    """Generated together."""
    answers = [Answer() for _ in requests]
    for index, event in planner.engine.respond(requests):
        answers[index].add(event)
    return answers


def test_a_plan_is_no_text_and_comes_with_its_image(planner):
    reply = planner.chat("a")
    assert reply.text == "x" and not reply.boxes and len(reply.images) == 1
    ((box,),) = reply.plans
    assert box.label == "y" and reply.content[1].plan.startswith("y<box_start>")


def test_a_greedy_reply_plans_other_places_with_other_seeds(planner):
    plans = [planner.chat("a", seed=seed).plans[0] for seed in (0, 0, 1, 2)]
    assert plans[0] == plans[1] and len({plan[0].box for plan in plans}) == 3


def test_only_the_likelier_numbers_of_a_box_are_sampled(planner):
    row = planner.engine.generation().checked(planner.engine.row_request(Request([user("a")], Settings(top_p=0.9))))
    s = row.specials
    before, inside, after = [], [s.box_start, s.locs[0]], [s.box_start, *s.locs[:4], s.box_end]
    assert row.sampling == (0.0, 0.9)
    sampled = []
    for row.plan in (before, inside, after):
        sampled.append(row.sampling)
    assert sampled == [(0.0, 0.9), (1.0, PLAN_TOP_P), (0.0, 0.9)]


def test_a_batch_gives_what_each_prompt_gives_alone(planner):
    each = [("a", "auto", 4), ("a a a a", "now", 5), ("a a", "force", 6), ("a", "forbid", 7)]
    requests = [Request([user(text)], Settings(seed=seed, temperature=0.7), drawing) for text, drawing, seed in each]
    for request, together in zip(requests, answers_to(planner, requests), strict=True):
        (alone,) = answers_to(planner, [request])
        assert (alone.ids, alone.text) == (together.ids, together.text)
        assert [part.plan for part in images_of(alone)] == [part.plan for part in images_of(together)]
        for one, other in zip(alone.images, together.images, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def images_of(answer):
    return [part for part in answer.parts if isinstance(part, ImageEvent)]


def test_forbidden_now_and_forced(planner, make, tokenizer):
    s = tokenizer.specials
    forbidden = answer(planner, "a", drawing="forbid")
    assert not forbidden.images and not {s.plan_start, s.image_start} & {*forbidden.ids}
    now = answer(planner, "a", drawing="now")
    assert now.text == "" and now.ids[0] == s.plan_start and len(now.images) == 1
    silent = make(text=([tokenizer.encode("x")[0]], "end"))
    assert not answer(silent, "a").images
    forced = answer(silent, "a", drawing="force")
    assert forced.text == "x" and forced.ids[1] == s.plan_start and len(forced.images) == 1


def test_an_image_is_never_begun_without_a_plan(make, tokenizer):
    s = tokenizer.specials
    hasty = make(text=([tokenizer.encode("x")[0]], "image"), image=([s.image_start], "end"))
    assert not answer(hasty, "a").images
    hasty = make(plan=([s.plan_start], "image"), image=([s.image_start], "end"))
    assert text_to_boxes(images_of(answer(hasty, "a"))[0].plan) == []


def test_a_plan_that_does_not_end_is_ended(make, tokenizer):
    s = tokenizer.specials
    endless = make(**{"box end": ([s.box_end], "label")})
    (plan,) = (part.plan for part in images_of(answer(endless, "a")))
    assert len(tokenizer.encode(plan)) == MAX_PLAN
    for room in (0, 3):
        short = answer(endless, "a", drawing="now", max_new_tokens=QUERIES + 4 + room)
        assert len(short.ids) == QUERIES + 4 + room and len(short.images) == 1
        assert short.ids[room + 1 : room + 3] == [s.plan_end, s.image_start]
    with pytest.raises(SeedxError, match="an image takes 20 tokens"):
        answer(endless, "a", drawing="force", max_new_tokens=QUERIES + 3)
    assert not answer(endless, "a", max_new_tokens=QUERIES + 4).images  # one is the text


def test_a_conversation_is_encoded_as_it_was_read(planner, tokenizer):
    """The plan is part of the history, so that a session and the conversation encoded anew have the same tokens."""
    chat = planner.session()
    reply = chat.send("a")
    told = answer(planner, "a")
    config = planner.model.config
    asked = encode([user("a")], tokenizer, config, for_generation=True)
    again = encode(chat.messages, tokenizer, config, tiles=[1], for_generation=True)
    assert again.input_ids.tolist() == [*asked.input_ids.tolist(), *told.ids[:-1]]
    assert chat._state.length == len(again)
    second = chat.send("b", seed=3)
    (anew,) = planner.reply_batch([[user("a"), assistant(*reply.content), user("b")]], seed=3)
    assert (second.text, second.plans) == (anew.text, anew.plans)
    assert second.images[0].tobytes() == anew.images[0].tobytes()


def test_a_client_that_leaves_the_plan_out_is_read_from_there(planner, tokenizer):
    """A server's clients send pictures without plans: the state is good for what comes before."""
    engine = planner.engine
    request = Request([user("a")], Settings())
    row, keys = engine.row_request(request), keys_of(engine.row_request(request).prompt)
    responses = engine.respond([request], keep_states=True)
    (ids,) = [event.ids for _, event in responses if isinstance(event, EndEvent)]
    cache = PrefixCache(1000)
    cache.put(torch.cat([row.prompt.ids, torch.tensor(ids)]).numpy(), len(keys), responses.states[0], None)
    drawn = planner.chat("a")
    bare = [Image(part.image) if isinstance(part, Image) else part for part in drawn.content]
    more = engine.prompt(Request(engine.open([user("a"), assistant(*bare), user("b")]), Settings()))
    known = cache.take(more, keys_of(more), None)
    assert known.length == len(keys) + 2  # x, <plan>


def test_an_aborted_plan_is_no_part_of_the_state(planner):
    generation = planner.engine.generation()
    (row,) = generation.join([planner.engine.row_request(Request([user("a")]))])
    while row.plan is None or len(row.plan) < 3:
        generation.step()
    state = generation.leave(row, keep=True)
    prompt = encode([user("a"), assistant("x")], planner.model.tokenizer, planner.model.config, for_generation=True)
    assert state.length == len(prompt)


def test_a_plan_is_learnt_with_its_image(planner, tokenizer):
    plan = "y<box_start><loc-1><loc-2><loc-3><loc-4><box_end>"
    config = planner.model.config
    encoded = encode([user("a"), assistant("x", Image("", plan=plan))], tokenizer, config, tiles=[1])
    learnt = [token for token in encoded.labels.tolist() if token >= 0]
    assert tokenizer.decode(learnt) == f"x<plan>{plan}</plan><img></s>"
    empty = encode([user("a"), assistant("x", Image(""))], tokenizer, config, tiles=[1])
    assert tokenizer.decode([token for token in empty.labels.tolist() if token >= 0]) == "x<plan></plan><img></s>"


def test_a_vocabulary_without_plans_knows_none(tiny):
    plain, planned = (
        encode([user("a"), assistant(Image("", plan=plan))], tiny.model.tokenizer, tiny.model.config, tiles=[1])
        for plan in ("", "y<box_start><loc-1><loc-2><loc-3><loc-4><box_end>")
    )
    assert plain.input_ids.tolist() == planned.input_ids.tolist()
    assert tiny.model.tokenizer.specials.plan_start is None
