"""Replies of the bundled model by llama.cpp against those on file, which torch gave (tests/replies).

    python benchmarks/engine_replies.py [--kinds f16 q8_0 q4_0] [--no-repack]

For each kind of GGUF file: how many of the replies have the same words and boxes, the others, and by how many levels
their pictures differ (root mean square over the pixels of a picture; median and largest).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

import seedx
from seedx.checkpoint.gguf_convert import convert_folder

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from replies import requests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kinds", nargs="+", default=["f16", "q8_0", "q4_0"])
    parser.add_argument("--no-repack", action="store_true")
    options = parser.parse_args()
    recorded = requests.read()
    for kind in options.kinds:
        with tempfile.TemporaryDirectory() as folder:
            convert_folder("tiny", Path(folder) / kind, kind)
            found = requests.replies(seedx.load(Path(folder) / kind, repack=not options.no_repack))
        equal = {
            name for name, each in recorded.items() if (each.text, each.boxes) == (found[name].text, found[name].boxes)
        }
        pairs = [pair for name in recorded for pair in zip(recorded[name].pictures, found[name].pictures, strict=True)]
        levels = [float(np.sqrt(np.square(one.astype(float) - other).mean())) for one, other in pairs]
        row = (kind, f"{len(equal)} of {len(recorded)}", f"{np.median(levels):.2f}", f"{max(levels):.2f}", len(levels))
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
        for name in recorded.keys() - equal:
            print(f"    {name}: {recorded[name].text!r} -> {found[name].text!r}")


if __name__ == "__main__":
    main()
