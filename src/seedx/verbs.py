"""The verbs of the command line. Each signature is its options, each docstring its help (see `cli.py`).

Everything heavy is imported inside, so that help is instant.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seedx.settings import Drawing, DrawSettings, Settings

if TYPE_CHECKING:
    import PIL.Image

    from seedx.config import Config
    from seedx.pipeline import Pipeline


@dataclasses.dataclass(frozen=True)
class Source:
    """Which model answers, and where it runs."""

    model: str = "tiny"
    """"tiny" (bundled), a folder, or a hub id."""
    device: str = "cpu"
    """Where it runs: cpu, cuda, mps."""
    max_pixels: int | None = None
    """Pictures with more are refused before they are decoded; by default about 13,000 x 13,000."""

    def load(self) -> Pipeline:
        from seedx import pipeline
        from seedx.images import MAX_PIXELS

        limit = MAX_PIXELS if self.max_pixels is None else self.max_pixels
        return pipeline.load(self.model, device=self.device, max_pixels=limit, progress=sys.stderr.isatty())


TINY, ANSWER, DRAWING = Source(), Settings(), DrawSettings()


def chat(
    prompt: str = "",
    /,
    *,
    images: tuple[Path, ...] = (),
    drawing: Drawing = "auto",
    out: Path = Path("."),
    interactive: bool = False,
    json: bool = False,
    source: Source = TINY,
    settings: Settings = ANSWER,
) -> None:
    """Ask something, with pictures or none; without a prompt, talk.

    Args:
        prompt: what to ask or wish for.
        images: pictures that the prompt is about.
        drawing: auto: the model decides whether to draw; force: at least one picture; forbid: none.
        out: folder of the pictures that it draws.
        interactive: go on talking after the prompt.
        json: print one object: text, boxes, images, seconds.
    """
    from seedx import talk

    if json and (interactive or not prompt):
        raise ValueError("--json answers one prompt: give one, and leave out --interactive")
    if not prompt or interactive:
        talk.talk(source.load(), prompt, images, drawing, out, settings)
        return
    if not prompt.strip():
        raise ValueError("the prompt is empty: say what you want to know or to see")
    model = source.load()
    start = time.perf_counter()
    reply = model.chat(prompt, images, drawing=drawing, **dataclasses.asdict(settings))
    seconds = time.perf_counter() - start
    files = talk.keep(reply.images, out)
    if json:
        boxes = [{"label": box.label, "box": [round(v, 4) for v in box.box]} for box in reply.boxes]
        _print_json(
            {"text": reply.text, "boxes": boxes, "images": [str(f) for f in files], "seconds": round(seconds, 3)}
        )
    else:
        print("\n".join([reply.text, *talk.box_lines(reply.boxes), *map(str, files)]).strip())


def draw(
    prompt: str,
    /,
    *,
    out: Path = Path("drawing.png"),
    source: Source = TINY,
    settings: Settings = ANSWER,
) -> None:
    """Draw a picture of what a prompt says.

    Args:
        prompt: what the picture shows.
        out: file of the picture.
    """
    _check_target(out)
    model = source.load()
    _save(out, lambda: model.draw(prompt, **dataclasses.asdict(settings)))


def edit(
    image: Path,
    instruction: str,
    /,
    *,
    out: Path = Path("edited.png"),
    source: Source = TINY,
    settings: Settings = ANSWER,
) -> None:
    """Change one thing in a picture.

    Args:
        image: the picture.
        instruction: what to change.
        out: file of the changed picture.
    """
    _check_target(out)
    model = source.load()
    _save(out, lambda: model.edit(image, instruction, **dataclasses.asdict(settings)))


def ground(
    image: Path,
    phrase: str,
    /,
    *,
    out: Path | None = None,
    json: bool = False,
    source: Source = TINY,
    settings: Settings = ANSWER,
) -> None:
    """Find things in a picture: their boxes.

    Args:
        image: the picture.
        phrase: what to find: "the dog on the right", "all stars".
        out: file of the picture with the boxes on it.
        json: print a list of labels and corners, as fractions of the picture.
    """
    from seedx import talk

    if out:
        _check_target(out)
    model = source.load()
    boxes = model.ground(image, phrase, **dataclasses.asdict(settings))
    if json:
        _print_json([{"label": box.label, "box": [round(v, 4) for v in box.box]} for box in boxes])
    else:
        print("\n".join(talk.box_lines(boxes)) or "nothing found")
    if out:
        from seedx.marks import mark_boxes

        mark_boxes(model.open(image), boxes).save(out)


def reconstruct(
    image: Path,
    /,
    *,
    condition: Path | None = None,
    out: Path = Path("reconstructed.png"),
    source: Source = TINY,
    settings: DrawSettings = DRAWING,
) -> None:
    """Draw a picture again from what the model sees in it.

    Args:
        image: the picture.
        condition: a picture whose detail is kept, most often the same one.
        out: file of the drawn picture.
    """
    _check_target(out)
    model = source.load()
    _save(out, lambda: model.reconstruct(image, condition, **dataclasses.asdict(settings)))


def demo(
    *,
    out: Path = Path("demo"),
    examples: Path = Path("examples"),
    quick: bool = False,
    source: Source = TINY,
) -> None:
    """Read, point, draw and edit on real files, and show it all on one page.

    Args:
        out: folder of the page, index.html.
        examples: folder of the pictures, which come with the code.
        quick: one of each kind.
    """
    from tqdm import tqdm

    from seedx import demo, demo_page

    steps, done = demo.steps(quick), []
    with tqdm(desc="loading the model", total=1 + len(steps), disable=None) as bar:
        start = time.perf_counter()
        model = source.load()
        model.painter.progress = False  # there is one bar for all
        loading = time.perf_counter() - start
        for step in steps:
            bar.update()
            bar.set_description(step.kind)
            done.append(demo.perform(model, step, examples))
            bar.write(done[-1].line, file=sys.stdout)
        bar.update()
    page = demo_page.write(out, done, source.model, examples, loading)
    print(f"{page}: {len(done)} things done in {sum(each.seconds for each in done):.1f} s; open it in a browser")


def train(
    recipe: Path,
    /,
    *,
    folder: Path = Path("runs/tiny"),
    threads: int | None = None,
    set: tuple[str, ...] = (),
) -> None:
    """Train one stage by its recipe; the same call goes on where it stopped.

    Args:
        recipe: TOML file of the stage.
        folder: the model that is trained: its weights are read and written there.
        threads: of the CPU.
        set: fields to change, as name=value.
    """
    import logging

    from seedx.train.stages import run

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    run(recipe, folder, threads, **dict(_assignment(text) for text in set))


def evaluate(
    suite: Literal["stickers"],
    /,
    *,
    seed: int = 7,
    n: int = 500,
    batch: int = 16,
    abilities: tuple[str, ...] = (),
    json: bool = False,
    source: Source = TINY,
) -> None:
    """Score a model on held-out scenes.

    Args:
        suite: what to ask about.
        seed: of the scenes.
        n: scenes for each ability.
        batch: scenes at a time.
        abilities: which of them, all unless given.
        json: print one object of all scores.
    """
    from seedx.evaluate import ABILITIES, as_table, evaluate_stickers

    model = source.load()
    model.painter.progress = False  # there is one bar for all
    chosen = abilities or tuple(ABILITIES)
    scores = evaluate_stickers(model, seed, n, batch, chosen, progress=sys.stderr.isatty())
    _print_json(scores) if json else print(as_table(scores))


def bench(*, repeats: int = 5, json: bool = False, source: Source = TINY) -> None:
    """Time the model's verbs on this machine.

    Args:
        repeats: of each; the median counts.
        json: print one object of seconds.
    """
    from seedx.bench import as_table, bench

    start = time.perf_counter()
    model = source.load()
    seconds = {"load": round(time.perf_counter() - start, 3), **bench(model, repeats)}
    _print_json(seconds) if json else print(as_table(seconds))


def convert(
    release: Path,
    folder: Path,
    /,
    *,
    sizes: str = "17b",
    dtype: Literal["float32", "float16", "bfloat16"] | None = None,
) -> None:
    """Turn the release's files into a folder that --model takes.

    Args:
        release: folder with the release's agent, llm, seed_detokenizer, tokenizer, qwen_vit_G.pt and SDXL's vae, unet.
        folder: to write.
        sizes: a preset (17b), or a config.json of other sizes.
        dtype: to store; as in the files unless given.
    """
    import torch
    from tqdm import tqdm

    from seedx.convert import convert as run

    with tqdm(unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:

        def show(part: str, size: int) -> None:
            bar.set_description(part)
            bar.update(size)

        run(release, folder, _sizes(sizes), getattr(torch, dtype) if dtype else None, show)
    print(f"{folder}: try `seedx chat --model {folder}`")


def verify(folder: Path, /, *, json: bool = False) -> int:
    """Check every golden case in a folder against the release.

    Args:
        folder: of cases NAME.json and NAME.safetensors.
        json: print one object instead of a table.
    """
    from seedx.verify import main

    return main(folder, json)


def info(model: str = "tiny", /, *, json: bool = False) -> None:
    """Tell parameters and memory by module.

    Args:
        model: a preset (17b, tiny), a folder, or a hub id.
        json: print a list instead of a table.
    """
    from seedx.info import info, table

    rows = info(model)
    _print_json([dataclasses.asdict(row) for row in rows]) if json else print(table(rows))


def _check_target(file: Path) -> None:
    """
    Raises:
        ValueError: a picture can't be written there.
    """
    import PIL.Image

    if not file.parent.is_dir():
        raise ValueError(f"there is no folder {str(file.parent)!r} to write {file.name!r} to")
    if file.suffix.lower() not in PIL.Image.registered_extensions():
        raise ValueError(f"{str(file)!r} must end in the name of a picture format, such as .png or .jpg")


def _save(file: Path, paint: Any) -> None:
    start = time.perf_counter()
    picture: PIL.Image.Image = paint()
    picture.save(file)
    print(f"{file}: {picture.width} x {picture.height} in {time.perf_counter() - start:.1f} s")


def _assignment(text: str) -> tuple[str, Any]:
    """ "steps=10" -> ("steps", 10)."""
    import json

    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set takes name=value, not {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def _sizes(name: str) -> Config:
    from seedx.checkpoint import read_config
    from seedx.config import PRESETS

    if name in PRESETS:
        return PRESETS[name]
    if Path(name).name == "config.json":
        return read_config(Path(name).parent)
    raise ValueError(f"sizes are a preset ({', '.join(PRESETS)}) or a file config.json, not {name!r}")


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, indent=1))
