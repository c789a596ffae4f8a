"""The scores of one answer.

Each function compares one answer with the ground truth; drawings are compared by what the judge detected in them.
`evaluation/` runs a model and averages the scores.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from PIL import Image

from seedx.inference.reply import Reply
from seedx.messages import Box
from seedx.slides import Slide
from seedx_stickers.art import aspect
from seedx_stickers.judge import Seen, Sighting
from seedx_stickers.layout import Ask
from seedx_stickers.scenes import PLACES, TILE, Corners, Scene, Sticker, render, worn_box
from seedx_stickers.tasks import Expected, normalise
from seedx_stickers.tasks.stories import things_named

NEAR = 0.14  # the largest distance of centres at which an object is in its place: half the step between named places
WORN_NEAR = 0.09  # the same for a worn thing
EXACT = 0.05  # the same for the judge itself, on renders
MARGIN = 0.03  # the boxes of an edit are widened by this
BEST_PSNR = 60.0  # of equal pictures: finer than 8 bits can represent

Values = dict[str, float | None]  # scores by name; None where there is nothing to score


def truth(scene: Scene) -> Seen:
    """What a perfect judge detects in a render of the scene."""
    seen = []
    for sticker in scene.stickers:
        seen.append(Sighting(sticker.name, sticker.x, sticker.y, sticker.size))
        for thing in sticker.wears:
            x0, y0, x1, y1 = worn_box(scene, sticker, thing)
            size = (x1 - x0) * scene.width * max(1.0, 1 / aspect(thing)) / min(scene.width, scene.height)
            seen.append(Sighting(thing, (x0 + x1) / 2, (y0 + y1) / 2, size))
    return Seen(tuple(seen), scene.background)


def found(wanted: Sequence[Sighting], seen: Sequence[Sighting], near: float = NEAR) -> list[int | None]:
    """For each wanted object, the index of the matching seen object: of the same name and within `near`. Matches are
    assigned by ascending distance, each once; None means no match."""
    pairs = [
        (_distance(one, other), i, j)
        for i, one in enumerate(wanted)
        for j, other in enumerate(seen)
        if one.name == other.name
    ]
    matches: list[int | None] = [None] * len(wanted)
    for distance, i, j in sorted(pairs):
        if distance <= near and matches[i] is None and j not in matches:
            matches[i] = j
    return matches


def _distance(one: Sighting, other: Sighting) -> float:
    return math.dist((one.x, one.y), (other.x, other.y))


def question(answer: str, expected: Expected) -> Values:
    """1 if the normalised answer is right, as "accuracy" and under the type of the question."""
    right = float(normalise(answer) == normalise(expected.text))
    return {"accuracy": right, expected.type: right}


def boxes(given: Sequence[Box], expected: Expected) -> Values:
    """Mean IoU, and the share of boxes with IoU of at least 0.5. Missing and extra boxes count as 0."""
    wanted = [box.box for box in expected.boxes]
    overlaps = sorted(
        ((iou(a, b.box), i, j) for i, a in enumerate(wanted) for j, b in enumerate(given)), key=lambda pair: -pair[0]
    )
    rows: set[int] = set()
    columns: set[int] = set()
    matched = []
    for overlap, i, j in overlaps:
        if i not in rows and j not in columns:
            rows.add(i)
            columns.add(j)
            matched.append(overlap)
    total = max(len(wanted), len(given))
    return {"iou": sum(matched) / total, "acc@iou0.5": sum(overlap >= 0.5 for overlap in matched) / total}


def iou(a: Corners, b: Corners) -> float:
    """Intersection over union of two boxes."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, across) * max(0.0, down)
    union = sum(max(0.0, x1 - x0) * max(0.0, y1 - y0) for x0, y0, x1, y1 in (a, b)) - common
    return common / union if union > 0 else 0.0


def drawing(seen: Seen, expected: Expected) -> Values:
    """Whether all objects are there (worn things on their wearers) and no others; the share of objects in their named
    places; whether the background is right."""
    assert expected.target is not None
    wanted = Counter(item.name for item in truth(expected.target).objects)
    there = Counter(item.name for item in seen.objects)
    placed = [ask for ask in expected.asked if ask.place]
    return {
        "all_objects": float(wanted <= there and all(_worn(ask, seen) for ask in expected.asked)),
        "none_extra": float(there <= wanted),
        "place": sum(_in_place(ask, seen) for ask in placed) / len(placed) if placed else None,
        "background": float(seen.background == expected.target.background),
    }


def _in_place(ask: Ask, seen: Seen) -> bool:
    """Whether the thing is there, with its own as the nearest of the nine places."""
    nearest = [min(PLACES, key=lambda p: math.dist(PLACES[p], (s.x, s.y))) for s in seen.objects if s.name == ask.name]
    return ask.place in nearest


