"""Two and four processes train as one does, for every kind of training; a checkpoint of four resumes with two and one.

The processes are forked from one that has imported everything, and all tests look at the results of one start of them.
"""

import shutil

import dying
import pytest
import ranks
import torch
from torch import nn

from processes import free_port, run
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.train.engine import checkpoint_files, parallel
from seedx.train.engine.checkpointing import CheckpointManager
from seedx.train.engine.parallel import World
from seedx.train.recipe import Recipe
from small import SMALL

KINDS = [(kind, size) for kind in ranks.STAGES for size in (2, 4) if (kind, size) != ("autoencoder", 4)]
ONE = World()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The results of four processes, and then of two of them."""
    folder = tmp_path_factory.mktemp("ranks")
    ports = free_port(), free_port()
    assert run(ranks.main, *[(rank, ports, folder) for rank in range(4)]) == [0, 0, 0, 0]
    return folder


@pytest.fixture(scope="module")
def alone():
    """One process's training by kind, run once."""
    return {kind: ranks.train(kind, ONE)[0] for kind in ranks.STAGES}


def assert_same(found, expected, steps=slice(None)):
    assert found["losses"] == pytest.approx(expected["losses"][steps], rel=1e-5)
    assert found["norms"] == pytest.approx(expected["norms"][steps], rel=1e-4)
    for which in ("weights", "average"):
        assert found[which].keys() == expected[which].keys()
        torch.testing.assert_close(found[which], expected[which], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "size"), KINDS)
def test_many_processes_train_as_one_does(folder, alone, kind, size):
    assert_same(torch.load(folder / f"{kind}-{size}.pt"), alone[kind])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ranks.STAGES)
def test_training_moves_what_is_trained_and_nothing_else(alone, kind):
    torch.manual_seed(0)
    start = ranks.STAGES[kind]().model
    moved = {name for name, t in start.state_dict().items() if not torch.equal(t, alone[kind]["weights"][name])}
    names = {name for name, p in start.named_parameters() if p.requires_grad}
    assert moved and moved <= names


@pytest.mark.slow
@pytest.mark.parametrize("size", [4, 2])  # two copies of two shards each, and two whole ones
def test_replicas_of_a_sharded_model_do_the_same(folder, alone, size):
    assert_same(torch.load(folder / f"full-{size}-replicas.pt"), alone["full"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["full-2-offload-activation_checkpointing", "detokenizer-2-offload", "full-1-offload"])
def test_offloaded_weights_learn_the_same(folder, alone, name):
    """On a CPU, where both memories are one: the shards, the copies and the step of the optimizer are FSDP's own."""
    assert_same(torch.load(folder / f"{name}.pt"), alone[name.partition("-")[0]])


@pytest.mark.slow
def test_a_checkpoint_of_four_resumes_with_two(folder, alone):
    assert_same(torch.load(folder / "full-2-resume.pt"), alone["full"], slice(ranks.SAVED, None))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "lora", "detokenizer"])
def test_a_checkpoint_of_four_resumes_with_one(folder, alone, kind, tmp_path):
    shutil.copytree(folder / kind, tmp_path / kind)
    assert_same(ranks.train(kind, ONE, tmp_path / kind, resume=True)[0], alone[kind], slice(ranks.SAVED, None))


@pytest.mark.slow
def test_a_rank_that_dies_says_why_and_leaves_a_checkpoint(tmp_path):
    assert run(dying.launch, (tmp_path,)) == [1]
    said = (tmp_path / "stderr.txt").read_text()
    assert "rank 1 of 2 failed: MemoryError: no room for step 3. The last checkpoint is kept." in said
    assert "MemoryError" in said.split("Root Cause")[1]
    path = checkpoint_files.path(tmp_path / "checkpoints", 2)
    assert checkpoint_files.problem(path) is None
    model = nn.Linear(4, 3)
    state = {"model": model, "optim": torch.optim.AdamW(model.parameters())}
    assert CheckpointManager(tmp_path, ONE).resume(state) == 2


def test_blocks_are_found_in_every_model():
    seedx, detokenizer = SeedX(SMALL), Detokenizer(SMALL.detokenizer, SMALL.vision.output_dim)
    found = [type(block).__name__ for block in parallel.blocks(seedx)]
    assert sorted(found) == ["Block", "LlamaDecoderLayer", "LlamaDecoderLayer"]
    found = {type(block).__name__ for block in parallel.blocks(detokenizer)}
    assert found == {"PerceiverLayer", "BasicTransformerBlock", "ResnetBlock2D"}


def test_one_process_needs_no_group(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    world = parallel.init_distributed()
    assert (world.rank, world.size, world.first) == (0, 1, True)
    assert world.gather("a") == ["a"]
    assert world.sum(torch.ones(2)).tolist() == [1, 1]
    assert not torch.distributed.is_initialized()


def test_half_of_torchruns_variables_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="RANK, MASTER_ADDR, MASTER_PORT is not set; start many processes by torchrun"):
        parallel.init_distributed()


def test_replicas_divide_the_ranks():
    with pytest.raises(ValueError, match="4 ranks can't hold 3 replicas"):
        parallel.shard(nn.Linear(2, 2), World(0, 4), Recipe("three", "any", replicas=3))


def test_clipping_gives_the_norm_before():
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([3.0, 4.0])
    assert parallel.clip_grad_norm([parameter], 1.0).item() == 5
    torch.testing.assert_close(parameter.grad, torch.tensor([0.6, 0.8]))


def test_a_skeleton_takes_no_memory_and_the_whole_is_a_copy():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    frame = parallel.meta_copy(model)
    assert all(t.is_meta for t in frame.state_dict().values())
    filled = parallel.gather_model(model, frame, {"0.bias": torch.full((2,), 7.0)})
    assert filled is frame and filled[0].bias.tolist() == [7, 7]
    assert torch.equal(filled[0].weight, model[0].weight) and filled[0].weight is not model[0].weight
    filled[0].weight.data.zero_()
    assert model[0].weight.abs().sum() > 0
