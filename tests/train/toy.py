"""A stage that trains in no time, for tests of the loop."""

import os

import torch
from torch import nn

import processes
from seedx.batch import Encoded
from seedx.train.engine.loop import train
from seedx.train.engine.parallel import init_distributed, shutdown
from seedx.train.recipe import Recipe
from seedx.train.stages.base import GeneratedDataStage
from seedx.train.stages.packed_data import PackedDataStage

RECIPE = Recipe(
    name="toy",
    stage="toy",
    steps=8,
    global_batch_size=4,
    lr=0.1,
    warmup_steps=2,
    bf16=False,
    log_every=1,
    ema_decay=0.9,
    save_seconds=0,
    max_skipped_steps=2,
)


class Toy(GeneratedDataStage):
    """A regression with noise of its own. `events` happen when the data of their step is made."""

    def __init__(self, recipe=RECIPE, events=None, noise=0.1):
        torch.manual_seed(1)
        self.recipe, self.events, self.noise = recipe, events or {}, noise
        self.model = nn.Linear(3, 2)
        self.weights = {"error": 1.0}

    def batch(self, step):
        batch = torch.randn(self.recipe.global_batch_size, 3)
        return self.events[step](batch) if step in self.events else batch

    def counts(self, batch):
        return {"error": 2 * len(batch), "samples": len(batch)}

    def losses(self, batch):
        noisy = self.model(batch) + self.noise * torch.randn(len(batch), 2)  # as dropout: from the loop's seed
        return {"error": (noisy - batch[:, :2]).square().sum()}

    def save(self, model, folder):
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), folder / "toy.pt")


class Lines(PackedDataStage):
    """Rows of one line of a file each; the loss has no meaning."""

    max_seq_len = 1

    def __init__(self, recipe):
        torch.manual_seed(1)
        self.recipe, self.model, self.weights = recipe, nn.Linear(3, 2), {"error": 1.0}

    def encode(self, messages):
        token, off = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.bool)
        return Encoded(token, token, token, off, off)

    def batch_of(self, rows, seeds):
        return torch.ones(len(rows), 3)

    def counts(self, batch):
        return {"error": len(batch), "samples": len(batch)}

    def losses(self, batch):
        return {"error": self.model(batch).square().sum()}


def together(size, *arguments, target=None):
    """Run `one_rank`, or `target`, on `size` ranks; returns their exit codes."""
    return processes.run(target or one_rank, *[(rank, size, *arguments) for rank in range(size)])


def joined(rank, size, port):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    return init_distributed()


def one_rank(rank, size, port, recipe, base, events):
    ranks = joined(rank, size, port)
    stage = Toy(recipe, events.get(rank), noise=0.0)
    done = train(stage, recipe, base / "run", base / "out", ranks)
    del stage
    shutdown(ranks)
    raise SystemExit(0 if done else 3)


def lines_of_one_rank(rank, size, port, recipe, base):
    """Train on `Lines` until they are used up; `base` then has this rank's error."""
    ranks = joined(rank, size, port)
    try:
        train(Lines(recipe), recipe, base / "run", base / "out", ranks)
    except ValueError as error:
        (base / f"rank-{rank}.txt").write_text(str(error))
        shutdown(ranks)
