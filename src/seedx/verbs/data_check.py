"""`seedx data check`: what a recipe would train on, before any training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedx.errors import SeedxError
from seedx.verbs.options import assignments
from seedx.verbs.output import file_errors, print_json, write_text

if TYPE_CHECKING:
    from seedx.config import Config
    from seedx.data.check import SourceCheck
    from seedx.tokenizer import Tokenizer
    from seedx.train.recipe import Recipe

PICTURES_ALONE = ("detokenizer", "condition")  # stages that use no text


def data_check(
    recipe: str,
    /,
    *,
    html: Path = Path("data-check.html"),
    samples: int = 300,
    model: str | None = None,
    set: tuple[str, ...] = (),
    format: str = "messages",
    options: tuple[str, ...] = (),
    json: bool = False,
) -> None:
    """Read samples of the training data, count what is wrong with them, and show twelve on a page.

    Nothing is trained and no weights are loaded. As many samples are read of each source, none twice; those that can't
    be used are counted by cause, with an example.

    Args:
        recipe: TOML file of a stage; or the data itself, a source as in a recipe (train.json, "shards/*.tar").
        html: page to write: twelve samples with their pictures, boxes, labels and masks.
        samples: number to read, of all sources together.
        model: whose tokenizer and sizes are used; by default the recipe's init_from, or the bundled tiny model.
        set: recipe fields to change, as name=value; data.0.weight=2 changes a nested field.
        format: of the data, if no recipe is given.
        options: of the format, as name=value, if no recipe is given.
        json: print one object instead of tables.
    """
    from seedx.data.check import Check
    from seedx.data.check_page import page
    from seedx.train.recipe import load_recipe

    if samples < 1:
        raise SeedxError(f"--samples is at least 1, not {samples}")
    with file_errors():
        if recipe.endswith(".toml"):
            if format != "messages" or options:
                raise SeedxError(
                    "--format and --options are for data without a recipe; a recipe has its own: use --set"
                )
            stage = load_recipe(Path(recipe), **assignments(set))
        else:
            stage = _recipe_of(recipe, format, assignments(options, "--options"), assignments(set))
        if not stage.data:
            raise SeedxError(f"{recipe} has no [[data]] tables: the stage {stage.stage!r} makes its own samples")
        tokenizer, config, notes = _tokenizer(stage, model)
        row = None if stage.stage in PICTURES_ALONE else stage.max_seq_len
        look = Check(tokenizer, config, row, stage.too_long, stage.max_pixels, stage.seed, f"{stage.name}/{stage.seed}")
        checks = look(stage.mixture, samples)
    write_text(html, page(f"Data of {stage.name}", checks, tokenizer))
    if json:
        print_json({"sources": [check.to_json() for check in checks], "notes": notes, "page": str(html)})
    else:
        _print(stage, checks, row, notes)
        print(f"\n{html}: samples with their labels and masks")


def _recipe_of(source: str, format: str, options: dict[str, Any], changes: dict[str, Any]) -> Recipe:
    """A recipe for data alone."""
    from seedx.data.shard_reader import Data
    from seedx.train.recipe import Recipe

    return Recipe(name="data", stage="language", data=(Data(source, format, options=options),), **changes)


def _tokenizer(recipe: Recipe, model: str | None) -> tuple[Tokenizer, Config, list[str]]:
    """The tokenizer and the sizes, and what a reader of the figures should know about them."""
    from seedx import tokenizer
    from seedx.checkpoint.config_file import read_config
    from seedx.checkpoint.hub import bundled, locate
    from seedx.config import PRESETS

    started = "" if recipe.init_from == "scratch" or recipe.init_from.startswith("run:") else recipe.init_from
    here = started and (Path(started).is_dir() or bundled(started))
    name = model or (started if here else "tiny")
    folder = locate(name)
    loaded, config, notes = tokenizer.load(folder), read_config(folder), [f"tokenizer and sizes: those of {name}"]
    if model is None and not here and (started or recipe.config != "tiny"):
        config = PRESETS.get(recipe.config, config)
        missing = f"the model {started} is not here" if started else "the recipe names no model"
        notes = [
            f"{missing}: lengths are estimates, by tiny's tokenizer and the sizes of {recipe.config}; give the model "
            "to be trained by --model"
        ]
    if recipe.stage in PICTURES_ALONE:
        notes.append(f"the stage {recipe.stage!r} trains on pictures alone: the last one of each sample is drawn")
    return loaded, config, notes


def _print(recipe: Recipe, checks: Sequence[SourceCheck], row: int | None, notes: list[str]) -> None:
    from seedx.data.check import quantile
    from seedx.terminal import new_table, print_table

    over = f"over {row}" if row else "over"
    columns = ("share", "read", "used", "left out", "median", "95 %", "longest", over, "tiles/picture", "drawn")
    table = new_table("source", *columns)
    for check in checks:
        lengths, tiles = check.lengths, check.tiles
        tokens = [str(quantile(lengths, 0.5)), str(quantile(lengths, 0.95)), str(max(lengths, default=0))]
        mean = f"{sum(tiles) / len(tiles):.1f}" if tiles else "-"
        cells = [
            f"{check.share:.1%}",
            str(check.read),
            str(check.errors.used),
            str(check.read - check.errors.used),
            *tokens,
        ]
        table.add_row(check.name, *cells, str(check.over) if row else "-", mean, str(check.drawn))
    print_table(table)
    temperature = recipe.mixture_temperature
    print(f"\nshares by weight, temperature {temperature:g}; lengths in tokens, placeholders included")
    for note in notes:
        print(note)
    print()
    causes = [(check, cause) for check in checks for cause in check.errors.counts]
    for check, cause in causes:
        print(f"{check.errors.counts[cause]} {cause} in {check.name}, such as {check.errors.examples[cause][-1]}")
    if not causes:
        print("no faults")
