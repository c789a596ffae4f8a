"""Text-rich pictures: one to three signs with words or numbers between the stickers, and questions about them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from itertools import pairwise

from seedx_stickers.art import BACKGROUNDS
from seedx_stickers.scenes import TILE, Scene, Sticker, box, free, held_out, is_unseen, place_of, sample
from seedx_stickers.signs import PANELS, Sign, sign_box
from seedx_stickers.tasks.questions import MARGIN
from seedx_stickers.tasks.reading import other_size, pick_names
from seedx_stickers.tasks.words import at, called, joined

Turn = tuple[str, str]

_VOCABULARY = """
OPEN CLOSED EXIT STOP SALE HELLO WELCOME CAFE BAKERY SCHOOL HOTEL BANK TAXI BUS PARK ZOO FARM SHOP POST LIBRARY MUSEUM
TRAIN STATION AIRPORT BEACH HARBOUR BRIDGE TOWER GARDEN FOREST LAKE RIVER NORTH SOUTH EAST WEST LEFT RIGHT PUSH PULL HOT
COLD FRESH MILK BREAD COFFEE TEA SOUP FRUIT HONEY SUGAR SALT CHEESE PIZZA PASTA FISH LUNCH DINNER FREE NEW BIG BEST WIN
GO SLOW FAST WAIT QUIET DANGER FIRE WATER HELP DOCTOR TOYS BOOKS MUSIC CINEMA DANCE SPORT START FINISH TODAY MONDAY
FRIDAY SUNDAY SUMMER WINTER SPRING HAPPY LOVE PEACE HOME FUN PARTY CAMP RACE TEAM
"""
WORDS = tuple(_VOCABULARY.split())
HEIGHTS = (0.15, 0.24)  # of a sign, in fractions of the shorter side
LONGEST = 7  # letters

READ = (
    "what does the sign say?",
    "what is written on the sign?",
    "read the sign",
    "what is written here?",
    "which word do you see?",
    "what text is in the picture?",
    "can you read the sign?",
)
READ_AT = (
    "what is written {at}?",
    "what does the sign {at} say?",
    "read the sign {at}",
    "which text is {at}?",
    "what text do you see {at}?",
)
NUMBER = (
    "which number do you see?",
    "what number is on the sign?",
    "what is the number in the picture?",
    "read the number",
    "tell me the number",
)
NEXT_TO = (
    "what does the sign next to the {x} say?",
    "what is written near the {x}?",
    "what does the sign by the {x} say?",
    "read the sign beside the {x}",
)
WORD_YES_NO = (
    "does a sign say {word}?",
    "is the word {word} in the picture?",
    "do you see the word {word}?",
    "is {word} written somewhere?",
    "can you read {word} here?",
)
WORD_WHERE = (
    "where is the word {word}?",
    "where is {word} written?",
    "where do you read {word}?",
    "in which part of the picture is the word {word}?",
)
READ_ALL = (
    "read all signs",
    "what do the signs say?",
    "read everything that is written",
    "which texts are in the picture?",
    "list all that is written",
)


def text(rng: random.Random) -> str:
    """A word of the vocabulary, or, three times in ten, a number up to 99."""
    return str(rng.randrange(100)) if rng.random() < 0.3 else rng.choice(WORDS)


def with_sign(rng: random.Random, scene: Scene, words: str, heights: tuple[float, float] = HEIGHTS) -> Scene | None:
    """The scene with a sign at a free place; None if no such place was found."""
    for _ in range(40):
        sign = Sign(words, 0.5, 0.5, rng.uniform(*heights), rng.choice(list(PANELS)))
        x0, y0, _, _ = sign_box(sign, scene.width, scene.height)
        if min(x0, y0) < 0.01:
            continue
        half_wide, half_high = 0.51 - x0, 0.51 - y0
        x, y = rng.uniform(half_wide, 1 - half_wide), rng.uniform(half_high, 1 - half_high)
        sign = dataclasses.replace(sign, x=x, y=y)
        if free(scene, sign_box(sign, scene.width, scene.height), margin=0.01):
            return dataclasses.replace(scene, signs=(*scene.signs, sign))
    return None


def signed_scene(rng: random.Random, unseen: bool | None = False, any_size: float = 0.3) -> Scene:
    """One to three signs with different texts, and none to two stickers.

    Args:
        any_size: the probability that the size of the scene is not one tile.
    """
    while True:
        size = other_size(rng) if rng.random() < any_size else (TILE, TILE)
        background = rng.choice(list(BACKGROUNDS))
        scene = Scene(*size, background, ())
        texts: set[str] = set()
        while len(texts) < rng.choices((1, 2, 3), (0.5, 0.35, 0.15))[0]:
            texts.add(text(rng))
        if unseen is False and any(held_out(word, background) for word in texts):
            continue
        with_signs: Scene | None = scene
        for word in sorted(texts):
            with_signs = with_signs and with_sign(rng, with_signs, word)
        if with_signs is None:
            continue
        scene = _with_stickers(rng, with_signs, avoid=unseen is False)
        if unseen in (None, is_unseen(scene)):
            return scene


def _with_stickers(rng: random.Random, scene: Scene, avoid: bool) -> Scene:
    names = pick_names(rng, rng.choice((0, 1, 1, 2)), scene.background, avoid)
    for name in names:
        for _ in range(10):
            size = (scene.width, scene.height)
            (sticker,) = sample(rng, size, 1, scene.background, [name], (0.22, 0.42), unseen=None).stickers
            if free(scene, box(scene, sticker), margin=0.01):
                scene = scene.with_stickers(*scene.stickers, sticker)
                break
    return scene


def read(rng: random.Random, scene: Scene) -> Turn | None:
    return (rng.choice(READ), scene.signs[0].text) if len(scene.signs) == 1 else None


def read_at(rng: random.Random, scene: Scene) -> Turn | None:
    choices = []
    for sign in scene.signs:
        place = place_of(sign.x, sign.y)
        if _clear(sign) and sum(place_of(other.x, other.y) == place for other in scene.signs) == 1:
            choices.append((place, sign))
    if not choices:
        return None
    place, sign = rng.choice(choices)
    return rng.choice(READ_AT).format(at=at(place)), sign.text


def number(rng: random.Random, scene: Scene) -> Turn | None:
    numbers = [sign.text for sign in scene.signs if sign.text.isdigit()]
    return (rng.choice(NUMBER), numbers[0]) if len(numbers) == 1 else None


def next_to(rng: random.Random, scene: Scene) -> Turn | None:
    """Only if one sign is at most half as far from the sticker as any other."""
    choices = [(name, sticker) for sticker in scene.stickers if (name := called(rng, scene, sticker))]
    if not choices or len(scene.signs) < 2:
        return None
    name, sticker = rng.choice(choices)
    near, second = sorted(scene.signs, key=lambda sign: _far(scene, sign, sticker))[:2]
    if 2 * _far(scene, near, sticker) > _far(scene, second, sticker):
        return None
    return rng.choice(NEXT_TO).format(x=name), near.text


def _far(scene: Scene, sign: Sign, sticker: Sticker) -> float:
    """The distance in pixels between the nearest parts of the two."""
    a, b = sign_box(sign, scene.width, scene.height), box(scene, sticker)
    across = max(0.0, a[0] - b[2], b[0] - a[2]) * scene.width
    down = max(0.0, a[1] - b[3], b[1] - a[3]) * scene.height
    return float((across**2 + down**2) ** 0.5)


def word_yes_no(rng: random.Random, scene: Scene) -> Turn | None:
    there = [sign.text for sign in scene.signs]
    yes = rng.random() < 0.5
    word = rng.choice(there) if yes else rng.choice([word for word in WORDS if word not in there])
    return rng.choice(WORD_YES_NO).format(word=word), "yes" if yes else "no"


def word_where(rng: random.Random, scene: Scene) -> Turn | None:
    clear = [sign for sign in scene.signs if _clear(sign)]
    if not clear:
        return None
    sign = rng.choice(clear)
    return rng.choice(WORD_WHERE).format(word=sign.text), place_of(sign.x, sign.y)


def read_all(rng: random.Random, scene: Scene) -> Turn | None:
    """From top to bottom, if all centres are clearly below each other."""
    ordered = sorted(scene.signs, key=lambda sign: sign.y)
    if len(ordered) < 2 or any(b.y - a.y < MARGIN for a, b in pairwise(ordered)):
        return None
    return rng.choice(READ_ALL), joined([sign.text for sign in ordered])


def _clear(sign: Sign) -> bool:
    """Whether the third of each of its coordinates is unambiguous."""
    return all(min(abs(value - 1 / 3), abs(value - 2 / 3)) >= MARGIN for value in (sign.x, sign.y))


SIGN_QUESTIONS: dict[str, Callable[[random.Random, Scene], Turn | None]] = {
    "read": read,
    "read_at": read_at,
    "number": number,
    "next_to": next_to,
    "word_yes_no": word_yes_no,
    "word_where": word_where,
    "read_all": read_all,
}
