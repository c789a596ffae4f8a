"""Requests and beginnings of answers, for data sets that have pictures and captions but no conversation."""

from __future__ import annotations

import random

_DRAW = (
    "Draw {}",
    "Please draw a picture: {}",
    "Show me {}",
    "Create an image of {}",
    "I would like a picture of this: {}",
    "Paint {}",
    "Make an illustration: {}",
)
_DESCRIBE = (
    "Describe this image.",
    "What does the picture show?",
    "What do you see?",
    "Give a short caption for this picture.",
    "Tell me what is in the image.",
)
_HERE = (
    "Here is the picture.",
    "Here you are.",
    "Of course, here is the image.",
    "This is what I drew.",
    "I have made this picture for you.",
)
_LOCATE = (
    "Where is {}?",
    "Find {}.",
    "Point out {} in the image.",
    "Give the box around {}.",
)
_LOCATE_ALL = (
    "Find every {}.",
    "Point out each {} in the image.",
    "Give a box around every {}.",
)
_LIST = (
    "List the objects in this picture with their boxes.",
    "What is in the image, and where?",
    "Name the things that you see and give their boxes.",
)
_TRY_ON = (
    "Put these clothes on the person.",
    "Dress the person of the first picture in the garment of the second one.",
    "Show how this garment looks when the person wears it.",
)


def draw(rng: random.Random, caption: str) -> str:
    return rng.choice(_DRAW).format(caption)


def describe(rng: random.Random) -> str:
    return rng.choice(_DESCRIBE)


def here(rng: random.Random) -> str:
    return rng.choice(_HERE)


def locate(rng: random.Random, phrase: str) -> str:
    return rng.choice(_LOCATE).format(phrase)


def locate_all(rng: random.Random, kind: str) -> str:
    return rng.choice(_LOCATE_ALL).format(kind)


def list_objects(rng: random.Random) -> str:
    return rng.choice(_LIST)


def try_on(rng: random.Random) -> str:
    return rng.choice(_TRY_ON)
