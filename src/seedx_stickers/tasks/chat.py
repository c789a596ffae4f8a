"""Conversations with pictures: what is drawn in one turn is asked about and edited in the next.

    draw a cat on the left      -> Here it is. [picture]
    now add a star at the top   -> Here it is. [the same picture with a star]
    and where is it?            -> top
    then remove the cat         -> Here it is. [a star]

"It" is what the turn before added, moved or named. Three or four turns, short enough for a training row.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from seedx.messages import Box, Image, Message, Part, Text, assistant, user
from seedx_stickers.art import OBJECTS
from seedx_stickers.layout import apart
from seedx_stickers.scenes import Scene, Sticker, box, is_unseen, place_of
from seedx_stickers.tasks.boxes import box_turn
from seedx_stickers.tasks.drawing import draw
from seedx_stickers.tasks.editing import GAP, OPERATIONS, expected_of, scene_to_edit
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.questions import MARGIN, QUESTIONS
from seedx_stickers.tasks.reading import off_border
from seedx_stickers.tasks.stories import interleaved, story
from seedx_stickers.tasks.words import is_are, styled

# A plan without "draw" starts with a picture of the user.
PLANS = (
    ("draw", "edit", "ask", "edit"),
    ("draw", "ask", "edit", "edit"),
    ("draw", "edit", "edit"),
    ("draw", "edit", "ask"),
    ("ask", "edit", "ask", "edit"),
    ("edit", "ask", "edit", "ask"),
    ("edit", "edit", "ask"),
    ("edit", "ask", "edit"),
)
# These end with a story, which is independent of the turns before.
TO_A_STORY = (
    ("draw", "story"),
    ("ask", "story"),
    ("edit", "story"),
    ("draw", "edit", "story"),
    ("edit", "ask", "story"),
    ("edit", "edit", "story"),
)
MOST_DRAWN = 3  # stickers in a first drawing: more leave no room for edits
STORY_FRAMES = (3, 4)  # least and most pictures of a story in a conversation
TRIES = 12  # for each turn, before the whole conversation is sampled again

BEFORE_EDIT = ("now", "now", "then", "and", "and now")
BEFORE = {"ask": ("now", "and", "and"), "story": ("now", "and now", "then", "please")}
WHERE_IT = ("where is it?", "where is it now?", "in which part of the picture is it?", "tell me where it is")
BOX_IT = ("find it", "show me its box", "point at it", "where is it? give a box", "mark it")


@dataclass(frozen=True)
class Turn:
    """What the user says, what is expected, and the sticker that "it" is in the next turn."""

    prompt: str
    expected: Expected
    it: Sticker | None = None

    @property
    def scene(self) -> Scene:
        """The picture that the next turn is about."""
        frames = self.expected.frames
        scene = frames[-1].scene if frames else self.expected.target or self.expected.source
        assert scene is not None
        return scene


def chat(
    rng: random.Random,
    unseen: bool | None = False,
    plans: Sequence[tuple[str, ...]] = PLANS,
    scattered: bool = False,
) -> Example:
    """One of the plans; plans and operations are equally likely. Every edit changes the picture of the turn before.

    Args:
        scattered: things without places stand anywhere.
    """
    plan = rng.choice(plans)
    steps = [rng.choice(list(OPERATIONS)) if step == "edit" else step for step in plan]
    while True:
        given = None if plan[0] == "draw" else scene_to_edit(rng, avoid=unseen is False)
        turns = _turns(rng, steps, given, unseen is False, scattered)
        if turns and unseen in (None, any(is_unseen(turn.scene) for turn in turns)):
            break
    messages: list[Message[Scene]] = []
    for turn in turns:
        prompt = styled(rng, turn.prompt)
        messages.append(user(Image(given), prompt) if given and not messages else user(prompt))
        messages.append(assistant(*_answer(turn.expected)))
    return Example("chat", messages, [turn.expected for turn in turns])


def _answer(expected: Expected) -> tuple[Part[Scene] | str, ...]:
    if expected.boxes:
        return expected.boxes
    if expected.frames:
        return interleaved(expected.frames)
    return (expected.text, Image(expected.target)) if expected.target else (expected.text,)


def _turns(rng: random.Random, steps: list[str], given: Scene | None, avoid: bool, scattered: bool) -> list[Turn]:
    """A turn for each step, which is "draw", "ask", "story" or an operation; none if one of them can't be made."""
    turns: list[Turn] = []
    scene, it = given, None
    for step in steps:
        turn = _drawn(rng, avoid, scattered) if scene is None else _turn(rng, step, scene, it, avoid)
        if not turn:
            return []
        if turns and rng.random() < 0.6:
            first = rng.choice(BEFORE.get(step, BEFORE_EDIT))
            turn = Turn(f"{first} {turn.prompt}", turn.expected, turn.it)
        turns.append(turn)
        scene, it = turn.scene, turn.it
    return turns


