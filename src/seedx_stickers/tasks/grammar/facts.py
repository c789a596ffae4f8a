"""A sentence about every object, for slides about it; and what a hero of a story does with it."""

from __future__ import annotations

from seedx_stickers.art import OBJECTS
from seedx_stickers.tasks.words import a

FACTS: dict[str, str] = {
    "dog": "Dogs guard the house.", "cat": "Cats sleep all day.", "mouse": "Mice love seeds.", "rabbit": "Rabbits jump far.",
    "fox": "Foxes are clever.", "bear": "Bears sleep in winter.", "panda": "Pandas eat bamboo.", "tiger": "Tigers have stripes.",
    "cow": "Cows give milk.", "pig": "Pigs love mud.", "frog": "Frogs live by ponds.", "monkey": "Monkeys climb trees.",
    "fish": "Fish breathe in water.", "butterfly": "Butterflies were caterpillars.", "bee": "Bees make honey.", "snail": "Snails carry their house.",
    "turtle": "Turtles grow old.", "octopus": "An octopus has eight arms.", "whale": "Whales sing.", "penguin": "Penguins can't fly.",
    "owl": "Owls hunt at night.", "duck": "Ducks swim well.", "elephant": "Elephants never forget.", "car": "Cars drive on roads.",
    "bicycle": "A bicycle needs no fuel.", "rocket": "Rockets fly to space.", "sailboat": "The wind moves a sailboat.", "tree": "Trees give shade.",
    "cactus": "A cactus needs little water.", "sunflower": "Sunflowers follow the sun.", "rose": "Roses have thorns.", "mushroom": "Mushrooms grow in the dark.",
    "sun": "The sun is a star.", "moon": "The moon moves the sea.", "star": "Stars shine at night.", "cloud": "Clouds bring rain.",
    "rainbow": "A rainbow has seven colours.", "banana": "Bananas are sweet.", "orange": "Oranges are full of juice.", "strawberry": "Strawberries ripen in June.",
    "pineapple": "Pineapples love the heat.", "watermelon": "Watermelons are mostly water.", "carrot": "Carrots grow underground.", "pizza": "Pizza comes from Italy.",
    "hamburger": "A hamburger fills you up.", "cake": "Cake is for guests.", "ice cream": "Ice cream melts fast.", "apple": "An apple a day is healthy.",
    "house": "A house keeps you warm.", "umbrella": "An umbrella keeps you dry.", "snowman": "Snowmen fear the spring.", "balloon": "Balloons rise high.",
    "gift": "A gift is a surprise.", "football": "Football is a team game.", "guitar": "A guitar has six strings.", "clock": "A clock shows the time.",
    "key": "A key opens a door.", "camera": "A camera keeps memories.", "cup": "A cup holds tea.", "heart": "A heart means love.",
    "book": "Books tell stories.", "hat": "A hat looks smart.", "sunglasses": "Sunglasses protect the eyes.",
}  # fmt: skip

# What happens between the hero and a thing; {a} has its article.
EVENTS: dict[str, tuple[str, ...]] = {
    "animal": ("meets {a}", "sees {a}"),
    "food": ("eats {a}", "finds {a}"),
    "plant": ("finds {a}", "sees {a}"),
    "sky": ("looks at {a}", "sees {a}"),
    "vehicle": ("sees {a}", "finds {a}"),
    "thing": ("finds {a}", "gets {a}"),
}
OWN_EVENTS: dict[str, tuple[str, ...]] = {
    "red car": ("drives {a}", "sees {a}"), "blue car": ("drives {a}", "sees {a}"), "bicycle": ("rides {a}", "finds {a}"), "rocket": ("flies in {a}", "finds {a}"),
    "sailboat": ("sails in {a}", "sees {a}"), "tree": ("walks to {a}", "sees {a}"), "house": ("comes to {a}", "sees {a}"), "snowman": ("makes {a}", "sees {a}"),
    "umbrella": ("opens {a}", "finds {a}"), "gift": ("opens {a}", "gets {a}"), "football": ("plays with {a}", "finds {a}"), "guitar": ("plays {a}", "finds {a}"),
    "clock": ("looks at {a}", "finds {a}"), "cup": ("drinks from {a}", "finds {a}"), "red book": ("reads {a}", "finds {a}"), "blue book": ("reads {a}", "finds {a}"),
    "green book": ("reads {a}", "finds {a}"),
}  # fmt: skip


def events(name: str) -> tuple[str, ...]:
    """What a hero may do with an object; the first is what happens when only the object is named."""
    each = OWN_EVENTS.get(name) or EVENTS[OBJECTS[name].group]
    return tuple(event.format(a=a(name)) for event in each)


def fact(name: str) -> str:
    return FACTS[OBJECTS[name].kind]
