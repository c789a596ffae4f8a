"""A run of two processes of which one dies after the checkpoint of step 2, started as torchrun does."""

import os
from pathlib import Path

import torch
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from seedx.train.engine import failures, parallel
from seedx.train.engine.checkpointing import CheckpointManager
from seedx.train.recipe import Recipe


def main(run: Path) -> None:
    world = parallel.init_distributed()
    with failures.report_failure(world):
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


def launch(run: Path) -> None:
    """What `torchrun --standalone --nproc-per-node 2` does, in processes that have torch already. stderr is a file."""
    os.dup2(os.open(run / "stderr.txt", os.O_WRONLY | os.O_CREAT), 2)
    where = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0"}
    config = LaunchConfig(1, 1, 2, run_id="dying", max_restarts=0, start_method="fork", **where)
    elastic_launch(config, main)(run)
