"""The texts of the stories: ten tales of ten lines and an ending each.

A line names the hero (`{x}`: "the cat"), one or two things in the order in which they stand, and the background. Its
picture contains exactly these.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tale:
    """`names` and `clause` are its names in prompts; `{x}` is replaced by the hero ("a cat with a hat")."""

    names: tuple[str, ...]
    clause: str
    lines: tuple[str, ...]
    ending: str


TALES: dict[str, Tale] = {
    "sea": Tale(
        ("{x} at the sea", "a day at the sea with {x}", "a summer day for {x}"),
        "{x} goes to the beach",
        (
            "{x} looks at the sun on the beach.",
            "{x} sees a sailboat on the blue sea.",
            "{x} meets a turtle on the beach.",
            "{x} eats a pineapple on the beach.",
            "{x} opens an umbrella by a watermelon on the beach.",
            "{x} meets a whale on the blue sea.",
            "{x} finds a key on the beach.",
            "{x} buys an ice cream on the beach.",
            "{x} meets a penguin with a football on the beach.",
            "{x} sees a rainbow on the blue sea.",
        ),
        "At night, {x} looks at the moon.",
    ),
    "winter": Tale(
        ("{x} in winter", "a winter's day for {x}", "a cold day with {x}"),
        "{x} goes out in winter",
        (
            "{x} walks to a tree in the snow.",
            "{x} makes a snowman in the snow.",
            "{x} meets a penguin in the snow.",
            "{x} finds a carrot and a cup in the snow.",
            "{x} sees a house in the snow.",
            "{x} opens a gift in the yellow room.",
            "{x} reads a red book in the yellow room.",
            "{x} plays with a football in the snow.",
            "{x} meets an owl by a tree in the snow.",
            "{x} eats a cake in the yellow room.",
        ),
        "At night, {x} looks at a star.",
    ),
    "forest": Tale(
        ("{x} in the forest", "a walk in the forest with {x}", "a forest day for {x}"),
        "{x} walks in the forest",
        (
            "{x} walks to a tree in the green forest.",
            "{x} finds a mushroom in the green forest.",
            "{x} meets an owl in the green forest.",
            "{x} eats a strawberry in the green forest.",
            "{x} sees a butterfly and a rose in the green forest.",
            "{x} finds a red apple in the green forest.",
            "{x} meets a snail in the green forest.",
            "{x} meets a bee by a sunflower in the meadow.",
            "{x} finds a clock in the green forest.",
            "{x} sees a rainbow in the meadow.",
        ),
        "At night, {x} comes to a house.",
    ),
    "moon": Tale(
        ("{x} in space", "a night trip to the moon with {x}", "a space trip for {x}"),
        "{x} flies to the moon",
        (
            "{x} finds a rocket in the meadow.",
            "At night, {x} flies to the moon.",
            "At night, {x} sees a star.",
            "At night, {x} meets an octopus.",
            "At night, {x} takes a camera to the moon.",
            "At night, {x} drinks from a cup.",
            "At night, {x} plays a guitar.",
            "At night, {x} eats a cake by a rocket.",
            "{x} sees a cloud under a purple sky.",
            "{x} looks at the sun under a blue sky.",
        ),
        "{x} comes to a house in the meadow.",
    ),
    "birthday": Tale(
        ("a birthday for {x}", "the birthday of {x}", "{x} at a birthday"),
        "{x} has a birthday",
        (
            "{x} gets a gift in the pink room.",
            "{x} sees a balloon in the pink room.",
            "{x} meets a duck in the pink room.",
            "{x} plays a guitar in the yellow room.",
            "{x} eats a cake by a balloon in the pink room.",
            "{x} drinks from a cup in the yellow room.",
            "{x} plays with a football in the meadow.",
            "{x} meets an elephant with a gift in the meadow.",
            "{x} eats an ice cream in the pink room.",
            "{x} gets a red heart in the pink room.",
        ),
        "At night, {x} reads a blue book.",
    ),
    "garden": Tale(
        ("{x} in the garden", "a spring day for {x}", "spring with {x}"),
        "{x} works in the garden",
        (
            "{x} sees a sunflower in the green garden.",
            "{x} meets a bee in the green garden.",
            "{x} eats a carrot in the green garden.",
            "{x} finds a snail by a mushroom in the green garden.",
            "{x} sees a rose in the green garden.",
            "{x} opens an umbrella under a grey sky.",
            "{x} sees a rainbow under a blue sky.",
            "{x} meets a turtle with a strawberry in the meadow.",
            "{x} finds a green apple in the green garden.",
            "{x} walks to a tree in the meadow.",
        ),
        "{x} eats a pizza in the yellow room.",
    ),
    "desert": Tale(
        ("{x} in the desert", "a hot day for {x}", "a trip to the desert with {x}"),
        "{x} walks in the desert",
        (
            "{x} walks to a cactus in the orange desert.",
            "{x} looks at the sun in the orange desert.",
            "{x} meets an elephant in the orange desert.",
            "{x} eats a pineapple in the orange desert.",
            "{x} finds a red car in the orange desert.",
            "{x} finds a key in the orange desert.",
            "{x} meets a turtle in the orange desert.",
            "{x} opens an umbrella by a cactus in the orange desert.",
            "{x} plays a guitar in the purple evening.",
            "At night, {x} looks at a star.",
        ),
        "{x} comes to a sailboat on the beach.",
    ),
    "road": Tale(
        ("{x} on the road", "a road trip with {x}", "a journey for {x}"),
        "{x} goes on a trip",
        (
            "{x} drives a blue car in the meadow.",
            "{x} sees a house in the meadow.",
            "{x} eats a hamburger in the meadow.",
            "{x} meets a duck under a blue sky.",
            "{x} takes a camera to the beach.",
            "{x} rides a bicycle under the sun in the meadow.",
            "{x} sees a cloud under a grey sky.",
            "{x} meets a butterfly by a sunflower under a blue sky.",
            "{x} walks to a tree in the snow.",
            "{x} eats a banana in the yellow room.",
        ),
        "{x} sees a star in the purple evening.",
    ),
    "rain": Tale(
        ("{x} in the rain", "a rainy day for {x}", "bad weather with {x}"),
        "{x} goes out in the rain",
        (
            "{x} sees a cloud under a grey sky.",
            "{x} opens an umbrella under a grey sky.",
            "{x} meets a duck under a grey sky.",
            "{x} finds a mushroom in the green forest.",
            "{x} walks to a house under a grey sky.",
            "{x} reads a blue book in the yellow room.",
            "{x} drinks from a cup by a clock in the yellow room.",
            "{x} plays a guitar in the pink room.",
            "{x} meets a snail by a rose in the green garden.",
            "{x} looks at the sun under a blue sky.",
        ),
        "{x} sees a rainbow in the meadow.",
    ),
    "school": Tale(
        ("{x} at school", "a school day for {x}", "a day at school with {x}"),
        "{x} goes to school",
        (
            "{x} rides a bicycle in the meadow.",
            "{x} looks at a clock in the white room.",
            "{x} reads a green book in the white room.",
            "{x} meets an owl in the white room.",
            "{x} eats a banana by a green apple in the white room.",
            "{x} plays with a football in the green garden.",
            "{x} finds a key in the white room.",
            "{x} meets an octopus with a red book in the blue room.",
            "{x} plays a guitar in the blue room.",
            "{x} eats a hamburger in the meadow.",
        ),
        "{x} gets a yellow heart in the purple evening.",
    ),
}
