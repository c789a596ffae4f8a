"""Fuzzing of every parser: valid inputs, changed at random from a seed, in a process with limited memory.

    python tests/fuzz/fuzz.py --inputs 100000        all parsers; of model folders and checkpoints 500 each
    python tests/fuzz/fuzz.py --only tar --first 812 --inputs 1      one input again, with its traceback

An input gives a result or the documented error. Anything else is a finding, and so are more than `SECONDS` of processor
time or `MEMORY` of memory. Exit code 1 if there is any.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
import traceback
import warnings
from typing import Any

from targets import SLOW, TARGETS

SECONDS = 2.0
MEMORY = 1 << 30
RARE = 200  # a parser in `SLOW` gets an input for so many of all others
HANGS = 20  # seconds after which an input is given up


def run(name: str, number: int, seed: int = 0) -> bool:
    """Hand one input to one parser; whether it was accepted. Raises what the parser should not."""
    return TARGETS[name](random.Random(f"{seed} {name} {number}"))


def child(name: str, numbers: range, seed: int, at: Any, findings: Any) -> None:
    """Run inputs with limited memory; `at` has the number of the one that is running."""
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders in C print what they find wrong
    run(name, -1, seed)  # what is loaded once is not counted
    with open("/proc/self/statm") as sizes:
        used = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    counts: dict[bool, int] = collections.Counter()
    slowest = (0.0, -1)
    for number in numbers:
        at.value = number
        signal.setitimer(signal.ITIMER_PROF, HANGS)  # its signal ends the process
        start = time.process_time()
        try:
            counts[run(name, number, seed)] += 1
        except Exception:
            findings.put((name, number, traceback.format_exc(limit=-4)))
        spent = time.process_time() - start
        slowest = max(slowest, (spent, number))
        if spent > SECONDS:
            findings.put((name, number, f"{spent:.1f} s of processor time"))
    findings.put((name, None, (counts[True], counts[False], slowest)))


def fuzz(name: str, numbers: range, seed: int) -> list[tuple[str, int, str]]:
    """All inputs of one parser; one that kills its process is a finding, and the rest continues in another."""
    context = multiprocessing.get_context("fork")
    found: list[tuple[str, int, str]] = []
    accepted = refused = 0
    slowest = (0.0, -1)
    while numbers:
        at, queue = context.Value("q", numbers.start), context.SimpleQueue()
        process = context.Process(target=child, args=(name, numbers, seed, at, queue))
        process.start()
        ended = False
        while process.is_alive() or not queue.empty():
            if queue.empty():
                process.join(0.05)
                continue
            _, number, what = queue.get()
            if number is None:
                ended, (more, less, slow) = True, what
                accepted, refused, slowest = accepted + more, refused + less, max(slowest, slow)
            else:
                found.append((name, number, what))
        process.join()
        if ended:
            break
        found.append((name, at.value, f"the process ended with {process.exitcode} (a hang, if -27)"))
        numbers = range(at.value + 1, numbers.stop)
    print(
        f"{name:13} {accepted:7} accepted {refused:7} refused  slowest {slowest[0]:.2f} s (input {slowest[1]})",
        flush=True,
    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--inputs", type=int, default=100_000, help="of the quick parsers together; of each one in --only"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each parser")
    parser.add_argument("--only", choices=TARGETS, action="append")
    given = parser.parse_args()
    names = given.only or list(TARGETS)
    quick = len([name for name in names if name not in SLOW])
    found, total = [], 0
    for name in names:
        share = given.inputs if given.only else given.inputs // RARE if name in SLOW else -(-given.inputs // quick)
        found += fuzz(name, range(given.first, given.first + share), given.seed)
        total += share
    for name, number, what in found[:50]:
        again = f"--only '{name}' --first {number} --inputs 1 --seed {given.seed}"
        print(f"\n{name} {number} ({again})\n{what[:500]} ... {what[-800:]}")
    print(f"\n{total} inputs, {len(found)} findings")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
