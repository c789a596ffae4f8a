"""Answers made without a model."""

import pytest

from seedx_stickers.evaluation import item_of
from seedx_stickers.evaluation.abilities import trained_item
from seedx_stickers.evaluation.baselines import COPY, MAJORITY, NEAREST, Pool, by_chance


@pytest.fixture(scope="module")
def questions():
    return Pool([trained_item(1, "questions", index) for index in range(60)])


@pytest.fixture(scope="module")
def drawings():
    return Pool([trained_item(1, "draw", index) for index in range(40)])


def test_what_training_has_is_never_unseen(questions, drawings):
    assert not any(item.example.unseen for item in questions.items + drawings.items)


def test_chance_answers_with_another_answer_of_the_type(questions):
    for index in range(12):
        item = item_of(1, "questions", index)
        given = by_chance(item, questions)
        of_type = {other.truth[0].text for other in questions.items if other.expected.type == item.expected.type}
        assert given[0].text in of_type and given == by_chance(item, questions)


def test_the_majority_is_the_commonest_answer_of_the_type(questions):
    item = next(item for item in questions.items if item.expected.type == "yes_no")
    answers = [other.expected.text for other in questions.items if other.expected.type == "yes_no"]
    assert MAJORITY.answer(item, questions)[0].text == max(("no", "yes"), key=answers.count)


def test_the_nearest_prompt_is_the_same_prompt_if_it_is_there(drawings):
    for item in drawings.items[:10]:
        assert drawings.nearest(item).prompt == item.prompt
    wish = item_of(3, "draw", 0)
    assert wish.example.kind == "wish" == drawings.nearest(wish).example.kind
    assert NEAREST.answer(wish, drawings)[0].images


def test_a_copy_is_the_last_picture_in_every_turn(drawings):
    item = item_of(1, "second_edits", 0)
    copies = COPY.answer(item, drawings)
    assert len(copies) == len(item.turns) == len(item.truth) > 1
    assert all(reply.images == [item.pictures[-1]] for reply in copies)
    fitting = item_of(1, "try_on", 0)
    assert COPY.answer(fitting, drawings)[0].images == [fitting.pictures[1]]
