"""What the processes of `test_loading.py` run: a stage of a model in a folder, built, sharded and trained."""

import os
import re
import threading
from pathlib import Path

import torch

from seedx.train.engine import parallel
from seedx.train.engine.loop import Trainer
from seedx.train.run import build

STATUS = Path("/proc/self/status")


class Watch:
    """A context; `grown` is then how much more memory of its own (not mapped files) the process had at most, bytes."""

    def __enter__(self):
        self.before = self.most = self.now()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def now(self):
        return 1024 * int(re.search(r"RssAnon:\s+(\d+) kB", STATUS.read_text())[1])

    def look(self):
        while not self.done.wait(0.002):
            self.most = max(self.most, self.now())

    def __exit__(self, *error):
        self.done.set()
        self.thread.join()
        self.grown = max(self.most, self.now()) - self.before


def train(recipe, folder, run, world):
    """Build the stage and train it.

    Returns:
        The memory that building and sharding took, and dtypes of the model afterwards; losses by step; final weights.
    """
    with Watch() as watch:
        stage = build(recipe, folder)
        trainer = Trainer(stage, recipe, run, world)
    dtypes = {p.dtype for p in stage.model.parameters()}
    losses = []
    note = trainer.skipped.note
    trainer.skipped.note = lambda step, finite, values, keys: losses.append(values) or note(step, finite, values, keys)
    trainer.train(lambda: False)
    whole = parallel.gather_model(stage.model, trainer.frame)
    weights = {} if whole is None else whole.state_dict()
    return {"grown": watch.grown, "dtypes": dtypes, "losses": losses, "weights": weights}, trainer


def main(rank, size, port, recipes, folder, out):
    """All recipes on one of some ranks; the results are in `out`, by recipe, size and rank."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    world = parallel.init_distributed()
    held = []
    for recipe in recipes:
        result, trainer = train(recipe, folder, out / f"{recipe.name}-{size}", world)
        held += [trainer.stage, trainer]
        torch.save(result, out / f"{recipe.name}-{size}-{rank}.pt")
    del trainer
    parallel.shutdown(world, *held)
