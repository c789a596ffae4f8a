"""`seedx info`."""

from __future__ import annotations

import dataclasses

from seedx.verbs.output import print_json


def info(model: str = "tiny", /, *, json: bool = False) -> None:
    """Show the parameters of each module, and the memory that the model takes in each memory mode.

    Args:
        model: a preset (17b, tiny), a folder, or a hub id.
        json: print an object with both lists instead of tables.
    """
    from seedx.checkpoint import info as counts
    from seedx.terminal import print_table
    from seedx.train.planning import inference

    rows = counts.info(model)
    found = inference.needs(*counts.sizes_of(model))
    if json:
        modes = [dataclasses.asdict(need) | {"how": "computed"} for need in found]
        print_json({"modules": [dataclasses.asdict(row) for row in rows], "memory": modes})
        return
    print_table(counts.table(rows))
    print("\nGiB that --memory takes, and the largest square picture that fits:")
    print_table(inference.table(found))
