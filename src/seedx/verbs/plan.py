"""`seedx plan`."""

from __future__ import annotations

from pathlib import Path

from seedx.verbs.output import file_errors, print_json


def plan(
    recipe: Path,
    /,
    *,
    gpus: int = 8,
    gpu: str = "h100",
    mfu: float = 0.4,
    samples: float | None = None,
    tokens: float | None = None,
    tiles: float | None = None,
    drawn: float | None = None,
    supervised: float | None = None,
    all: bool = False,
    json: bool = False,
) -> None:
    """Estimate memory, FLOPs, traffic and time of training by a recipe, and which settings fit.

    Args:
        recipe: TOML file of the stage.
        gpus: number of GPUs.
        gpu: a100-40g, a100-80g, h100, h200, h800, or a TOML file with the fields memory, tflops, intra, inter and
            per_node.
        mfu: share of the GPUs' peak that running operations reach.
        samples: show the days for this number of samples, not for the recipe's steps.
        tokens: tokens in an average sample; by default a rough figure for the recipe's formats, like the next three.
        tiles: image tiles read in an average sample, thumbnails included.
        drawn: images drawn in an average sample.
        supervised: tokens with a label in an average sample.
        all: also show settings that do not fit.
        json: print one object instead of tables.
    """
    import dataclasses

    from seedx.train.planning import plan as planning
    from seedx.train.planning.clusters import find
    from seedx.train.planning.sample_stats import average
    from seedx.train.planning.table import table
    from seedx.train.recipe import load_recipe

    given = {"tokens": tokens, "tiles": tiles, "drawn": drawn, "supervised": supervised}
    changes = {name: value for name, value in given.items() if value is not None}
    with file_errors():
        read = load_recipe(recipe)
        sample = dataclasses.replace(average(read.mixture), **changes) if changes else None
        made = planning.plan(read, find(gpu), gpus, mfu, sample)
    print_json(planning.as_dict(made, samples)) if json else print(table(made, samples, all))
