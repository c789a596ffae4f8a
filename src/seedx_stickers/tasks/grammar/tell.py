"""Stories and slides about what the prompt says: its hero, things, places and events, in its order.

    a story about a fox that finds a key and meets an owl in the snow, in 3 pictures
    -> The fox finds a key in the snow. / The fox meets an owl in the snow. / At night, the fox looks at a star.

Where there are more pictures than events, the hero walks to a tree first, and more of the frames of `LATER` follow.
"""

from __future__ import annotations

from seedx.messages import Message, assistant, user
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.layout import Ask, apart, compose
from seedx_stickers.scenes import Scene, is_unseen
from seedx_stickers.tasks.example import Example, Expected, Frame
from seedx_stickers.tasks.grammar.expand import Wording
from seedx_stickers.tasks.grammar.facts import events, fact
from seedx_stickers.tasks.grammar.nouns import a_noun, noun, nouns
from seedx_stickers.tasks.grammar.places import several
from seedx_stickers.tasks.reading import FACES, WEARABLE
from seedx_stickers.tasks.slides import DRAWN, LAYOUTS, Content, slide_parts
from seedx_stickers.tasks.stories import interleaved, things_named
from seedx_stickers.tasks.wishes import ANIMALS
from seedx_stickers.tasks.words import NUMBERS, counted, joined, plural

# Where a story takes place: what its sentences say; a background follows from it by `things_named`.
SETTINGS: dict[str, tuple[str, ...]] = {
    "on the beach": ("on the beach", "at the beach", "by the sea", "at the seaside"),
    "in the meadow": ("in the meadow", "in a meadow", "in the fields", "on the grass"),
    "in the snow": ("in the snow", "in winter", "on a snowy day"),
    "in the green forest": ("in the forest", "in the woods", "in the green forest"),
    "in the green garden": ("in the garden", "in a garden", "in the park"),
    "in the yellow room": ("at home", "in its room", "in the yellow room"),
    "in the pink room": ("at a party", "in the pink room"),
    "in the orange desert": ("in the desert", "in the orange desert", "in the hot sand"),
    "under a blue sky": ("under a blue sky", "outside", "on a sunny day"),
    "under a grey sky": ("in the rain", "on a cloudy day", "under a grey sky"),
}
FIRST = "{x} walks to a tree {where}."
LATER = (
    "{x} eats a banana {where}.", "{x} sees a butterfly {where}.", "{x} finds a red heart {where}.", "{x} looks at a cloud {where}.",
    "{x} plays with a football {where}.", "{x} sees a rainbow {where}.", "{x} finds a rose {where}.", "{x} eats an ice cream {where}.",
)  # fmt: skip
ENDING = "At night, {x} looks at a star."

RULES: dict[str, tuple[str, ...]] = {
    "tell_verb": ("tell", "tell me", "make", "write", "invent", "draw", "show me", "create", "i want", "please tell"),
    "a_story": ("a story", "a short story", "a picture story", "a little tale", "a tale", "a comic", "a bedtime story"),
    "n_pictures": ("in {n} pictures", "with {n} pictures", "in {n} images", "in {n} frames", "of {n} pictures", "told in {n} pictures", "in {n} parts with pictures"),
    "who_does": ("that", "who", "which"),
    "then": (" and ", ", then ", " and then ", ", after that "),
    "order_story": (
        "{tell_verb} {a_story} about {it} {n_pictures}", "{a_story} about {it} {n_pictures}", "{tell_verb} {a_story} {n_pictures}: {it}", "{n} pictures that tell a story about {it}",
        "{could_you} tell {a_story} about {it} {n_pictures}?", "{hello}, {tell_verb} {a_story} about {it} {n_pictures}", "{it}, {a_story} {n_pictures}", "{a_story} {n_pictures} about {it}", "{please} tell {a_story} {n_pictures} about {it}",
    ),
    "a_slide": ("a slide", "a presentation slide", "one slide", "a powerpoint slide", "a page of slides", "a simple slide"),
    "order_slide": (
        "make {a_slide} about {it}", "{a_slide} about {it}", "{could_you} make {a_slide} about {it}?", "i need {a_slide} about {it}", "design {a_slide} on {it}", "create {a_slide} about {it}", "{please} make {a_slide} on {it}",
        "{hello}, i need {a_slide} about {it}", "prepare {a_slide} about {it}", "build {a_slide} that explains {it}", "{a_slide} on {it} for my talk",
    ),
}  # fmt: skip
FRAMES = (2, 6)


