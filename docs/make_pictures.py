"""Draws the pictures of the README and of the guide with the bundled model: `python docs/make_pictures.py`.

Writes into docs/images, and the slide as docs/images/slide.pptx beside its picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

import seedx
from seedx.draw_boxes import mark_boxes
from seedx.inference.pipeline import Pipeline

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
SIDE = 192  # pixels at which a picture is shown
GAP = 12
LINE = 18

DRAWINGS = (
    "a cat on the left and a red car on the right, on the beach",
    "a birthday for a dog",
    "three stars at night",
    "a fox wearing a hat in the snow",
)
FOUND = ("the cat", "the tree")
EDITS = ("put sunglasses on the cat", "replace the tree with a house", "change the background to the beach")
STORY = "a cat with a hat goes to the beach"
COMBINED = ("put this hat on the cat", "the animals of both pictures together")
SLIDE = "a slide about a picnic for a dog"


def row(pictures: Sequence[PIL.Image.Image], captions: Sequence[str]) -> PIL.Image.Image:
    """Pictures side by side on white, their captions below them."""
    font = PIL.ImageFont.load_default(13)
    texts = [wrapped(caption, font) for caption in captions]
    lines = max(text.count("\n") + 1 for text in texts)
    sheet = PIL.Image.new("RGB", (GAP + len(pictures) * (SIDE + GAP), SIDE + 3 * GAP + lines * LINE), "white")
    pen = PIL.ImageDraw.Draw(sheet)
    for index, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        left = GAP + index * (SIDE + GAP)
        sheet.paste(picture.convert("RGB").resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC), (left, GAP))
        pen.multiline_text((left, SIDE + 2 * GAP), text, fill="#333333", font=font)
    return sheet


def wrapped(text: str, font: PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont) -> str:
    """The text in lines no longer than a picture is wide."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= SIDE:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def main() -> None:
    model = seedx.load("tiny", progress=True)
    IMAGES.mkdir(parents=True, exist_ok=True)
    meadow = model.open(ROOT / "examples" / "meadow.png")
    boxes = [box for name in FOUND for box in model.ground(meadow, name)]
    found = mark_boxes(meadow.resize((2 * SIDE, 2 * SIDE), PIL.Image.Resampling.BICUBIC), boxes)
    found.save(IMAGES / "reads.png")
    row([model.draw(f"draw {wish}", seed=0) for wish in DRAWINGS], DRAWINGS).save(IMAGES / "draws.png")
    edited = [model.edit(meadow, instruction, seed=0) for instruction in EDITS]
    row([meadow, *edited], ["the picture given", *EDITS]).save(IMAGES / "edits.png")
    redrawn = [model.reconstruct(meadow), model.reconstruct(meadow, condition=meadow)]
    captions = ["the picture given", "drawn from its features alone", "and with the detail of the original"]
    row([meadow, *redrawn], captions).save(IMAGES / "redraws.png")
    story(model)
    combined(model, meadow)
    slide = model.slide(SLIDE).fitted()
    slide.to_image(640).save(IMAGES / "slide.png")
    slide.to_pptx(IMAGES / "slide.pptx")
    conversation(model).save(IMAGES / "conversation.png")


def story(model: Pipeline) -> None:
    frames = model.story(STORY, frames=5)
    row([picture for _, picture in frames], [text for text, _ in frames]).save(IMAGES / "story.png")


def combined(model: Pipeline, meadow: PIL.Image.Image) -> None:
    hat, pond = (model.open(ROOT / "examples" / name) for name in ("hat.png", "pond.png"))
    drawn = [
        model.chat(prompt, [one, other], drawing="force").images[0]
        for prompt, one, other in ((COMBINED[0], hat, meadow), (COMBINED[1], meadow, pond))
    ]
    captions = ["a hat", "a meadow", COMBINED[0], "a pond", COMBINED[1]]
    row([hat, meadow, drawn[0], pond, drawn[1]], captions).save(IMAGES / "combined.png")


def conversation(model: Pipeline) -> PIL.Image.Image:
    """The turns of examples/six_turns.txt in one session: the picture that each reads or draws, with prompt and reply;
    below them the story of the last turn."""
    chat, pictures, captions = model.session(), [], []
    latest = PIL.Image.new("RGB", (SIDE, SIDE), "white")
    *turns, last = (ROOT / "examples" / "six_turns.txt").read_text(encoding="utf-8").splitlines()
    for prompt in turns:
        reply = chat.send(prompt)
        latest = reply.images[-1] if reply.images else latest
        large = latest.resize((2 * SIDE, 2 * SIDE), PIL.Image.Resampling.BICUBIC)
        pictures.append(mark_boxes(large, reply.boxes) if reply.boxes else latest)
        captions.append(f"{prompt} - {reply.text}")
    frames = chat.send(last).frames
    sentences = [f"{last} - {frames[0][0]}", *(text for text, _ in frames[1:])]
    return above(row(pictures, captions), row([picture for _, picture in frames], sentences))


def above(upper: PIL.Image.Image, lower: PIL.Image.Image) -> PIL.Image.Image:
    both = PIL.Image.new("RGB", (max(upper.width, lower.width), upper.height + lower.height), "white")
    both.paste(upper, (0, 0))
    both.paste(lower, (0, upper.height))
    return both


if __name__ == "__main__":
    main()
