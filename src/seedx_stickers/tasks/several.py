"""Several pictures in one turn, and one question about them: to count over them, to find in them, to compare them.

Each maker returns (scenes, question, answer). With `avoid` it tries to pick names without held-out pairs; the result is
checked. "What changed?" is answered by one of the sentences of `CHANGES`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from seedx.messages import Image, Message, assistant, user
from seedx_stickers.art import BACKGROUNDS, OBJECTS
from seedx_stickers.layout import apart
from seedx_stickers.scenes import Scene, is_unseen, sample
from seedx_stickers.tasks.editing import GAP, OPERATIONS, SETTING_NAMES, scene_to_edit
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.reading import pick_names
from seedx_stickers.tasks.words import a, counted, is_are, on, plural, styled

MOST = 4  # stickers in one picture
ORDINALS = ("first", "second", "third")
TOGETHER = {2: "both pictures", 3: "all three pictures"}

MORE = (
    "which picture has more {xs}?",
    "in which picture are there more {xs}?",
    "which picture shows more {xs}?",
    "where are more {xs}, {one_or_other}?",
    "tell me which picture has more {xs}",
)
WHICH = (
    "in which picture {is} the {x}?",
    "which picture shows {a}?",
    "which picture has {a}?",
    "where {is} the {x}, {one_or_other}?",
    "tell me which picture has {a}",
)
WHICH_BACKGROUND = ("which picture is {on}?", "which of the pictures is {on}?", "tell me which picture is {on}")
TOTAL = (
    "how many {xs} are in {all} together?",
    "how many {xs} are there in {all} together?",
    "count the {xs} in {all} together",
    "how many {xs} do you see in {all} together?",
)
IN_ALL = (
    "{is} there {a} in {all}?",
    "do {all} show {a}?",
    "can you see {a} in {all}?",
    "{is} {a} in {all}?",
    "do you find {a} in {all}?",
)
DIFFERENCE = (
    "what is in the {one} picture that is not in the {other}?",
    "what is in the {one} picture but not in the {other}?",
    "what does the {one} picture show that the {other} does not?",
    "which thing is only in the {one} picture?",
)
CHANGED = (
    "what changed?",
    "what has changed?",
    "what changed from the first picture to the second?",
    "what is different in the second picture?",
    "tell me what changed",
)
# The sentence of each operation, from the names in `Edit`.
CHANGES: dict[str, Callable[..., str]] = {
    "add": lambda new: f"{a(new)} {_was(new)} added",
    "remove": lambda old: f"the {old} {is_are(old)} gone",
    "replace": lambda old, new: f"the {old} became {a(new)}",
    "move": lambda old: f"the {old} moved",
    "background": lambda new: f"the background is {SETTING_NAMES.get(new, new)} now",
    "wear": lambda old, thing: f"the {old} wears {a(thing)} now",
}

Turn = tuple[Sequence[Scene], str, str]


def several(rng: random.Random, unseen: bool | None = False) -> Example:
    """Two or three pictures of one tile; every type of question equally often."""
    type_ = rng.choice(list(SEVERAL_QUESTIONS))
    while True:
        scenes, question, answer = SEVERAL_QUESTIONS[type_](rng, unseen is False)
        if unseen in (None, any(is_unseen(scene) for scene in scenes)):
            break
    expected = Expected(answer, type_, source=scenes[0], pictures=tuple(scenes))
    messages: list[Message[Scene]] = [
        user(*(Image(scene) for scene in scenes), styled(rng, question)),
        assistant(answer),
    ]
    return Example("several", messages, [expected])


def more(rng: random.Random, avoid: bool) -> Turn:
    """Which picture has most of a thing; in a quarter of the cases all have the same number."""
    number = _number(rng)
    if rng.random() < 0.25:
        counts, answer = [rng.randint(1, 3)] * number, "the same"
    else:
        best = rng.randrange(number)
        most = rng.randint(1, 3)
        counts = [most if index == best else rng.randrange(most) for index in range(number)]
        answer = f"the {ORDINALS[best]}"
    word, scenes = _with_counts(rng, counts, avoid)
    return scenes, rng.choice(MORE).format(xs=plural(word), one_or_other=_one_or_other(number)), answer


def total(rng: random.Random, avoid: bool) -> Turn:
    number = _number(rng)
    counts = [0] * number
    while not any(counts):
        counts = [rng.choice((0, 1, 1, 2, 2, 3)) for _ in range(number)]
    word, scenes = _with_counts(rng, counts, avoid)
    return scenes, rng.choice(TOTAL).format(xs=plural(word), all=TOGETHER[number]), str(sum(counts))


def which(rng: random.Random, avoid: bool) -> Turn:
    """The only picture with a thing or, in one of five cases, with a background."""
    number = _number(rng)
    right = rng.randrange(number)
    if rng.random() < 0.2:
        grounds = rng.sample(list(BACKGROUNDS), number)
        scenes = [_scene(rng, [], avoid, background=ground) for ground in grounds]
        question = rng.choice(WHICH_BACKGROUND).format(on=on(grounds[right]))
    else:
        name = rng.choice(list(OBJECTS))
        scenes = [_scene(rng, [name] if index == right else [], avoid, without=[name]) for index in range(number)]
        words = {"x": name, "a": a(name), "is": is_are(name), "one_or_other": _one_or_other(number)}
        question = rng.choice(WHICH).format(**words)
    return scenes, question, f"the {ORDINALS[right]}"


def in_all(rng: random.Random, avoid: bool) -> Turn:
    """Whether a thing is in every picture. When it is not, it is missing from some or from all."""
    number, name, yes = _number(rng), rng.choice(list(OBJECTS)), rng.random() < 0.5
    held = [yes or rng.random() < 0.6 for _ in range(number)]
    if not yes:
        held[rng.randrange(number)] = False
    scenes = [_scene(rng, [name] if there else [], avoid, without=[name]) for there in held]
    question = rng.choice(IN_ALL).format(a=a(name), all=TOGETHER[number], **{"is": is_are(name)})
    return scenes, question, "yes" if all(held) else "no"


def difference(rng: random.Random, avoid: bool) -> Turn:
    """The one thing that only one of two pictures contains; the other may have things of its own, too."""
    first, *shared = rng.sample(list(OBJECTS), rng.randint(2, 3))
    other = _scene(rng, shared, avoid, without=[first])
    one = _scene(rng, [first, *shared], avoid, fill=False)
    scenes, (name, reference) = [other, one], (ORDINALS[1], ORDINALS[0])
    if rng.random() < 0.5:
        scenes, (name, reference) = [one, other], (ORDINALS[0], ORDINALS[1])
    return scenes, rng.choice(DIFFERENCE).format(one=name, other=reference), counted(first)


def changed(rng: random.Random, avoid: bool) -> Turn:
    """A picture and its edit; operations are equally likely. The name of what changes is unique."""
    operation = rng.choice(list(CHANGES))
    while True:
        scene = scene_to_edit(rng, avoid)
        change = OPERATIONS[operation](rng, scene)
        if change and apart(change.target, GAP) and sum(s.name == change.names[0] for s in scene.stickers) <= 1:
            return [scene, change.target], rng.choice(CHANGED), CHANGES[operation](*change.names)


SEVERAL_QUESTIONS: dict[str, Callable[[random.Random, bool], Turn]] = {
    "more": more,
    "total": total,
    "which": which,
    "in_all": in_all,
    "difference": difference,
    "changed": changed,
}


def _number(rng: random.Random) -> int:
    return 2 if rng.random() < 0.65 else 3


def _one_or_other(number: int) -> str:
    """ "in the first or in the second", "in the first, second or third"."""
    return "in the first or in the second" if number == 2 else "in the first, second or third"


def _was(name: str) -> str:
    return "were" if is_are(name) == "are" else "was"


def _with_counts(rng: random.Random, counts: Sequence[int], avoid: bool) -> tuple[str, list[Scene]]:
    """A word, and scenes with these numbers of things that it names. Half of the words for coloured things omit the
    colour: "cars" are red and blue ones."""
    name = rng.choice(list(OBJECTS))
    word = OBJECTS[name].kind if rng.random() < 0.5 else name
    named = [other for other, thing in OBJECTS.items() if word in (other, thing.kind)]
    each = [[rng.choice(named) for _ in range(count)] for count in counts]
    return word, [_scene(rng, names, avoid, without=named) for names in each]


def _scene(
    rng: random.Random,
    names: list[str],
    avoid: bool,
    without: Sequence[str] = (),
    background: str = "",
    fill: bool = True,
) -> Scene:
    """A picture of one tile with these things and, with `fill`, up to two more whose names are not in `without`."""
    ground = background or rng.choice(list(BACKGROUNDS))
    count = len(names)
    if fill:
        count = min(MOST, max(1, count + rng.choice((0, 1, 1, 2))))
    pool = [name for name in OBJECTS if name not in without]
    held = pick_names(rng, count, ground, avoid, names, pool)
    rng.shuffle(held)
    while True:
        scene = sample(rng, count=count, background=ground, names=held, unseen=None)
        if len(scene.stickers) == count:
            return scene
