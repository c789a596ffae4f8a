"""Slides: a title, some words and a picture, as JSON with the picture behind its image element.

The prompt determines the whole slide: the topic determines the title, the text, the picture and, if the prompt names
none, the layout.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from seedx.messages import Image, Part, Text, assistant, user
from seedx.slides.form import PLACE, write
from seedx.tokens import LOCS
from seedx_stickers.layout import Ask, apart, compose
from seedx_stickers.scenes import Scene, is_unseen
from seedx_stickers.tasks.drawing import description, draw
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.reading import caption
from seedx_stickers.tasks.wishes import ANIMALS, THEMES, Theme, design
from seedx_stickers.tasks.words import counted, joined, styled

WIDTH, HEIGHT = 12_192_000, 6_858_000  # EMU: 16:9, 13 1/3 x 7 1/2 inches

Corner = tuple[int, int, int, int]  # x, y, width, height in 224ths of the slide


@dataclass(frozen=True)
class Layout:
    """Where the picture, the title and the body go, with the font sizes in points; the picture is square."""

    picture: Corner
    title: Corner
    body: Corner
    sizes: tuple[int, int]
    wordings: tuple[str, ...]


LAYOUTS: dict[str, Layout] = {
    "right": Layout(
        (122, 52, 90, 160),
        (12, 8, 200, 36),
        (12, 60, 102, 144),
        (40, 28),
        ("the picture on the right", "a picture on the right side", "the text on the left"),
    ),
    "left": Layout(
        (12, 52, 90, 160),
        (12, 8, 200, 36),
        (110, 60, 102, 144),
        (40, 28),
        ("the picture on the left", "a picture on the left side", "the text on the right"),
    ),
    "top": Layout(
        (80, 44, 63, 112),
        (12, 4, 200, 36),
        (12, 162, 200, 56),
        (36, 22),
        ("the picture above the text", "the text at the bottom", "the text below the picture"),
    ),
    "bottom": Layout(
        (80, 106, 63, 112),
        (12, 4, 200, 36),
        (12, 44, 200, 56),
        (36, 22),
        ("the picture below the text", "the picture at the bottom", "the text above the picture"),
    ),
    "big": Layout(
        (98, 0, 126, 223),
        (6, 24, 86, 72),
        (6, 104, 86, 112),
        (32, 24),
        ("a big picture", "a large picture", "a picture over half of it"),
    ),
}


@dataclass(frozen=True)
class Topic:
    """The text and the layout of a slide about a theme of `wishes.py`; `name` is the theme without an animal."""

    name: str
    layout: str
    sentence: str


TOPICS: dict[str, Topic] = {
    "birthday": Topic("birthdays", "right", "Everyone gets some cake."),
    "picnic": Topic("picnics", "left", "Food tastes best outside."),
    "sea": Topic("the sea", "big", "The water is warm."),
    "winter": Topic("winter", "right", "Wear something warm."),
    "breakfast": Topic("breakfast", "left", "Start the day well."),
    "music": Topic("music", "top", "Listen and sing along."),
    "school": Topic("school", "bottom", "We learn every day."),
    "space": Topic("space", "big", "The moon is far away."),
    "love": Topic("love", "top", "Say it with a rose."),
    "garden": Topic("gardens", "left", "Plants need sun and water."),
    "sport": Topic("sport", "bottom", "Play fair and have fun."),
    "road": Topic("road trips", "right", "Look out of the window."),
    "dinner": Topic("dinner", "top", "Eat together."),
    "rain": Topic("rain", "bottom", "Take an umbrella."),
    "forest": Topic("the forest", "left", "Walk and look around."),
    "home": Topic("a new home", "right", "Come in and sit down."),
    "night sky": Topic("the night sky", "big", "Look up and count."),
    "fruit": Topic("fruit", "top", "Eat some every day."),
    "winter night": Topic("winter nights", "big", "It gets dark early."),
    "desert": Topic("the desert", "bottom", "Drink enough water."),
}
DRAWN = ("right", "left", "top", "bottom")  # by number of stickers, for slides about what a drawing shows

PROMPTS = (
    "a slide about {it}",
    "make a slide about {it}",
    "please make a slide about {it}",
    "I need a slide about {it}",
    "design a slide about {it}",
    "create a slide on {it}",
    "can you make a slide about {it}?",
    "a presentation slide about {it}",
)
TITLES = (' with the title "{}"', ' titled "{}"', ', title: "{}"')
STARTS = ("Our", "My", "A new", "The big", "The last", "A happy", "One more", "The best", "Your", "The first")
ENDS = ("plan", "day", "idea", "week", "trip", "party", "story", "lesson", "dream", "game", "year", "list")


@dataclass(frozen=True)
class Content:
    """The subject of a slide, in the words of the prompt, and its content."""

    words: str
    title: str
    body: tuple[str, ...]
    layout: str
    asked: tuple[Ask, ...]
    scene: Scene


def slide(rng: random.Random, unseen: bool | None = False) -> Example:
    """A slide about a theme (three in four) or about what its picture shows. Some prompts name the layout or title."""
    while True:
        content = _theme(rng) if rng.random() < 0.75 else _drawing(rng, unseen)
        if apart(content.scene) and unseen in (None, is_unseen(content.scene)):
            break
    layout, title, asked = content.layout, content.title, rng.random()
    prompt = rng.choice(PROMPTS).format(it=content.words)
    if asked < 0.3:
        layout = rng.choice(list(LAYOUTS))
        prompt = _with(prompt, f" with {rng.choice(LAYOUTS[layout].wordings)}")
    elif asked < 0.5:
        title = f"{rng.choice(STARTS)} {rng.choice(ENDS)}"
        prompt = _with(prompt, rng.choice(TITLES).format(title))
    answer = assistant(*slide_parts(LAYOUTS[layout], title, content))
    text = "".join(part.text for part in answer.content if isinstance(part, Text))
    expected = Expected(text, "slide", target=content.scene, asked=content.asked)
    return Example("slide", [user(styled(rng, prompt)), answer], [expected])


def _with(prompt: str, more: str) -> str:
    """The prompt with more words, inserted before a question mark."""
    return f"{prompt[:-1]}{more}?" if prompt.endswith("?") else prompt + more


def _theme(rng: random.Random) -> Content:
    key = rng.choice(list(TOPICS))
    topic, theme = TOPICS[key], THEMES[key]
    who = _who(rng, theme)
    asks = design(theme, who)
    words, title = topic.name, topic.name
    if who or not theme.animal:
        called = counted(who.name, who.count) if who else ""
        words, title = (wish.format(who=called) for wish in (rng.choice(theme.wishes), theme.wishes[0]))
    shown = f"{_capital(joined([counted(ask.name, ask.count) for ask in asks]))}."
    scene = compose(asks, theme.background)
    return Content(words, _capital(title), (shown, topic.sentence), topic.layout, asks, scene)


def _who(rng: random.Random, theme: Theme) -> Ask | None:
    if not theme.animal or rng.random() < 0.3:
        return None
    return Ask(rng.choice(ANIMALS), 2 if rng.random() < 0.2 else 1)


def _drawing(rng: random.Random, unseen: bool | None) -> Content:
    """One or two kinds of things, to keep the text short."""
    while True:
        expected = draw(rng, unseen).expected[0]
        if len(expected.asked) <= 2 and not any(ask.wears for ask in expected.asked):
            break
    asks, scene = expected.asked, expected.target
    assert scene is not None
    background = None if scene.background == "white" and rng.random() < 0.5 else scene.background
    title = _capital(joined([counted(ask.name, ask.count) for ask in asks]))
    layout = DRAWN[len(scene.stickers) - 1]
    words = description(rng, list(asks), background)
    return Content(words, title, (_capital(caption(scene)),), layout, asks, scene)


def slide_parts(layout: Layout, title: str, content: Content) -> list[Part[Scene]]:
    """The parts of the answer. The picture comes last, because it is drawn from the text before it."""
    title_size, body_size = layout.sizes
    elements: list[dict[str, Any]] = [
        {"type": "text", **_locs(layout.title), "paragraphs": [_paragraph(title, title_size)]},
        {"type": "text", **_locs(layout.body), "paragraphs": [_paragraph(text, body_size) for text in content.body]},
        {"type": "image", **_locs(layout.picture), "image": Image(content.scene)},
    ]
    return write(WIDTH, HEIGHT, elements)


def _locs(corner: Corner) -> dict[str, str]:
    return {name: LOCS[index] for name, index in zip(PLACE, corner, strict=True)}


def _paragraph(text: str, size: int) -> dict[str, str | int]:
    return {"texts": text, "font_size": size}


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
