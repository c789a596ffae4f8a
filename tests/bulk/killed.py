"""A run of `seedx batch` without a model that dies at its n-th write to the disk: a module, for processes to import."""

import os
import signal
from pathlib import Path

from seedx.bulk import local
from seedx.bulk.command import left
from seedx.bulk.inputs import inputs
from seedx.bulk.progress import Shown
from seedx.bulk.results import Done, Results
from seedx.bulk.rows import Answer
from seedx.bulk.tasks import TASKS, Columns

PART = 8


class Echo:
    """Answers with the input's text, and a picture that is that text."""

    batch_size = 3

    def groups(self, queries):
        return [range(len(queries))[at : at + 3] for at in range(0, len(queries), 3)]

    def opened(self, queries):
        return queries

    def answers(self, queries):
        bad = [Answer(error=each.error) if each.error else None for each in queries]
        return [no or Answer(each.text, (), each.text.encode()) for no, each in zip(bad, queries, strict=True)]


def run(source, output, form, pictures):
    found = inputs(str(source), TASKS["draw"], Columns(), str(output))
    with Results(Path(output), {"input": str(source)}, form, pictures, part=PART) as results:
        done = Done(results.sources())
        with Shown(found.count, results.rows) as shown:
            local.run(Echo(), left(found, done), results, shown)


def run_and_die(source, output, form, pictures, at, after):
    """Die at the `at`-th sync, before it or after it."""
    calls, sync = 0, os.fsync

    def counted(file):
        nonlocal calls
        calls += 1
        if after:
            sync(file)
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        if not after:
            sync(file)

    os.fsync = counted
    run(source, output, form, pictures)
