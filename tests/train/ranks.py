"""What the processes of `test_parallel.py` run: the same small training on one, two and four ranks."""

import dataclasses
import os

import torch
from torch.nn import functional as F

from seedx.batch import Batch
from seedx.config import LoraConfig
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.train.engine import parallel
from seedx.train.engine.checkpointing import CheckpointManager
from seedx.train.engine.loop import prepare_blocks
from seedx.train.recipe import Recipe
from small import SMALL

ROWS, TOKENS, MICRO = 8, 24, 2
STEPS, SAVED = 2, 1
QUERIES = SMALL.bridge.queries
FEATURES = SMALL.vision.pooled * SMALL.vision.output_dim  # numbers that are regressed, an image


class Conversations:
    """The language model's training, every weight of it or by LoRA."""

    def __init__(self, lora):
        settings = LoraConfig(rank=2, alpha=4, dropout=0.0)
        language = dataclasses.replace(SMALL.language, lora=settings if lora else None)
        self.model = SeedX(dataclasses.replace(SMALL, language=language))
        if lora:
            self.model.language.add_lora()
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_("lora_" in name)

    def row(self, step, row):
        """Every third row reads and draws a picture, so that some ranks have none; rows hold two documents."""
        rng = torch.Generator().manual_seed(1000 * step + row)
        ids = torch.randint(SMALL.language.vocab_size, (1, TOKENS), generator=rng)
        read, draw = torch.zeros(1, TOKENS, dtype=torch.bool), torch.zeros(1, TOKENS, dtype=torch.bool)
        batch = Batch(ids, ids.clone(), torch.arange(TOKENS)[None] % (TOKENS // 2), read, draw)
        batch.labels[:, : 3 + row] = -100
        if row % 3 == 0:
            read[:, 2 : 2 + QUERIES] = draw[:, -QUERIES:] = True
            batch.tiles, batch.targets = torch.randn(2, 1, 3, 28, 28, generator=rng)
            batch.tile_positions = torch.rand(1, 2, generator=rng)
        return batch

    def batch(self, step, rows):
        parts = [self.row(step, row) for row in rows]
        joined = {f.name: [getattr(part, f.name) for part in parts] for f in dataclasses.fields(Batch)}
        given = {name: [t for t in tensors if t is not None] for name, tensors in joined.items()}
        batch = Batch(**{name: torch.cat(tensors) if tensors else None for name, tensors in given.items()})
        if batch.tiles is not None:  # the frozen visual tokenizer may run before the model does
            with torch.no_grad():
                batch.tiles = self.model.vision(batch.tiles)
        return batch

    def counts(self, batch):
        images = 0 if batch.targets is None else len(batch.targets)
        return [int((batch.labels[:, 1:] != -100).sum()), images * FEATURES]

    def losses(self, batch):
        losses = self.model(batch)
        return [losses.sums["text"], 6 * losses.sums["image"]]


class Drawing:
    """The de-tokenizer's first stage: its resampler, and the U-Net's keys and values."""

    def __init__(self):
        blocks = {"down_block_types": ("CrossAttnDownBlock2D",), "up_block_types": ("CrossAttnUpBlock2D",)}
        unet = SMALL.detokenizer.unet | blocks | {"block_out_channels": (8,)}
        config = dataclasses.replace(SMALL.detokenizer, condition=False, unet=unet)
        self.model = Detokenizer(config, SMALL.vision.output_dim)
        for name, parameter in self.model.named_parameters():
            keys_or_values = name.startswith("unet.") and (".to_k." in name or ".to_v." in name)
            parameter.requires_grad_(name.startswith("resampler.") or keys_or_values)

    def batch(self, step, rows):
        made = []
        for row in rows:
            rng = torch.Generator().manual_seed(1000 * step + row)
            pixels, features = torch.randn(3, 16, 16, generator=rng), torch.randn(4, 32, generator=rng)
            made.append((pixels, features, torch.randn(4, 8, 8, generator=rng), torch.randint(1000, (), generator=rng)))
        return [torch.stack(parts) for parts in zip(*made, strict=True)]

    def counts(self, batch):
        return [batch[2].numel()]

    def losses(self, batch):
        pixels, features, noise, times = batch
        with torch.no_grad():
            latents = self.model.vae.encode(pixels)
        noisy = self.model.noise_schedule.add_noise(latents, noise, times)
        prompt, pooled = self.model.context(features)
        predicted = self.model.predict(noisy, times, prompt, pooled, self.model.time_ids(latents))
        return [F.mse_loss(predicted, noise, reduction="sum")]


class Pixels:
    """The autoencoder's own training: two methods of the root, one after the other."""

    def __init__(self):
        detokenizer = Detokenizer(SMALL.detokenizer, SMALL.vision.output_dim)
        self.model = detokenizer.vae

    def batch(self, step, rows):
        seeded = (torch.Generator().manual_seed(1000 * step + row) for row in rows)
        return torch.stack([torch.randn(3, 16, 16, generator=rng) for rng in seeded])

    def counts(self, batch):
        return [batch.numel()]

    def losses(self, batch):
        latents = self.model.mode(batch)
        return [F.mse_loss(self.model.decode(latents), batch, reduction="sum")]


STAGES = {
    "full": lambda: Conversations(lora=False),
    "lora": lambda: Conversations(lora=True),
    "detokenizer": Drawing,
    "autoencoder": Pixels,
}


def train(kind, world, run=None, resume=False, **options):
    """Two steps of a stage, or, resumed, the one after the checkpoint.

    Returns:
        Losses and gradient norms by step, the final weights and their average (on the first rank); and what to close.
    """
    torch.manual_seed(0)
    stage = STAGES[kind]()
    model, frame = stage.model, parallel.meta_copy(stage.model)
    recipe = Recipe(kind, kind, **{"bf16": False, **options})
    prepare_blocks(model, recipe)
    parallel.shard(model, world, recipe)
    parameters = parallel.optimizer_parameters(model)
    # Where a gradient is zero but for rounding (the bias of keys), Adam with a small epsilon makes steps of the noise.
    optim = torch.optim.AdamW(parameters.values(), lr=1e-2, eps=1e-3, fused=True)
    average = {name: p.detach().clone() for name, p in parameters.items()}
    state = {"model": model, "optim": optim, "average": average, "data": {0: ("shard", 7)}}
    saver = CheckpointManager(run, world) if run else None
    start = saver.resume(state) if resume else 0
    losses, norms = [], []
    for step in range(start, STEPS):
        loss, norm = _step(stage, world, optim, step)
        losses.append(loss)
        norms.append(norm)
        for name, p in parallel.optimizer_parameters(model).items():
            parallel.local_shard(average[name]).lerp_(parallel.local_shard(p), 0.5)
        if saver and not resume and step + 1 == SAVED:
            saver.save(SAVED, state)
    if saver:
        saver.wait()
    whole = (parallel.gather_model(model, frame, values) for values in (None, average))
    weights = [{} if m is None else m.state_dict() for m in whole]  # each of the two has new tensors
    with parallel.full_parameters(model):  # as a picture drawn between two steps
        shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
        assert not any(isinstance(p, parallel.DTensor) for p in model.parameters())
    assert {name: tuple(p.shape) for name, p in parallel.optimizer_parameters(model).items()}.items() <= shapes.items()
    results = {"losses": losses, "norms": norms, "weights": weights[0], "average": weights[1]}
    return results, [model, optim]


def _step(stage, world, optim, step):
    rows = range(world.rank * ROWS // world.size, (world.rank + 1) * ROWS // world.size)
    micro = [stage.batch(step, rows[i : i + MICRO]) for i in range(0, len(rows), MICRO)]
    counts = world.sum(torch.tensor([stage.counts(batch) for batch in micro]).sum(0))
    total = torch.zeros(())
    for batch in micro:
        loss = sum(one / count for one, count in zip(stage.losses(batch), counts, strict=True))
        loss.backward()
        total += loss.detach()
    norm = parallel.clip_grad_norm([p for group in optim.param_groups for p in group["params"]], 1.0)
    optim.step()
    optim.zero_grad()
    return float(world.sum(total)), float(norm)


def main(rank, ports, folder):
    """All that four and then two processes do; the first of them writes the results to `folder`."""
    torch.set_num_threads(1)
    four = [("full", {}), ("lora", {}), ("detokenizer", {}), ("full", {"replicas": 2})]
    two = [*((kind, {}) for kind in STAGES), ("full", {"resume": True}), ("full", {"replicas": 2})]
    two += [("full", {"offload": True, "activation_checkpointing": True}), ("detokenizer", {"offload": True})]
    _together(rank, 4, ports[0], folder, four)
    if rank < 2:
        _together(rank, 2, ports[1], folder, two)
    if rank == 0:
        alone_offloaded(folder)


def alone_offloaded(folder):
    """One process that nobody started by torchrun."""
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        del os.environ[name]
    world = parallel.init_distributed()
    result, objects = train("full", world, offload=True)
    torch.save(result, folder / "full-1-offload.pt")
    parallel.shutdown(world, *objects)


def _together(rank, size, port, folder, tasks):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    world = parallel.init_distributed()
    assert world.gather(rank) == list(range(size))
    held = []
    for kind, options in tasks:
        run = folder / kind if "resume" in options or (size == 4 and not options) else None
        result, objects = train(kind, world, run, **options)
        held += objects
        if world.first:
            name = "-".join([kind, str(size), *options])
            torch.save(result, folder / f"{name}.pt")
    del objects
    parallel.shutdown(world, *held)
