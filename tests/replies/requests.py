"""Fixed requests to the bundled model, and its recorded replies.

python tests/replies/requests.py record     record the replies, after a change that is meant to change them
python tests/replies/requests.py compare    list the differences from the recorded replies
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"
LEVELS = 1  # the largest allowed difference of a pixel
STEPS = 5  # of a drawing, unless its request says


@dataclass(frozen=True)
class Kept:
    """A recorded reply: boxes as lists of numbers, pictures as (H, W, 3) uint8."""

    text: str
    boxes: list[list[float]]
    pictures: list[np.ndarray[Any, Any]]


def replies(model: Any) -> dict[str, Kept]:
    """The replies to all requests, by name."""
    kept: dict[str, Kept] = {}

    def keep(name: str, text: str = "", boxes: Any = (), pictures: Any = ()) -> None:
        corners = [[round(value, 6) for value in box.box] for box in boxes]
        assert name not in kept
        kept[name] = Kept(text, corners, [np.asarray(picture) for picture in pictures])

    for prompt, *files in CHAT:
        reply = model.chat(prompt, images=[EXAMPLES / file for file in files], seed=3)
        keep(f"chat: {prompt} {files}", reply.text, reply.boxes, reply.images)
    sampled = model.chat("describe the picture", images=[EXAMPLES / "pond.png"], temperature=0.8, top_p=0.9, seed=11)
    keep("chat: sampled", sampled.text, sampled.boxes, sampled.images)
    for file, phrase in GROUND:
        keep(f"ground: {phrase} [{file}]", boxes=model.ground(EXAMPLES / file, phrase))
    for number, (prompt, options) in enumerate(DRAW):
        keep(f"draw: {prompt}", pictures=[model.draw(prompt, seed=number, **options)])
    for file, instruction, options in EDIT:
        keep(f"edit: {instruction} [{file}]", pictures=[model.edit(EXAMPLES / file, instruction, **options)])
    for condition in (None, EXAMPLES / "meadow.png"):
        picture = model.reconstruct(EXAMPLES / "meadow.png", condition=condition, seed=2)
        keep(f"reconstruct: {'with' if condition else 'without'} a condition", pictures=[picture])
    for prompt, frames in STORIES:
        told = model.story(prompt, frames=frames, seed=1)
        keep(f"story: {prompt}", "\n".join(text for text, _ in told), pictures=[picture for _, picture in told])
    slide = model.slide("a slide about a picnic for a dog", seed=4)
    keep("slide", slide.to_json(), pictures=[slide.fitted().to_image(480)])
    batch = model.chat_batch([(text, [EXAMPLES / file]) for text, file in BATCH], seed=5)
    for (text, file), reply in zip(BATCH, batch, strict=True):
        keep(f"batch: {text} [{file}]", reply.text, reply.boxes, reply.images)
    for name, turns in SESSIONS.items():
        session = model.session()
        for number, (text, files) in enumerate(turns, 1):
            reply = session.send(text, [EXAMPLES / file for file in files], seed=7)
            keep(f"session {name}, turn {number}: {text}", reply.text, reply.boxes, reply.images)
    return kept


CHAT = (
    ("what does the dog wear?", "beach.png"),
    ("what is in the picture?", "photo.jpg"),
    ("where is the moon?", "night.png"),
    ("describe the picture", "meadow.png"),
    ("how many stars are there?", "panorama.png"),
    ("what is written at the top?", "street.png"),
    ("what is right below the whale?", "tower.png"),
    ("which picture has more ducks?", "meadow.png", "pond.png"),
    ("put this hat on the cat", "hat.png", "meadow.png"),
    ("the animals of both pictures together", "meadow.png", "pond.png"),
    ("draw a cat on the beach",),
    ("hello",),
)
GROUND = (
    ("meadow.png", "the tree"),
    ("meadow.png", "cat"),
    ("beach.png", "the dog"),
    ("night.png", "the moon"),
    ("pond.png", "all ducks"),
    ("panorama.png", "all stars"),
    ("tower.png", "the whale"),
)
DRAW: tuple[tuple[str, dict[str, Any]], ...] = (
    ("draw a cat on the left and a red car on the right, on the beach", {}),
    ("a birthday for a dog", {}),
    ("draw three stars at night", {}),
    ("draw a fox wearing a hat in the snow", {}),
    ("draw a duck above a boat", {"size": (128, 72)}),
    ("draw a house and a tree", {"steps": 6, "guidance": 1.0}),
    ("draw a cow on green", {"sampler": "DDIMScheduler"}),
    ("draw two apples", {"temperature": 0.7}),
)
EDIT: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("meadow.png", "put sunglasses on the cat", {}),
    ("meadow.png", "replace the tree with a house", {"seed": 1}),
    ("meadow.png", "change the background to the beach", {"seed": 2}),
    ("beach.png", "remove the dog", {"image_guidance": 2.0}),
    ("pond.png", "add a star at the top", {"seed": 4, "steps": 8}),
    ("tower.png", "make the background blue", {"seed": 5}),
)
STORIES = (("a cat with a hat goes to the beach", 3), ("a dog finds a star", 4), ("a birthday for a cow", 7))
BATCH = (
    ("how many things are there?", "meadow.png"),
    ("what does the dog wear?", "beach.png"),
    ("find the moon", "night.png"),
    ("put a hat on the cat", "meadow.png"),
)
SESSIONS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "of pictures": (
        ("draw a cat and a tree on the beach", ()),
        ("now make the background green", ()),
        ("find the cat", ()),
        ("remove the tree", ()),
    ),
    "of questions": (
        ("how many things are there?", ("meadow.png",)),
        ("what is right of the cat?", ()),
        ("find the tree", ()),
        ("put a hat on the cat", ()),
    ),
    "of six turns": tuple((turn, ()) for turn in (EXAMPLES / "six_turns.txt").read_text().splitlines()),
}


def write(kept: dict[str, Kept], folder: Path = HERE) -> None:
    texts = {name: {"text": each.text, "boxes": each.boxes} for name, each in kept.items()}
    (folder / "replies.json").write_text(json.dumps(texts, indent=1) + "\n", encoding="utf-8")
    pictures = {f"{name}/{i}": p for name, each in kept.items() for i, p in enumerate(each.pictures)}
    np.savez_compressed(folder / "pictures.npz", **pictures)  # type: ignore[arg-type]


def read(folder: Path = HERE) -> dict[str, Kept]:
    texts = json.loads((folder / "replies.json").read_text(encoding="utf-8"))
    with np.load(folder / "pictures.npz") as stored:
        pictures = dict(stored)
    return {
        name: Kept(each["text"], each["boxes"], [p for key, p in pictures.items() if key.rpartition("/")[0] == name])
        for name, each in texts.items()
    }


def differences(before: dict[str, Kept], now: dict[str, Kept]) -> list[str]:
    """One line for each difference in text, boxes, or in a picture by more than `LEVELS`."""
    lines = [f"{name}: only in one of both" for name in before.keys() ^ now.keys()]
    for name in before.keys() & now.keys():
        old, new = before[name], now[name]
        if old.text != new.text:
            lines.append(f"{name}: {old.text!r} -> {new.text!r}")
        if old.boxes != new.boxes:
            lines.append(f"{name}: {old.boxes} -> {new.boxes}")
        if [p.shape for p in old.pictures] != [p.shape for p in new.pictures]:
            lines.append(f"{name}: {len(old.pictures)} pictures -> {len(new.pictures)}, or of other sizes")
            continue
        for number, (one, other) in enumerate(zip(old.pictures, new.pictures, strict=True)):
            levels = np.abs(one.astype(int) - other.astype(int)).max(initial=0)
            if levels > LEVELS:
                lines.append(f"{name}: picture {number} differs by up to {levels} levels")
    return sorted(lines)


if __name__ == "__main__":
    sys.path.append(str(HERE.parent))
    from small import load_with_steps

    made = replies(load_with_steps(STEPS))
    if sys.argv[1:] == ["record"]:
        write(made)
    elif sys.argv[1:] == ["compare"]:
        found = differences(read(), made)
        print("\n".join(found) or "the same")
        sys.exit(bool(found))
    else:
        sys.exit(__doc__)
    print(f"{len(made)} replies, {sum(len(each.pictures) for each in made.values())} pictures")