def told(w: Wording, unseen: bool | None = False) -> Example:
    """A story of what its prompt names: one to three events, and a place."""
    rng = w.rng
    while True:
        hero = Ask(rng.choice(ANIMALS))
        if rng.random() < 0.15:
            hero = Ask(rng.choice(FACES), wears=(rng.choice(WEARABLE),))
        things = rng.sample(
            [name for name in OBJECTS if name != hero.name], rng.choices((1, 2, 3), (0.4, 0.35, 0.25))[0]
        )
        frames = rng.randint(max(FRAMES[0], len(things)), FRAMES[1])
        setting = rng.choice(list(SETTINGS))
        clauses = [rng.choice(events(name)) for name in things]
        plain = rng.random() < 0.4  # the prompt names the things alone
        if plain:
            clauses = [events(name)[0] for name in things]
        whole = frames_of(hero, clauses, setting, frames)
        scenes = [frame.scene for frame in whole]
        if all(map(apart, scenes)) and unseen in (None, any(map(is_unseen, scenes))):
            break
    prompt = _story_prompt(w, hero, clauses if not plain else [], things, setting, frames)
    text = "".join(frame.text for frame in whole)
    messages: list[Message[Scene]] = [user(prompt), assistant(*interleaved(whole))]
    return Example("story", messages, [Expected(text, "told", asked=(hero, *map(Ask, things)), frames=whole)])


def frames_of(hero: Ask, clauses: list[str], setting: str, count: int) -> tuple[Frame, ...]:
    """The events in order, and what comes before and after them if there are more pictures."""
    x = f"the {hero.name}"
    lines = [f"{x} {clause} {setting}." for clause in clauses]
    more = [*LATER[: max(0, count - len(lines) - 2)]]
    if count > len(lines) + 1:
        lines = [FIRST, *lines]
    if count > len(clauses):
        lines = [*[*lines, *more, ENDING][: count - 1], ENDING]
    frames = []
    for index, line in enumerate(lines):
        text = line.format(x=x, where=setting)
        (_, *things), background = things_named(text)
        if index == 0:
            text = text.replace(hero.name, counted(hero.name, wears=hero.wears).split(" ", 1)[1], 1)
        frames.append(Frame(text[0].upper() + text[1:], compose([hero, *map(Ask, things)], background)))
    return tuple(frames)


def _story_prompt(w: Wording, hero: Ask, clauses: list[str], things: list[str], setting: str, count: int) -> str:
    rng = w.rng
    who = a_noun(noun(rng, hero.name))
    if hero.wears:
        who = f"{who} {w.part('wearing')} {a_noun(noun(rng, hero.wears[0]))}"
    where = rng.choice(SETTINGS[setting])
    if clauses:
        it = f"{who} {w.part('who_does')} " + w.part("then").join(clauses)
    else:
        it = several(rng, [who, *(a_noun(noun(rng, name)) for name in things)])
    number = str(count) if rng.random() < 0.5 else NUMBERS[count]
    return w.say("order_story", it=f"{it} {where}", n=number)


def slide(w: Wording, unseen: bool | None = False) -> Example:
    """A slide about one to three objects: their names as its title, a fact of each, and a picture of them."""
    rng = w.rng
    while True:
        names = rng.sample(list(OBJECTS), rng.choices((1, 2, 3), (0.5, 0.35, 0.15))[0])
        kinds = [OBJECTS[name].kind for name in names]
        background = rng.choice(list(BACKGROUNDS)) if rng.random() < 0.3 else "white"
        asks = tuple(Ask(name) for name in names)
        scene = compose(asks, background)
        if len(set(kinds)) == len(kinds) and apart(scene) and unseen in (None, is_unseen(scene)):
            break
    said = [nouns(noun(rng, name)) if rng.random() < 0.7 else a_noun(noun(rng, name)) for name in names]
    it = several(rng, said)
    if background != "white":
        it = f"{it} {w.part(background) if not BACKGROUNDS[background].colour else BACKGROUNDS[background].phrase}"
    title = joined([plural(name) for name in names])
    content = Content(it, title[0].upper() + title[1:], tuple(map(fact, names)), DRAWN[len(names) - 1], asks, scene)
    answer = assistant(*slide_parts(LAYOUTS[content.layout], content.title, content))
    text = "".join(part.text for part in answer.content if hasattr(part, "text"))
    prompt = w.say("order_slide", it=it)
    return Example("slide", [user(prompt), answer], [Expected(text, "told", target=scene, asked=asks)])


__all__ = ["RULES", "frames_of", "slide", "told"]
