"""The data source of the tasks: which images have a plan."""

import random

import pytest

from seedx.data.formats.plain import messages
from seedx.messages import Image
from seedx_stickers.layout import plan
from seedx_stickers.training.source import units


def conversations(kind, n=6):
    (unit,) = units(kind, 1, "test")
    for _, (_, record) in zip(range(n), unit.read(), strict=False):
        yield messages(record, random.Random(0))


def images_of(role, conversation):
    return [part for m in conversation if m.role == role for part in m.content if isinstance(part, Image)]


@pytest.mark.parametrize("kind", ["draw", "grammar:draw:scattered", "wish", "grammar:follow_up", "pretrain"])
def test_what_is_drawn_from_words_alone_has_the_plan_of_its_scene(kind):
    drawn = [image for conversation in conversations(kind) for image in images_of("assistant", conversation)]
    assert drawn and all(image.plan == plan(image.image) != "" for image in drawn)


@pytest.mark.parametrize("kind", ["edit", "grammar:edit", "try_on"])
def test_an_edit_has_none(kind):
    for conversation in conversations(kind):
        (image,) = images_of("assistant", conversation)
        assert image.plan == "" and not any(given.plan for given in images_of("user", conversation))
