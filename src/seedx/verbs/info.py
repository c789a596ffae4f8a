"""`seedx info`."""

from __future__ import annotations

import dataclasses

from seedx.verbs.output import print_json


def info(model: str = "tiny", /, *, json: bool = False) -> None:
    """Show the number of parameters and the memory of each module.

    Args:
        model: a preset (17b, tiny), a folder, or a hub id.
        json: print a list instead of a table.
    """
    from seedx.checkpoint import info as counts
    from seedx.terminal import print_table

    rows = counts.info(model)
    print_json([dataclasses.asdict(row) for row in rows]) if json else print_table(counts.table(rows))