def _turn(rng: random.Random, step: str, scene: Scene, it: Sticker | None, avoid: bool) -> Turn | None:
    if step == "story":
        return _story(rng, avoid)
    for _ in range(TRIES):
        turn = _asked(rng, scene, it) if step == "ask" else _edited(rng, step, scene, it)
        if turn and not (avoid and is_unseen(turn.scene)):
            return turn
    return None


def _drawn(rng: random.Random, avoid: bool, scattered: bool) -> Turn:
    while True:
        example = draw(rng, False if avoid else None, scattered=scattered)
        (expected,) = example.expected
        (prompt,) = example.messages[0].content
        assert isinstance(prompt, Text) and expected.target is not None
        stickers = expected.target.stickers
        if len(stickers) <= MOST_DRAWN:
            return Turn(prompt.text, expected, _it(stickers[0]) if len(stickers) == 1 else None)


def _story(rng: random.Random, avoid: bool) -> Turn:
    """A short story, since there is a conversation before it."""
    example = story(rng, False if avoid else None, rng.randint(*STORY_FRAMES), first_given=False)
    (prompt,) = example.messages[0].content
    assert isinstance(prompt, Text)
    return Turn(prompt.text, example.expected[0])


def _edited(rng: random.Random, operation: str, scene: Scene, it: Sticker | None) -> Turn | None:
    if not scene.stickers:
        return None
    change = OPERATIONS[operation](rng, scene)
    if not (change and change.target.stickers and apart(change.target, GAP)):
        return None
    prompt = _with_pronoun(change.instruction, it) if it and rng.random() < 0.5 else change.instruction
    brought = [s for s in change.target.stickers if s not in scene.stickers]
    return Turn(prompt, expected_of(operation, scene, change), _it(brought[0]) if brought else None)


def _it(sticker: Sticker) -> Sticker | None:
    return sticker if is_are(sticker.name) == "is" else None


def _with_pronoun(instruction: str, it: Sticker) -> str:
    """ "remove the cat" -> "remove it"."""
    return re.sub(rf"\bthe ({it.name}|{OBJECTS[it.name].kind})\b(?! on the| at the)", "it", instruction)


def _asked(rng: random.Random, scene: Scene, it: Sticker | None) -> Turn | None:
    """A question or a box, about anything in the picture or about "it"."""
    if it and rng.random() < 0.4:
        if rng.random() < 0.4:
            return Turn(
                rng.choice(BOX_IT), Expected(type="box", boxes=(Box(box(scene, it), it.name),), source=scene), it
            )
        if off_border(it.x, MARGIN) and off_border(it.y, MARGIN):
            return Turn(rng.choice(WHERE_IT), Expected(place_of(it.x, it.y), "where", source=scene), it)
        return None
    if rng.random() < 0.3:
        return _pointed(rng, scene)
    type_ = rng.choice(list(QUESTIONS))
    asked = QUESTIONS[type_](rng, scene)
    return asked and Turn(asked[0], Expected(asked[1], type_, source=scene))


def _pointed(rng: random.Random, scene: Scene) -> Turn | None:
    if not (found := box_turn(rng, scene)):
        return None
    prompt, boxes = found
    one = [s for s in scene.stickers if len(boxes) == 1 and box(scene, s) == boxes[0].box]
    return Turn(prompt, Expected(type="box", boxes=boxes, source=scene), _it(one[0]) if one else None)
