"""Abilities outside of the templates' world: other words, other looks, and honesty about what can't be done.

Wordings are those of `tasks/grammar`; held-out ones have a part that training never uses. All replies are free: a model
that draws where a question was asked has not answered it. These are run by name alone, not by default.
"""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Callable

from seedx.messages import Image as Picture
from seedx.messages import Message, Text, assistant, user
from seedx_stickers import scoring, tasks
from seedx_stickers.art import BACKGROUNDS
from seedx_stickers.evaluation import protocols, scores
from seedx_stickers.evaluation.ability import Ability, Make
from seedx_stickers.evaluation.item import Item
from seedx_stickers.evaluation.model import Answer, Model
from seedx_stickers.eyes import EYES, both_eyes
from seedx_stickers.houses import House, require
from seedx_stickers.judge import Judge, Seen
from seedx_stickers.layout import Ask, compose
from seedx_stickers.scenes import Scene, is_unseen
from seedx_stickers.scoring import Values
from seedx_stickers.tasks import Example, Expected, grammar
from seedx_stickers.tasks.drawing import HERE
from seedx_stickers.tasks.grammar.expand import Wordings
from seedx_stickers.tasks.grammar.follow_ups import STEPS
from seedx_stickers.tasks.grammar.honest import odd
from seedx_stickers.tasks.grammar.noise import with_error
from seedx_stickers.varied import LOOKS

WORDED = {"ask": "questions", "find": "boxes", "draw": "drawings", "edit": "edits"}  # kinds of the grammar: their score
SEEDS = 8
APART = 0.1  # two layouts differ if an object is this much elsewhere
RESIZED = 0.2  # a sticker that should be of another size may be off by this share
SAYS_NO = re.compile(r"\b(no|not|nothing|none|can't|cannot|don't|only|unknown|sorry)\b")
SAYS_HELLO = re.compile(r"\b(hello|hi|goodbye|bye|welcome|i|i'm|sorry)\b")  # in answer to small talk
ART: dict[str, tuple[House, ...]] = {"trained-art": ("noto", "fluent"), "art": ("twemoji",)}
LOOK_QUESTIONS = ("what", "list", "how_many", "where", "yes_no", "relation", "colour")


def _worded(wordings: Wordings, change: Callable[[random.Random, str], str] | None = None) -> Make:
    """The four kinds in rotation; `change`: of every prompt."""

    def make(rng: random.Random, index: int, unseen: bool | None) -> Example:
        kind = list(WORDED)[index % len(WORDED)]
        example = grammar.sample(rng, kind, unseen, wordings=wordings, plain=True)
        return _reworded(example, lambda text: change(rng, text)) if change else example

    return make


def _reworded(example: Example, change: Callable[[str], str]) -> Example:
    def one(message: Message[Scene]) -> Message[Scene]:
        if message.role != "user":
            return message
        parts = tuple(Text(change(part.text)) if isinstance(part, Text) else part for part in message.content)
        return dataclasses.replace(message, content=parts)

    return dataclasses.replace(example, messages=[one(message) for message in example.messages])


def worded(judge: Judge, item: Item, answer: Answer) -> Values:
    """Whether what was asked is done, and the same under the kind of what was asked."""
    kind, (reply,) = item.example.kind, answer
    if kind == "find":
        value = float(scoring.boxes(reply.boxes, item.expected)["acc@iou0.5"] or 0) if reply.boxes else 0.0
    elif kind == "draw":
        value = float(scoring.drawing(_seen(judge, answer), item.expected)["all_objects"] or 0) if reply.images else 0.0
    elif kind == "edit":
        value = float(scores.edit(judge, item, answer)["done"] or 0) if reply.images else 0.0
    else:
        value = float(scoring.question(reply.text, item.expected)["accuracy"] or 0) if _in_words(answer) else 0.0
    return {"done": value, WORDED[kind]: value}


def _seen(judge: Judge, answer: Answer) -> Seen:
    return judge.look(scores.picture_of(answer[-1]))


def _in_words(answer: Answer) -> bool:
    return bool(answer) and scores.modality_of(answer[-1]) == "words"


def _about_absence(rng: random.Random, index: int, unseen: bool | None) -> Example:
    """Two in three ask for what is absent, known or unknown; the others for what is there, in the same words."""
    if index % 3 < 2:
        return grammar.sample(rng, "absent", unseen, plain=True)
    while True:
        kind = rng.choice(("find", "ask"))
        example = grammar.sample(rng, kind, unseen, plain=True)
        if kind == "find" or example.expected[0].type in ("where", "colour"):
            return example


