"""A hundred pictures with an edit that the bundled model has never heard of, as a user would bring them.

    python examples/finetune/make_data.py

writes examples/finetune/data: pictures/, edits.jsonl to learn from and held-out.jsonl to look at afterwards. "Make it
wintry" lays snow and puts a snowman into the top right corner.
"""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

from seedx_stickers import tasks
from seedx_stickers.scenes import PLACES, Scene, Sticker, render

FOLDER = Path(__file__).parent / "data"
WORDS = ("make it wintry", "turn this into winter", "let it be winter", "a wintry version, please")
SIZE = 0.34


def wintry(scene: Scene) -> Scene | None:
    """The scene in winter; None where its corner is taken or it is wintry already."""
    x, y = PLACES["top right"]
    taken = any(abs(s.x - x) < 0.4 and abs(s.y - y) < 0.4 for s in scene.stickers)
    if taken or scene.background == "snow" or any(s.name == "snowman" for s in scene.stickers):
        return None
    return dataclasses.replace(scene, background="snow", stickers=(*scene.stickers, Sticker("snowman", x, y, SIZE)))


def pairs(seed: str, count: int) -> list[tuple[Scene, Scene]]:
    rng = random.Random(seed)
    found: list[tuple[Scene, Scene]] = []
    while len(found) < count:
        scene = tasks.sample(rng, "edit").scenes[0]
        if target := wintry(scene):
            found.append((scene, target))
    return found


def write(name: str, seed: str, count: int) -> None:
    (FOLDER / "pictures").mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        for i, scenes in enumerate(pairs(seed, count)):
            paths = [f"pictures/{name}-{i:03d}-{when}.png" for when in ("before", "after")]
            for path, scene in zip(paths, scenes, strict=True):
                render(scene).save(FOLDER / path)
            record = {"source_image": paths[0], "instruction": WORDS[i % len(WORDS)], "target_image": paths[1]}
            file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    write("edits", "edits", 100)
    write("held-out", "held-out", 40)
    print(f"wrote {FOLDER}: edits.jsonl (100 pairs), held-out.jsonl (40), pictures/")