def _worn(ask: Ask, seen: Seen) -> bool:
    """Whether an animal of that name wears all that it should."""
    animals = [
        Sticker(item.name, item.x, item.y, item.size, ask.wears) for item in seen.objects if item.name == ask.name
    ]
    dressed = (truth(Scene(TILE, TILE, seen.background, (animal,))).objects[1:] for animal in animals)
    return not ask.wears or any(None not in found(things, seen.objects, WORN_NEAR) for things in dressed)


def edit(seen: Seen, picture: Image.Image, expected: Expected) -> Values:
    """Whether the change is there, also under the name of the operation, and the PSNR of the untouched region.

    The change is the difference of source and target: new objects are in their places, removed ones are gone, and the
    background is the new one. A new background touches every pixel, so it has no PSNR.
    """
    assert expected.source is not None and expected.target is not None
    before, after = truth(expected.source), truth(expected.target)
    matches = found(after.objects, seen.objects)
    new_there = all(j is not None for item, j in zip(after.objects, matches, strict=True) if item not in before.objects)
    rest = [item for j, item in enumerate(seen.objects) if j not in matches]
    gone = [item for item in before.objects if item not in after.objects]
    old_gone = all(match is None for match in found(gone, rest))
    background = before.background == after.background or seen.background == after.background
    done = float(new_there and old_gone and background)
    return {"done": done, expected.type: done, "psnr_outside": psnr(picture, expected.target, expected.touched)}


def story(texts: Sequence[str], seens: Sequence[Seen], expected: Expected) -> Values:
    """The share of frames that show what their own sentence names ("frames") and the hero with what it wears ("hero"),
    the share of sentences that are right ("told"), and whether the number of frames is right ("count").

    `texts` and `seens` are the sentence and the picture of each frame. Shares are of the expected frames, or of the
    given ones if these are more.
    """
    asked, (hero,) = len(expected.frames), expected.asked
    total = max(len(seens), asked)
    showing = sum(_shows(text, seen) for text, seen in zip(texts, seens, strict=True))
    there = sum(any(item.name == hero.name for item in seen.objects) and _worn(hero, seen) for seen in seens)
    told = sum(normalise(text) == normalise(frame.text) for text, frame in zip(texts, expected.frames, strict=False))
    count = float(len(seens) == asked)
    return {"frames": showing / total, "hero": there / total, "told": told / total, "count": count}


def _shows(text: str, seen: Seen) -> bool:
    """Whether all objects of a sentence, and its background if it has one, are seen; False if it names no object."""
    names, background = things_named(text)
    there = {item.name for item in seen.objects}
    return bool(names) and there.issuperset(names) and background in (None, seen.background)


def slide(reply: Reply, expected: Expected, seen: Seen | None) -> Values:
    """Whether there is a slide with a title and a drawn picture ("valid"); whether its elements do not overlap and are
    inside it ("no_overlap"); whether its picture, by what was `seen` in it, has all objects ("picture")."""
    try:
        page = Slide.parse(reply.content)
    except ValueError:
        return {"valid": 0.0, "no_overlap": 0.0, "picture": 0.0}
    drawn = any(image.image for image in page.images)
    clear = not page.overlaps() and not any(element.outside for element in page.elements)
    shown = drawing(seen, expected)["all_objects"] if seen else 0.0
    return {"valid": float(bool(page.title and drawn)), "no_overlap": float(clear), "picture": shown}


def objects(seen: Seen, scene: Scene, near: float = NEAR) -> float:
    """The share of the scene's objects that are detected in their places; 1 for an empty scene."""
    matches = found(truth(scene).objects, seen.objects, near)
    return sum(match is not None for match in matches) / len(matches) if matches else 1.0


def judgement(seen: Seen, scene: Scene) -> Values:
    """The scores of the judge on a render of the scene: the share of objects, and whether everything is right."""
    share = objects(seen, scene, EXACT)
    background = float(seen.background == scene.background)
    exact = share == 1 and background == 1 and len(seen.objects) == len(truth(scene).objects)
    return {"accuracy": share, "exact": float(exact), "background": background}


def psnr(picture: Image.Image, scene: Scene, without: Sequence[Corners] = ()) -> float | None:
    """PSNR in dB against a render of the scene at the picture's size, outside of the boxes `without` and a margin.

    None if less than a hundredth of the picture is left; 60 dB at most.
    """
    wide, high = picture.size
    target = render(dataclasses.replace(scene, width=wide, height=high))
    kept = np.ones((high, wide), bool)
    for x0, y0, x1, y1 in without:
        left, top = max(0, math.floor((x0 - MARGIN) * wide)), max(0, math.floor((y0 - MARGIN) * high))
        kept[top : math.ceil((y1 + MARGIN) * high), left : math.ceil((x1 + MARGIN) * wide)] = False
    if kept.mean() < 0.01:
        return None
    difference = np.asarray(picture.convert("RGB"), np.float64)[kept] - np.asarray(target, np.float64)[kept]
    error = float(np.square(difference).mean())
    return min(BEST_PSNR, 10 * math.log10(255**2 / error)) if error else BEST_PSNR