def absent(judge: Judge, item: Item, answer: Answer) -> Values:
    """Whether it is said that an absent thing is not there; whether a present one is not denied."""
    said = _says_no(answer)
    missing = item.expected.type == "absent"
    return {
        "accuracy": float(said == missing),
        "said": float(said) if missing else None,
        "not_denied": None if missing else float(not said),
    }


def _says_no(answer: Answer) -> bool:
    """In words alone, whether they refuse or deny."""
    return _in_words(answer) and bool(SAYS_NO.search(answer[0].text.lower()))


def _unknown(rng: random.Random, index: int, unseen: bool | None) -> Example:
    """Things that the world has not (the held-out ones), too many, small talk, and pictures that are no drawings."""
    kind = ("unknown", "unknown", "small_talk", "odd")[index % 4]
    if kind == "odd":
        return odd(grammar.wording(rng, "any"), test=True)
    while True:  # of the unknown, those that are refused
        example = grammar.sample(rng, kind, unseen, wordings="held_out", plain=True)
        if example.expected[0].type != "yes_no":
            return example


def unknown(judge: Judge, item: Item, answer: Answer) -> Values:
    """Whether it is said; small talk has an answer in words, which greets or speaks of itself."""
    kind = item.expected.type
    kind = "talk" if kind == "talk" else "odd" if kind == "odd" else "too_many" if kind == "too_many" else "unknown"
    said = _says_no(answer)
    if kind == "talk":
        said = _in_words(answer) and bool(SAYS_HELLO.search(answer[0].text.lower()))
    return {"accuracy": float(said), kind: float(said)}


