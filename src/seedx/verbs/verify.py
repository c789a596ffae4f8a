"""`seedx verify`."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from seedx.verbs.output import print_json


def verify(folder: Path, /, *, json: bool = False) -> int:
    """Check this installation against golden cases: numbers that the release's own code computed.

    Args:
        folder: folder of the cases, NAME.json and NAME.safetensors.
        json: print one object instead of a table.
    """
    from seedx import verify as golden
    from seedx.terminal import print_table

    results = golden.verify(folder)
    passed = sum(result.passed for result in results)
    if json:
        cases = [dataclasses.asdict(r) | {"error": r.error if math.isfinite(r.error) else None} for r in results]
        print_json({"tolerance": golden.TOLERANCE, "passed": passed == len(results), "cases": cases})
    else:
        print_table(golden.table(results))
        print(f"{passed} of {len(results)} pass at {golden.TOLERANCE:g}")
    return 0 if passed == len(results) else 1
