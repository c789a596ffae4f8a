"""Started by torchrun: a run of two processes of which one dies after the checkpoint of step 2."""

import sys
from pathlib import Path

import torch

from seedx.train.engine import parallel
from seedx.train.engine.checkpointing import CheckpointManager
from seedx.train.recipe import Recipe


def main(run: Path) -> None:
    world = parallel.init_distributed()
    with parallel.report_failure(world):
        model = torch.nn.Linear(4, 3)
        parallel.shard(model, world, Recipe("dying", "dying", bf16=False))
        optim = torch.optim.AdamW(model.parameters())
        saver = CheckpointManager(run, world)
        for step in (1, 2, 3):
            if step == 3 and world.rank == 1:
                raise MemoryError("no room for step 3")
            model(torch.ones(2, 4)).sum().backward()
            optim.step()
            saver.save(step, {"model": model, "optim": optim})
            saver.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
