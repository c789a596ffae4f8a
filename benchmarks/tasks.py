"""How many examples of each task of the stickers world are generated in a second of one core.

    python benchmarks/tasks.py [--json] [--n 300]

Training generates its examples while it runs, so a slow task delays it. The processor time of the best of three rounds
is taken, because other processes or the garbage collector may slow down any one of them.
"""

from __future__ import annotations

import argparse
import json
import random
import time

from seedx_stickers.tasks import KINDS, MANY_TURNS, mixture

ROUNDS = 3


def examples_per_second(kind: str, n: int) -> float:
    """The rate at which `mixture` generates `n` examples of a kind."""
    rng, seconds = random.Random(0), []
    mixture(rng, {kind: 1.0})  # what is cached on first use
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(n):
            mixture(rng, {kind: 1.0})
        seconds.append(time.process_time() - start)
    return n / min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--n", type=int, default=300, help="examples of each kind in a round")
    options = parser.parse_args()
    rates = {kind: round(examples_per_second(kind, options.n)) for kind in (*KINDS, *MANY_TURNS)}
    if options.json:
        print(json.dumps(rates))
    else:
        print("\n".join(f"{kind:20}{rate:8,} examples a second" for kind, rate in rates.items()))


if __name__ == "__main__":
    main()