def _looked(looks: tuple[str, ...]) -> Make:
    """A question of the templates about a scene in another look; the looks in rotation."""

    def make(rng: random.Random, index: int, unseen: bool | None) -> Example:
        look = looks[index % len(looks)]
        require(*ART.get(look, ()))
        type_ = LOOK_QUESTIONS[index // len(looks) % len(LOOK_QUESTIONS)]
        while True:
            example = tasks.sample(rng, f"question:{type_}", unseen)
            words = "".join(part.text for part in example.messages[0].content if isinstance(part, Text))
            # A ground of another colour has not the background's name.
            if not any(word in words for word in ("background", *BACKGROUNDS)) and look not in words:
                break
        scene = LOOKS[look](rng, example.scenes[0])
        messages = [
            dataclasses.replace(m, content=tuple(Picture(scene) if isinstance(p, Picture) else p for p in m.content))
            for m in example.messages
        ]
        return Example(look, messages, [dataclasses.replace(example.expected[0], source=scene)])

    return make


def looked(judge: Judge, item: Item, answer: Answer) -> Values:
    """Accuracy, and the same under the name of the look."""
    value = float(scoring.question(answer[0].text, item.expected)["accuracy"] or 0) if _in_words(answer) else 0.0
    return {"accuracy": value, item.example.kind: value}


def _followed(rng: random.Random, index: int, unseen: bool | None) -> Example:
    """A drawing and one turn after it, of every step in rotation."""
    step = list(STEPS)[index % len(STEPS)]
    while True:
        example = grammar.follow_ups.follow_up(grammar.wording(rng), unseen, step)
        if example.expected[1].type == step:
            cut = Example(example.kind, example.messages[:4], example.expected[:2])
            if unseen in (None, cut.unseen):
                return cut


def followed(judge: Judge, item: Item, answer: Answer) -> Values:
    """Whether the second picture is the one asked for: its objects and no others, its background where that changed,
    and sizes and places compared with what the model drew before."""
    before, after = item.example.expected
    assert before.target is not None and after.target is not None
    done = False
    if len(answer) == 2 and answer[0].images and answer[1].images:
        first, second = (judge.look(scores.picture_of(reply)) for reply in answer)
        right = scoring.drawing(second, after)
        done = right["all_objects"] == right["none_extra"] == 1 and _changed(before.target, after, first, second)
        if before.target.background != after.target.background:
            done = done and right["background"] == 1
    return {"done": float(done), after.type: float(done)}


def _changed(before: Scene, expected: Expected, first: Seen, second: Seen) -> bool:
    """Whether what is seen in the second picture stands to that of the first as the step says."""
    assert expected.target is not None
    names = [sticker.name for sticker in expected.target.stickers]
    one, other = ({each.name: each for each in seen.objects} for seen in (first, second))
    if expected.type == "size":
        change = expected.target.stickers[0].size / before.stickers[0].size
        return names[0] in one and abs(other[names[0]].size / one[names[0]].size / change - 1) < RESIZED
    if expected.type == "beside":
        return other[names[0]].x < other[names[1]].x
    if expected.type == "swap":
        exchanged = [dataclasses.replace(one[a], name=b) for a, b in (names, names[::-1]) if a in one]
        return len(exchanged) == 2 and None not in scoring.found(exchanged, second.objects)
    return True


def _free(rng: random.Random, index: int, unseen: bool | None) -> Example:
    """A drawing whose words name no places."""
    while True:
        example = grammar.sample(rng, "draw", unseen, plain=True)
        (expected,) = example.expected
        if not any(ask.place or ask.wears for ask in expected.asked) and len(expected.asked) > 1:
            return example


def many_seeds(model: Model, items: list[Item]) -> list[Answer]:
    """The first turn once for every seed."""
    every = [(item.conversation(), item.seed + seed) for item in items for seed in range(SEEDS)]
    replies = model.reply_batch([c for c, _ in every], drawing="force", seeds=[seed for _, seed in every])
    return [tuple(replies[i * SEEDS : (i + 1) * SEEDS]) for i in range(len(items))]


def distinct(judge: Judge, item: Item, answer: Answer) -> Values:
    """How many of the right drawings differ in their layout, and the share of right ones."""
    layouts: list[Seen] = []
    right = 0
    for reply in answer:
        seen = judge.look(scores.picture_of(reply))
        if not scoring.drawing(seen, item.expected)["all_objects"]:
            continue
        right += 1
        if not any(None not in scoring.found(seen.objects, other.objects, APART) for other in layouts):
            layouts.append(seen)
    return {"layouts": float(len(layouts)), "all_objects": right / SEEDS}


def _alone(rng: random.Random, index: int, unseen: bool | None) -> Example:
    """One animal seen from the front, in the middle."""
    names = list(EYES)
    while True:
        background = rng.choice(list(BACKGROUNDS)) if rng.random() < 0.5 else None
        target = compose([Ask(names[index % len(names)])], background)
        if unseen in (None, is_unseen(target)) or background is None:
            break
    where = f" {BACKGROUNDS[background].phrase}" if background else ""
    expected = Expected(HERE, "draw", target=target, asked=(Ask(names[index % len(names)]),))
    article = "an" if names[index % len(names)][0] in "aeiou" else "a"
    prompt = f"draw {article} {names[index % len(names)]}{where}"
    return Example("eyes", [user(prompt), assistant(HERE, Picture(target))], [expected])


def eyed(judge: Judge, item: Item, answer: Answer) -> Values:
    """Whether both eyes are there."""
    target, (reply,) = item.expected.target, answer
    assert target is not None
    if not reply.images or reply.images[-1].size != (target.width, target.height):
        return {"both": 0.0}
    return {"both": float(both_eyes(reply.images[-1], target, target.stickers[0]))}


def _upper(rng: random.Random, text: str) -> str:
    return rng.choice((str.upper, str.title, str.capitalize))(text)


def _plainly(
    make: Make,
    ask: Callable[[Model, list[Item]], list[Answer]],
    score: Callable[[Judge, Item, Answer], Values],
    stream: str = "",
) -> Ability:
    return Ability(make, ask, score, chance=False, stream=stream)


single = protocols.single_turn
OUTSIDE: dict[str, Ability] = {
    "wording": _plainly(_worded("seen"), single, worded),
    "wording_held_out": _plainly(_worded("held_out"), single, worded),
    "wording_typo": _plainly(_worded("seen", with_error), single, worded, "wording"),
    "wording_case": _plainly(_worded("seen", _upper), single, worded, "wording"),
    "absent": _plainly(_about_absence, single, absent),
    "unknown": _plainly(_unknown, single, unknown),
    "looks": _plainly(_looked(tuple(look for look in LOOKS if look not in ART)), single, looked),
    "art": _plainly(_looked(tuple(ART)), single, looked),
    "follow_ups": _plainly(_followed, protocols.multi_turn_forced, followed),
    "seeds": _plainly(_free, many_seeds, distinct),
    "eyes": _plainly(_alone, protocols.draw, eyed),
}
