"""Questions about a picture in words of the grammar, with the answers of `tasks/questions.py`.

Each maker gives a `Turn`, or None if the scene has no such question with one clear answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from seedx.messages import Box
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.scenes import PLACES, Scene, Sticker, box, place_of
from seedx_stickers.tasks.example import Expected
from seedx_stickers.tasks.grammar.expand import Wording
from seedx_stickers.tasks.grammar.nouns import a_noun, is_plural, noun, nouns
from seedx_stickers.tasks.grammar.places import at_words, phrase
from seedx_stickers.tasks.questions import MARGIN, OPPOSITE, SIDES, absent, alone_at, beyond
from seedx_stickers.tasks.reading import caption, in_order, left_to_right, listing, off_border
from seedx_stickers.tasks.words import a, counted, on


@dataclass(frozen=True)
class Turn:
    prompt: str
    expected: Expected


def _either(w: Wording, ask: str, order: str, **values: str) -> str:
    """A question, or the order to answer it."""
    if w.rng.random() < 0.65:
        return w.say("question", q=w.part(ask, **values))
    return w.say("order", do=w.part(order, **values))


def _turn(prompt: str, answer: str, type_: str, scene: Scene) -> Turn:
    return Turn(prompt, Expected(answer, type_, source=scene))


def _is(words: str) -> str:
    return "are" if is_plural(words) else "is"


def what(w: Wording, scene: Scene) -> Turn | None:
    rng = w.rng
    wearers = [s for s in scene.stickers if s.wears]
    if wearers and rng.random() < 0.6 and (name := phrase(w, scene, wearers[0])):
        return _turn(w.say("question", q=w.part("ask_worn", x=name)), a(wearers[0].wears[0]), "what", scene)
    if len(scene.stickers) == 1 and rng.random() < 0.5:
        return _turn(w.say("question", q=w.part("ask_one")), _named(scene.stickers[0]), "what", scene)
    places = list(PLACES)
    rng.shuffle(places)
    for place in places:
        if sticker := alone_at(scene, place):
            prompt = _either(w, "ask_what_at", "order_what_at", at=at_words(w, place))
            return _turn(prompt, _named(sticker), "what", scene)
    return None


def _named(sticker: Sticker) -> str:
    return counted(sticker.name, wears=sticker.wears)


def list_all(w: Wording, scene: Scene) -> Turn | None:
    if not in_order(scene):
        return None
    return _turn(_either(w, "ask_list", "order_list"), listing(scene), "list", scene)


def how_many(w: Wording, scene: Scene) -> Turn | None:
    rng = w.rng
    name, roll = rng.choice(scene.stickers).name, rng.random()
    if roll < 0.08 and not any(s.wears for s in scene.stickers):
        words, count = rng.choice(("thing", "object", "sticker")), len(scene.stickers)
    elif roll < 0.2:
        words, count = noun(rng, absent(rng, scene)), 0
    else:
        name = OBJECTS[name].kind if rng.random() < 0.4 else name
        words, count = noun(rng, name), sum(name in (s.name, OBJECTS[s.name].kind) for s in scene.stickers)
    return _turn(_either(w, "ask_how_many", "order_how_many", xs=nouns(words)), str(count), "how_many", scene)


def colour(w: Wording, scene: Scene) -> Turn | None:
    kinds = Counter(OBJECTS[s.name].kind for s in scene.stickers)
    things = [OBJECTS[s.name] for s in scene.stickers if OBJECTS[s.name].colour and kinds[OBJECTS[s.name].kind] == 1]
    if not things:
        return None
    thing = w.rng.choice(things)
    words = noun(w.rng, thing.kind)
    prompt = _either(w, "ask_colour", "order_colour", x=words, **{"is": _is(words)})
    return _turn(prompt, thing.colour or "", "colour", scene)


def background(w: Wording, scene: Scene) -> Turn | None:
    """A colour, a setting, or the colour of another ground; None where the ground has no name."""
    name = scene.background if scene.ground is None else scene.ground.name
    if not name:
        return None
    plain = name not in BACKGROUNDS or BACKGROUNDS[name].colour
    rule = "ask_background_colour" if plain and w.rng.random() < 0.7 else "ask_background"
    return _turn(w.say("question", q=w.part(rule)), name, "background", scene)


def where(w: Wording, scene: Scene) -> Turn | None:
    clear = [s for s in scene.stickers if off_border(s.x, MARGIN) and off_border(s.y, MARGIN)]
    choices = [(name, s) for s in clear if (name := phrase(w, scene, s, side=False))]
    if not choices:
        return None
    name, sticker = w.rng.choice(choices)
    prompt = _either(w, "ask_where", "order_where", x=name, **{"is": _is(name)})
    return _turn(prompt, place_of(sticker.x, sticker.y), "where", scene)


def yes_no(w: Wording, scene: Scene) -> Turn | None:
    rng = w.rng
    yes = rng.random() < 0.5
    if rng.random() < 0.15 and scene.ground is None:
        name = scene.background if yes else rng.choice([each for each in BACKGROUNDS if each != scene.background])
        if BACKGROUNDS[name].colour:
            question = w.part("ask_is_colour", b=name, ab=a(name))
        else:
            question = w.part("ask_is_ground", on=w.part(name))
    else:
        name = rng.choice(scene.stickers).name if yes else absent(rng, scene)
        kind = OBJECTS[name].kind
        if rng.random() < 0.3 and (yes or not any(OBJECTS[s.name].kind == kind for s in scene.stickers)):
            name = kind
        words = noun(rng, name)
        question = w.part("ask_yes_no", a=a_noun(words), x=words, **{"is": _is(words)})
    return _turn(w.say("question", q=question), "yes" if yes else "no", "yes_no", scene)


def relation(w: Wording, scene: Scene) -> Turn | None:
    rng = w.rng
    named = [(name, s) for s in scene.stickers if (name := phrase(w, scene, s, side=False))]
    rng.shuffle(named)
    sides = list(SIDES)
    rng.shuffle(sides)
    if rng.random() < 0.5:
        return _which(w, scene, named, sides)
    yes = rng.random() < 0.5
    for first, one in named:
        for second, other in named:
            for side in sides:
                if one is not other and beyond(scene, one, other, side if yes else OPPOSITE[side]):
                    values = {"x": first, "y": second, "is": _is(first), "side": w.part(side)}
                    prompt = w.say("question", q=w.part("ask_relation", **values))
                    return _turn(prompt, "yes" if yes else "no", "relation", scene)
    return None


def _which(w: Wording, scene: Scene, named: list[tuple[str, Sticker]], sides: list[str]) -> Turn | None:
    for name, sticker in named:
        for side in sides:
            there = [s for s in scene.stickers if s is not sticker and _distance(s, sticker, side) > 0]
            if len(there) == 1 and beyond(scene, there[0], sticker, side):
                prompt = _either(w, "ask_which", "order_which", x=name, side=w.part(side))
                return _turn(prompt, _named(there[0]), "relation", scene)
    return None


def _distance(one: Sticker, other: Sticker, side: str) -> float:
    return {"left": other.x - one.x, "right": one.x - other.x, "above": other.y - one.y, "below": one.y - other.y}[side]


def captioned(w: Wording, scene: Scene) -> Turn | None:
    clear = all(off_border(s.x, 0.02) and off_border(s.y, 0.02) for s in scene.stickers)
    if not (clear and in_order(scene)):
        return None
    text = caption(scene)
    if scene.ground is not None:
        if not scene.ground.name:
            return None
        text = text.replace(on(scene.background), f"on {a(scene.ground.name)} background")
    return _turn(_either(w, "ask_caption", "order_caption"), text, "caption", scene)


def boxes(w: Wording, scene: Scene) -> Turn | None:
    """One thing, or all of a name from left to right."""
    rng = w.rng
    groups: dict[str, list[Sticker]] = {}
    for sticker in left_to_right(scene):
        groups.setdefault(sticker.name, []).append(sticker)
    many = [name for name, group in groups.items() if len(group) > 1]
    if many and rng.random() < 0.5:
        name = rng.choice(many)
        if any(b.x - a_.x < 0.03 for a_, b in zip(groups[name], groups[name][1:], strict=False)):
            return None
        one = noun(rng, name)
        prompt = w.say("order", do=w.part("order_find_all", x=one, xs=nouns(one)))
        return Turn(prompt, _boxed(scene, groups[name]))
    named = [(words, s) for s in scene.stickers if (words := phrase(w, scene, s))]
    if not named:
        return None
    words, sticker = rng.choice(named)
    if rng.random() < 0.2:
        prompt = w.say("plain_question", q=w.part("ask_box", x=words, **{"is": _is(words)}))
    else:
        prompt = w.say("order", do=w.part("order_find", x=words))
    return Turn(prompt, _boxed(scene, [sticker]))


def _boxed(scene: Scene, stickers: list[Sticker]) -> Expected:
    return Expected(type="box", boxes=tuple(Box(box(scene, s), s.name) for s in stickers), source=scene)


ASKS: dict[str, Callable[[Wording, Scene], Turn | None]] = {
    "what": what,
    "list": list_all,
    "how_many": how_many,
    "colour": colour,
    "background": background,
    "where": where,
    "yes_no": yes_no,
    "relation": relation,
}
