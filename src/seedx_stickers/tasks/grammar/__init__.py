"""Tasks in words of a grammar, instead of lists of templates; and what the model says where it can't do what is asked.

rules.py, nouns.py, places.py    the words: forms of asking, names of things, places
expand.py                        how rules become texts; a tenth of their parts is held out
noise.py                         case and typing errors
asks.py, makes.py, tell.py       questions; drawings and edits; stories and slides about what the prompt says
follow_ups.py                    turns that refer to the one before
honest.py                        absent and unknown things, too many, small talk, pictures that are no drawings

example = sample(random.Random(0), "ask")      # as `tasks.sample`
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

from seedx.errors import SeedxError
from seedx.messages import Image, Message, Text, assistant, user
from seedx_stickers.scenes import Scene
from seedx_stickers.tasks.example import Example
from seedx_stickers.tasks.grammar import follow_ups, honest, makes, rules, tell
from seedx_stickers.tasks.grammar.asks import ASKS, Turn, boxes, captioned
from seedx_stickers.tasks.grammar.expand import Wording, Wordings
from seedx_stickers.tasks.grammar.noise import ERRORS, typed
from seedx_stickers.tasks.questions import FLAVOUR
from seedx_stickers.tasks.reading import scene_to_read
from seedx_stickers.varied import varied

RULES = {**rules.RULES, **follow_ups.RULES, **tell.RULES}
ANY_SIZE = 0.4  # the share of pictures to read that are not one tile
VARIED = 0.5  # the share of pictures to read in another look, in training
TRIES = 12

Maker = Callable[[Wording, bool | None, float], Example]


def wording(rng: random.Random, wordings: Wordings = "seen") -> Wording:
    return Wording(rng, RULES, wordings)


def _looked(w: Wording, unseen: bool | None, looks: float, flavour: str | None = None) -> Scene:
    """A scene to read, at times in another look."""
    scene = scene_to_read(w.rng, unseen, ANY_SIZE, flavour)
    return varied(w.rng, scene, named=w.rng.random() < 0.7) if w.rng.random() < looks else scene


def _about(w: Wording, scene: Scene, ask: Callable[[Wording, Scene], Turn | None]) -> Turn | None:
    """A turn about the scene, with a held-out part if the wordings must have one."""
    for _ in range(TRIES):
        w.held_out = w.said_held_out = False
        turn = ask(w, scene)
        if turn and (w.wordings != "held_out" or w.said_held_out):
            return turn
    return None


def ask(w: Wording, unseen: bool | None = False, looks: float = 0.0, type_: str = "") -> Example:
    """One question; every type equally often."""
    while True:
        each = type_ or w.rng.choice(list(ASKS))
        scene = _looked(w, unseen, looks, FLAVOUR.get(each))
        if turn := _about(w, scene, ASKS[each]):
            return Example("ask", _messages(scene, [turn]), [turn.expected])


def find(w: Wording, unseen: bool | None = False, looks: float = 0.0) -> Example:
    while True:
        scene = _looked(w, unseen, looks)
        if turn := _about(w, scene, boxes):
            return Example("find", _messages(scene, [turn]), [turn.expected])


def caption(w: Wording, unseen: bool | None = False, looks: float = 0.0) -> Example:
    while True:
        scene = _looked(w, unseen, looks)
        if turn := _about(w, scene, captioned):
            return Example("caption", _messages(scene, [turn]), [turn.expected])


def talk_about(w: Wording, unseen: bool | None = False, looks: float = 0.0) -> Example:
    """Three to six turns about one picture, for training: its tokens occur only once. Some are about what is absent."""
    scene = _looked(w, unseen, looks, w.rng.choice([None, None, "coloured", "repeated"]))
    wanted, turns = w.rng.randint(3, 6), list[Turn]()
    kinds = ["absent", "unknown", "find", "find", *ASKS, "relation", "list", "how_many"]
    for _ in range(4 * wanted):
        if len(turns) == wanted:
            break
        kind = w.rng.choice(kinds)
        w.held_out = False
        if kind in ("absent", "unknown"):
            turn: Turn | None = Turn(*honest.absent_thing(w, scene, kind == "absent"))
        elif kind == "find":
            turn = boxes(w, scene)
        else:
            turn = ASKS[kind](w, scene)
        if turn and (turn.expected.type, turn.expected.text) not in [(t.expected.type, t.expected.text) for t in turns]:
            turns.append(turn)
    order = sorted(turns, key=lambda turn: turn.expected.type == "list")
    return Example("talk_about", _messages(scene, order), [turn.expected for turn in order])


def _messages(scene: Scene, turns: list[Turn]) -> list[Message[Scene]]:
    messages: list[Message[Scene]] = []
    for turn in turns:
        messages.append(user(turn.prompt) if messages else user(Image(scene), turn.prompt))
        answer = turn.expected
        messages.append(assistant(*answer.boxes) if answer.boxes else assistant(answer.text))
    return messages


def absent(w: Wording, unseen: bool | None = False, looks: float = 0.0) -> Example:
    return honest.spoken(*honest.absent_thing(w, _looked(w, unseen, looks), known=True), "absent")


def unknown(w: Wording, unseen: bool | None = False, looks: float = 0.0) -> Example:
    """An unknown thing: looked for in a picture, or to be drawn; at times too many known ones."""
    roll = w.rng.random()
    if roll < 0.4:
        return honest.spoken(*honest.absent_thing(w, _looked(w, unseen, looks), known=False), "unknown")
    if roll < 0.5:
        made = honest.present_twin(w, _looked(w, unseen, looks))
        assert made is not None
        return honest.spoken(*made, "unknown")
    return honest.spoken(*(honest.draw_unknown(w) if roll < 0.8 else honest.draw_many(w)), "unknown")


KINDS: dict[str, Maker] = {
    "ask": ask,
    "find": find,
    "caption": caption,
    "talk_about": talk_about,
    "draw": lambda w, unseen, looks: makes.drawing(w, unseen),
    "edit": lambda w, unseen, looks: makes.edited(w, unseen),
    "absent": absent,
    "unknown": unknown,
    "small_talk": lambda w, unseen, looks: honest.spoken(*honest.small_talk(w), "small_talk"),
    "odd": lambda w, unseen, looks: honest.odd(w),
    "follow_up": lambda w, unseen, looks: follow_ups.follow_up(w, unseen),
    "story": lambda w, unseen, looks: tell.told(w, unseen),
    "slide": lambda w, unseen, looks: tell.slide(w, unseen),
}

# Kinds in another form, for training: drawings whose things stand anywhere, unless they have places.
PARTS: dict[str, Maker] = {"draw:scattered": lambda w, unseen, looks: makes.drawing(w, unseen, scattered=True)}


def sample(
    rng: random.Random,
    kind: str,
    unseen: bool | None = False,
    *,
    wordings: Wordings = "seen",
    looks: float = 0.0,
    errors: float = 0.0,
    plain: bool = False,
) -> Example:
    """One example of a kind of `KINDS` or `PARTS`.

    Args:
        unseen: as in `tasks.sample`.
        wordings: as in `Wording`.
        looks: the share of pictures to read in another look.
        errors: the share of prompts with a typing error.
        plain: prompts in small letters as the grammar makes them, neither capitals nor marks changed.

    Raises:
        SeedxError: no such kind.
    """
    maker = KINDS.get(kind) or PARTS.get(kind)
    if not maker:
        raise SeedxError(f"the grammar has no task {kind!r}: choose from {', '.join((*KINDS, *PARTS))}")
    example = maker(wording(rng, wordings), unseen, looks)
    return example if plain else _typed(rng, example, errors)


def training(rng: random.Random, kind: str) -> Example:
    """An example as it is trained on: seen wordings, other looks, typing errors in a tenth."""
    return sample(rng, kind, looks=VARIED, errors=ERRORS)


def _typed(rng: random.Random, example: Example, errors: float) -> Example:
    def as_typed(message: Message[Scene]) -> Message[Scene]:
        if message.role != "user":
            return message
        parts = tuple(
            Text(typed(rng, part.text, errors)) if isinstance(part, Text) else part for part in message.content
        )
        return dataclasses.replace(message, content=parts)

    return dataclasses.replace(example, messages=[as_typed(message) for message in example.messages])
