"""What a model makes of `by_eye.toml`: sixty drawings, thirty edits, ten stories, ten slides and sixty questions that a
person typed before seeing any answer, as pages for a person to judge.

    python benchmarks/by_eye.py --model tiny --out runs/by-eye

OUT/drawings.webp, edits.webp, stories.webp, slides.webp; OUT/questions.md with a column for the verdict.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import tyro
from PIL import Image, ImageColor, ImageDraw, ImageFont

import seedx
from seedx.draw_boxes import mark_boxes
from seedx.errors import SeedxError
from seedx.inference.pipeline import Pipeline
from seedx_stickers.art import BACKGROUNDS
from seedx_stickers.claims.contact_sheet import LINE, wrapped
from seedx_stickers.looks import Ground
from seedx_stickers.scenes import Scene, Sticker

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
HIGH, GAP, LINES = 120, 8, 3  # pixels of a picture and between two; lines of words below
THING = re.compile(r"(?P<name>.+?) (?P<x>[\d.]+) (?P<y>[\d.]+) (?P<size>[\d.]+)(?P<wears>( [a-z]+)*)")


def picture_of(text: str) -> Image.Image:
    """A picture as by_eye.toml describes it: a file of examples/, or a scene."""
    if re.fullmatch(r"\w+\.(png|jpg)", text):
        return Image.open(EXAMPLES / text).convert("RGB")
    size = re.match(r"(\d+)x(\d+): ", text)
    things, ground = (each.strip() for each in text[size.end() if size else 0 :].split("|"))
    wide, high = (int(size[1]), int(size[2])) if size else (96, 96)
    stickers = []
    for thing in things.split(", "):
        match = THING.fullmatch(thing)
        assert match, thing
        x, y, longer = (float(match[name]) for name in ("x", "y", "size"))
        stickers.append(Sticker(match["name"], x, y, longer, tuple(match["wears"].split())))
    if ground in BACKGROUNDS:
        return Scene(wide, high, ground, tuple(stickers)).render()
    colours = tuple((red, green, blue) for red, green, blue, *_ in map(ImageColor.getrgb, ground.split()))
    paint = Ground("", "plain" if len(colours) == 1 else "gradient", colours)
    return Scene(wide, high, "white", tuple(stickers), ground=paint).render()


def sheet(cells: list[tuple[list[Image.Image], str]], columns: int) -> Image.Image:
    """Cells of some pictures in a row with words below them."""
    font = ImageFont.load_default(12)
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    shown = [[([_high(picture) for picture in pictures], words) for pictures, words in row] for row in rows]
    width = max(sum(p.width + GAP for p in pictures) for row in shown for pictures, _ in row)
    step = HIGH + LINES * LINE + 2 * GAP
    canvas = Image.new("RGB", (columns * (width + GAP), len(rows) * step), "white")
    pen = ImageDraw.Draw(canvas)
    for number, row in enumerate(shown):
        for place, (pictures, words) in enumerate(row):
            x, y = place * (width + GAP), number * step
            lines = wrapped(words, font, width - GAP).split("\n")[:LINES]
            pen.multiline_text((x, y + HIGH + 2), "\n".join(lines), fill="#222222", font=font)
            for picture in pictures:
                canvas.paste(picture, (x, y))
                x += picture.width + GAP
    return canvas


def _high(picture: Image.Image) -> Image.Image:
    return picture.resize((max(1, round(picture.width * HIGH / picture.height)), HIGH), Image.Resampling.BICUBIC)


def drawings(model: Pipeline, asked: list[str]) -> Image.Image:
    pictures = [model.draw(words) for words in asked]
    return sheet([([p], f"{n} {words}") for (n, words), p in zip(enumerate(asked, 1), pictures, strict=True)], 10)


def edits(model: Pipeline, asked: list[dict[str, str]]) -> Image.Image:
    cells = []
    for number, each in enumerate(asked, 1):
        given = picture_of(each["picture"])
        cells.append(([given, model.edit(given, each["ask"])], f"{number} {each['ask']}"))
    return sheet(cells, 5)


def stories(model: Pipeline, asked: list[str]) -> Image.Image:
    cells = []
    for number, words in enumerate(asked, 1):
        frames = model.story(words, frames=_count(words))
        told = " / ".join(sentence for sentence, _ in frames)
        cells.append(([picture for _, picture in frames], f"{number} {words}: {told}"))
    return sheet(cells, 2)


def _count(words: str) -> int:
    names = {"two": 2, "three": 3, "four": 4}
    return next(int(names.get(word, word)) for word in re.findall(r"\w+", words) if word.isdigit() or word in names)


def slides(model: Pipeline, asked: list[str]) -> Image.Image:
    cells = []
    for number, words in enumerate(asked, 1):
        try:
            cells.append(([model.slide(words).fitted().to_image(320)], f"{number} {words}"))
        except SeedxError as error:
            cells.append(([Image.new("RGB", (160, HIGH), "#dddddd")], f"{number} {words}: {error}"))
    return sheet(cells, 5)


def questions(model: Pipeline, asked: list[dict[str, str]], out: Path) -> str:
    """A table; boxes are also drawn, in a file each."""
    lines = ["| | picture | asked | right is | answered | verdict |", "|---|---|---|---|---|---|"]
    for number, each in enumerate(asked, 1):
        given = [picture_of(each["picture"])] if "picture" in each else []
        reply = model.chat(each["ask"], given)
        answer = reply.text or "(a picture)"
        if boxes := reply.boxes:
            answer = ", ".join(f"{box.label} {tuple(round(side, 2) for side in box.box)}" for box in boxes)
            mark_boxes(given[0], boxes).save(out / f"question-{number}.png")
        shown = each.get("picture", "").replace(" | ", ", on ")
        lines.append(f"| {number} | {shown} | {each['ask']} | {each['right']} | {answer} | |")
    return "\n".join(lines) + "\n"


def main(*, model: str = "tiny", out: Path = Path("runs/by-eye")) -> None:
    """Ask everything and write the pages.

    Args:
        model: a name or a folder.
    """
    loaded = seedx.load(model)
    asked = tomllib.loads((HERE / "by_eye.toml").read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    (out / "questions.md").write_text(questions(loaded, asked["questions"], out), encoding="utf-8")
    for name, make in (("drawings", drawings), ("edits", edits), ("stories", stories), ("slides", slides)):
        make(loaded, asked[name]).save(out / f"{name}.webp", quality=85)
    print(out)


if __name__ == "__main__":
    tyro.cli(main)
