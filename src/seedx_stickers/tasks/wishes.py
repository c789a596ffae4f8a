"""High-level wishes: the picture is composed from a theme, and the answer describes it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from seedx.messages import Image, assistant, user
from seedx_stickers.art import OBJECTS
from seedx_stickers.layout import Ask, apart, compose
from seedx_stickers.scenes import is_unseen
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.words import counted, joined, on, styled

ANIMALS = [name for name, thing in OBJECTS.items() if thing.group == "animal"]


@dataclass(frozen=True)
class Theme:
    """The things that represent a wish, the most typical first, and its prompts; `{who}` is replaced by an animal."""

    things: tuple[str, ...]
    background: str
    wishes: tuple[str, ...]

    @property
    def animal(self) -> bool:
        return "{who}" in self.wishes[0]


THEMES: dict[str, Theme] = {
    "birthday": Theme(
        ("cake", "balloon", "gift"),
        "pink",
        (
            "a birthday for {who}",
            "a birthday party for {who}",
            "{who} at a birthday",
            "a birthday card for {who}",
        ),
    ),
    "picnic": Theme(
        ("watermelon", "hamburger", "tree"),
        "meadow",
        ("a picnic for {who}", "{who} at a picnic", "a picnic with {who}", "lunch outside for {who}"),
    ),
    "sea": Theme(
        ("sun", "sailboat", "watermelon"),
        "beach",
        ("a day at the sea for {who}", "{who} at the sea", "a summer holiday for {who}", "a beach day with {who}"),
    ),
    "winter": Theme(
        ("snowman", "tree", "gift"),
        "snow",
        ("a winter day for {who}", "{who} in winter", "a cold day for {who}", "a winter picture with {who}"),
    ),
    "breakfast": Theme(
        ("cup", "banana", "clock"),
        "yellow",
        ("breakfast for {who}", "a breakfast with {who}", "a good morning for {who}", "{who} at breakfast"),
    ),
    "music": Theme(
        ("guitar", "star", "balloon"),
        "blue",
        ("a concert for {who}", "{who} making music", "music for {who}", "a song for {who}"),
    ),
    "school": Theme(
        ("blue book", "clock", "red apple"),
        "white",
        ("school for {who}", "{who} at school", "{who} learning to read", "a school day for {who}"),
    ),
    "space": Theme(
        ("rocket", "moon", "star"),
        "night",
        ("a trip to the moon for {who}", "{who} in space", "{who} flying to the moon", "a space trip for {who}"),
    ),
    "love": Theme(
        ("red heart", "rose", "cake"),
        "pink",
        ("a love letter for {who}", "{who} in love", "a valentine for {who}", "a card full of love for {who}"),
    ),
    "garden": Theme(
        ("sunflower", "house", "tree"),
        "green",
        ("a garden for {who}", "{who} in the garden", "spring for {who}", "a spring day with {who}"),
    ),
    "sport": Theme(
        ("football", "sun", "clock"),
        "green",
        ("a football game for {who}", "{who} playing football", "sport for {who}", "a match with {who}"),
    ),
    "road": Theme(
        ("blue car", "tree", "camera"),
        "meadow",
        ("a road trip for {who}", "{who} on the road", "a journey by car for {who}", "{who} going on a trip"),
    ),
    "dinner": Theme(
        ("pizza", "cup", "ice cream"),
        "orange",
        ("dinner for {who}", "{who} at dinner", "a dinner with {who}", "a pizza evening for {who}"),
    ),
    "rain": Theme(
        ("umbrella", "cloud", "house"),
        "grey",
        ("a rainy day for {who}", "{who} in the rain", "bad weather for {who}", "rain for {who}"),
    ),
    "forest": Theme(
        ("tree", "mushroom", "strawberry"),
        "green",
        ("a walk in the forest for {who}", "{who} in the forest", "a forest with {who}", "{who} in the woods"),
    ),
    "home": Theme(
        ("house", "key", "red heart"),
        "yellow",
        ("a new home for {who}", "{who} moving house", "a house for {who}", "{who} at home"),
    ),
    "night sky": Theme(
        ("moon", "star", "cloud"),
        "night",
        ("a clear night", "the sky at night", "a good night picture", "something to sleep by"),
    ),
    "fruit": Theme(
        ("banana", "red apple", "strawberry", "pineapple"),
        "white",
        ("a fruit salad", "something healthy to eat", "a bowl of fruit", "fruit for everyone"),
    ),
    "winter night": Theme(
        ("snowman", "star", "moon"),
        "night",
        ("a winter night", "a cold winter evening", "a snowy night", "winter in the dark"),
    ),
    "desert": Theme(
        ("cactus", "sun", "orange"),
        "orange",
        ("a hot desert", "the desert at noon", "a very hot day", "a dry and hot place"),
    ),
}
PROMPTS = (
    "{wish}",
    "draw {wish}",
    "please make {wish}",
    "I want a picture of {wish}",
    "make a picture: {wish}",
    "can you design {wish}?",
    "show me {wish}",
    "I wish for {wish}",
)


def wish(rng: random.Random, unseen: bool | None = False) -> Example:
    """A theme, for one or two animals if its prompt names some, and its picture with a sentence that explains it."""
    while True:
        theme = THEMES[rng.choice(list(THEMES))]
        who = Ask(rng.choice(ANIMALS), 2 if rng.random() < 0.25 else 1) if theme.animal else None
        asks = design(theme, who)
        target = compose(asks, theme.background)
        if apart(target) and unseen in (None, is_unseen(target)):
            break
    words = rng.choice(theme.wishes).format(who=counted(who.name, who.count) if who else "")
    answer = explanation(asks, theme.background)
    expected = Expected(answer, "wish", target=target, asked=asks)
    prompt = styled(rng, rng.choice(PROMPTS).format(wish=words))
    return Example("wish", [user(prompt), assistant(answer, Image(target))], [expected])


def design(theme: Theme, who: Ask | None) -> tuple[Ask, ...]:
    """The content of the picture of a theme: first the animals, then its things, up to four stickers."""
    first = (who,) if who else ()
    room = 4 - (who.count if who else 0)
    return (*first, *(Ask(name) for name in theme.things[:room]))


def explanation(asks: tuple[Ask, ...], background: str) -> str:
    """ "Here it is: a dog, a cake, a balloon and a gift, on a pink background." """
    return f"Here it is: {joined([counted(ask.name, ask.count) for ask in asks])}, {on(background)}."
