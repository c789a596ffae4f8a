"""The plan: its meter against real steps, its arithmetic against worked examples."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from seedx import cli
from seedx.config import PRESETS, LoraConfig
from seedx.data.shard_reader import Data
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.model.vision import VisionTransformer
from seedx.train.engine import trainable
from seedx.train.engine.activation_checkpoint import apply_activation_checkpointing
from seedx.train.planning import costs, plan
from seedx.train.planning.clusters import CLUSTERS, GIB, Cluster, find, vendor_peak
from seedx.train.planning.costs import Memory, Setting, Sizes
from seedx.train.planning.meter import Meter
from seedx.train.planning.sample_stats import FORMATS, SampleStats, average
from seedx.train.planning.table import table
from seedx.train.planning.workload import (
    DetokenizerStep,
    LanguageStep,
    Load,
    extrapolated,
    measure,
    packed_batch,
    shortened,
)
from seedx.train.recipe import Recipe
from small import SMALL

SIZES = Sizes(total=1000, trained=100, root=200, largest=300, largest_trained=60, unsharded=50)
RECIPE = Recipe(
    "small",
    "language",
    "small",
    steps=10,
    global_batch_size=8,
    micro_batch_size=2,
    max_seq_len=32,
    data=(Data("a.jsonl", "llava"),),
)
CLUSTER = Cluster("two by two", memory=8, tflops=100, intra=100, inter=50, per_node=2)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    language = dataclasses.replace(SMALL.language, lora=LoraConfig(rank=2))
    monkeypatch.setitem(PRESETS, "small", dataclasses.replace(SMALL, language=language))


class Chain(nn.Module):
    """Four bytes a number; rows of 100 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(100, 100, bias=False)
        self.second = nn.Linear(100, 50, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).sigmoid())


def test_the_meter_counts_flops_by_part_and_the_peak() -> None:
    model, x = Chain(), torch.randn(8, 100)
    with Meter(model, {"first": "one", "second": "two"}) as read:
        model(x).sum().backward()
    # Forward, and backward by the weights; `second` also by its input, `first` has none that needs it.
    assert read.reading.flops == {"one": 2 * 2 * 8 * 100 * 100, "two": 3 * 2 * 8 * 100 * 50}
    # At the end of the backward pass: the gradients of both weights, the sigmoid's output and its input's gradient.
    weights, hidden = 4 * (100 * 100 + 50 * 100), 4 * 8 * 100
    assert weights + hidden <= read.reading.peak <= weights + 3 * hidden


def language_step(recipe: Recipe = RECIPE) -> LanguageStep:
    return LanguageStep(trainable.build(recipe))  # type: ignore[arg-type]


def detokenizer_step(recipe: Recipe) -> DetokenizerStep:
    with torch.device("meta"):
        vision = VisionTransformer(PRESETS["small"].vision).requires_grad_(False)
    return DetokenizerStep(trainable.build(recipe), vision)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(("checkpointing", "documents"), [(False, 1), (True, 1), (False, 4)])
def test_a_language_step_without_data_costs_what_a_real_one_does(checkpointing: bool, documents: int) -> None:
    load = Load(2, 32, tiles=3, drawn=2, supervised=20, documents=documents)
    fake = measure(
        language_step(dataclasses.replace(RECIPE, lora=True)),
        load,
        gpu=False,
        sharded=False,
        bf16=True,
        checkpointing=checkpointing,
    )
    model = SeedX(PRESETS["small"]).train()
    model.language.add_lora()
    trainable.apply(model, trainable.DEFAULTS["language"])
    if checkpointing:
        apply_activation_checkpointing(model)
    parts = {name.removeprefix("model."): part for name, part in LanguageStep.parts.items()}
    with Meter(model, parts) as read:
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(packed_batch(model.config, load)).total
        loss.backward()
    assert fake.flops == read.reading.flops
    assert fake.peak == pytest.approx(read.reading.peak, rel=0.05)


def test_a_packed_batch_holds_its_load() -> None:
    made = packed_batch(SMALL, Load(2, 32, tiles=3, drawn=2, supervised=40, documents=3))
    queries = SMALL.bridge.queries
    assert (int(made.read_mask.sum()), int(made.draw_mask.sum())) == (3 * queries, 2 * queries)
    assert int((made.labels != -100).sum()) == 40 and (made.labels[:, 0] == -100).all()
    assert (made.position_ids == 0).sum(1).tolist() == [3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])  # of blocks that are frozen, too
def test_a_detokenizer_step_without_data_costs_what_a_real_one_does(checkpointing: bool) -> None:
    names = ("resampler.*", "unet.*.to_k.*", "unet.*.to_v.*")
    recipe, config = dataclasses.replace(RECIPE, stage="condition", trained=names), PRESETS["small"]
    how = {"gpu": False, "sharded": False, "bf16": False, "checkpointing": checkpointing}
    fake = measure(detokenizer_step(recipe), Load(2, 16), **how)
    model = Detokenizer(config.detokenizer, config.vision.output_dim).train()
    trainable.apply(model, names)
    if checkpointing:
        apply_activation_checkpointing(model)
    assert model.noise_schedule  # its tables are made on first use
    pixels, features = torch.randn(2, 3, 16, 16), torch.randn(2, config.vision.pooled, config.vision.output_dim)
    times = torch.zeros(2, dtype=torch.int64)
    parts = {name.removeprefix("model."): part for name, part in DetokenizerStep.parts.items() if name != "vision"}
    with Meter(model, parts) as read:
        with torch.no_grad():
            latents, condition = model.vae.encode(pixels), model.condition(pixels)
        model.loss(latents, features, condition, torch.randn_like(latents), times).backward()
    assert {part: flops for part, flops in fake.flops.items() if part != "visual tokenizer"} == read.reading.flops
    assert fake.peak == pytest.approx(read.reading.peak, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
def test_deep_stacks_are_extrapolated_exactly(monkeypatch: pytest.MonkeyPatch, checkpointing: bool) -> None:
    vision = dataclasses.replace(SMALL.vision, layers=9)
    deep = dataclasses.replace(SMALL, vision=vision, language=dataclasses.replace(SMALL.language, layers=12))
    monkeypatch.setitem(PRESETS, "small", deep)
    load = Load(2, 32, tiles=3, drawn=2, supervised=20)
    how = {"gpu": True, "sharded": True, "bf16": True, "checkpointing": checkpointing}
    whole, step = measure(language_step(), load, **how), language_step()
    depths = shortened(step)
    assert depths == {"model.vision.blocks": 9, "model.language.llm.model.layers": 12}
    found = extrapolated(step, depths, load, **how)
    assert found.flops == whole.flops and found.peak == whole.peak


@pytest.mark.slow
def test_a_gpu_separates_documents_by_a_mask() -> None:
    def read(gpu: bool, documents: int) -> int:
        load = Load(1, 32, 1, 1, 4, documents)
        found = measure(language_step(), load, gpu=gpu, sharded=False, bf16=True, checkpointing=False)
        return found.flops["language model"]

    assert read(gpu=True, documents=4) == read(gpu=True, documents=1)
    assert read(gpu=False, documents=4) < read(gpu=False, documents=1)  # a CPU takes them one by one


def test_under_sharding_gradients_leave_and_weights_come_in_half() -> None:
    def read(sharded: bool) -> int:
        load = Load(1, 32, 1, 1, 4)
        return measure(language_step(), load, gpu=True, sharded=sharded, bf16=True, checkpointing=True).peak

    gradients = 4 * trainable.count(trainable.build(RECIPE))
    assert read(sharded=True) < read(sharded=False) - gradients / 2


def test_memory_of_a_share() -> None:
    setting = Setting(1, replicas=1, activation_checkpointing=True)
    memory = costs.memory(SIZES, RECIPE, setting, 4, activations=7)
    assert memory == Memory(
        weights=1000,  # 4 bytes of 1000 over 4 GPUs
        gradients=100,
        optimizer=200,
        ema=0,
        unsharded=200,
        gathered=2 * (200 + 3 * 300),
        unreduced=6 * 60,
        activations=7,
    )
    with_average = costs.memory(SIZES, dataclasses.replace(RECIPE, ema_decay=0.99), setting, 4, 7)
    assert with_average.total == memory.total + 100
    twice = costs.memory(SIZES, RECIPE, dataclasses.replace(setting, replicas=2), 4, 7)
    assert (twice.weights, twice.optimizer, twice.gathered) == (2000, 400, memory.gathered)
    alone = costs.memory(SIZES, RECIPE, setting, 1, 7)
    assert (alone.weights, alone.gathered, alone.gradients) == (4000, 0, 0)


@pytest.mark.slow
def test_offloaded_shards_leave_the_gpu_and_cross_in_every_pass() -> None:
    setting, recipe = Setting(1, replicas=1, activation_checkpointing=True), dataclasses.replace(RECIPE, offload=True)
    kept, memory = (costs.memory(SIZES, each, setting, 4, activations=7) for each in (RECIPE, recipe))
    assert memory.host == kept.weights + kept.gradients + kept.optimizer == 1300
    assert memory.total == kept.total - 1300 and kept.host == 0
    alone = costs.memory(SIZES, recipe, setting, 1, activations=7)
    assert (alone.host, alone.gathered) == (4000 + 400 + 800, kept.gathered)
    crossed = 4 * (2 * 1000 - 200 + 100) / 4  # float32 weights twice, but for the root, and the gradients; of a share
    times = [costs.traffic(SIZES, each, setting, 4, CLUSTER).seconds for each in (RECIPE, recipe)]
    assert times[1] - times[0] == pytest.approx(crossed / (CLUSTER.host * 1e9))
    made = plan.plan(recipe, CLUSTER, gpus=4)
    assert "in the machine's memory" in table(made) and made.choices[0].memory.weights == 0


def test_a_setting_fits_if_something_is_left_for_the_runtime() -> None:
    held = (CLUSTER.memory * GIB - costs.RESERVED) / (1 + costs.FRAGMENTED)
    assert Memory(held - 1, 0, 0, 0, 0, 0, 0, 0).fits(CLUSTER)
    assert not Memory(held + 1, 0, 0, 0, 0, 0, 0, 0).fits(CLUSTER)


def test_traffic_is_as_slow_as_its_slowest_link() -> None:
    gathered, reduced = 2 * (2 * 1000 - 200), 4 * 100  # twice, but for the root; float32 gradients

    def seconds(replicas: int, gpus: int) -> float:
        return costs.traffic(SIZES, RECIPE, Setting(1, replicas, True), gpus, CLUSTER).seconds

    # 4 GPUs in 2 nodes: 3/4 comes in at 100 GB/s, 1/2 into the node at 50 GB/s; the second is longer.
    assert seconds(1, 4) == pytest.approx((gathered + reduced) * 0.5 / 50e9 / costs.LINE_RATE)
    # Within a node, and the gradients of two copies, of which a node sends and receives one half twice.
    inside, across = (gathered + reduced) * 0.5 / 100e9, 2 * reduced * 0.5 / 50e9
    assert seconds(2, 4) == pytest.approx((inside + across) / costs.LINE_RATE)
    assert seconds(2, 2) == pytest.approx(2 * reduced * 0.5 / 100e9 / costs.LINE_RATE)
    # Two copies over two nodes each: of a node's two shards (a half of the gradients) each sends a quarter twice.
    spread = (gathered + reduced) * 0.5 / 50e9 + 2 * reduced * 0.5 / 2 / 50e9
    assert seconds(2, 8) == pytest.approx(spread / costs.LINE_RATE)
    assert seconds(1, 1) == 0


@pytest.mark.slow
def test_a_plan_of_a_small_recipe() -> None:
    made = plan.plan(RECIPE, CLUSTER, gpus=4, mfu=0.5)
    own = made.choices[0]
    assert own.setting == Setting(2, 1, False)
    assert {choice.setting.replicas for choice in made.choices} == {1, 2, 4}
    assert own.accumulation == 1 and own.fits
    assert made.days(own) == pytest.approx(10 * own.step / 86400)
    assert made.days(own, samples=own.samples * 86400) == pytest.approx(1)
    assert own.compute == pytest.approx(sum(made.flops.values()) * 2 * made.samples_per_row / (100e12 * 0.5))
    repeated = next(c for c in made.choices if c.setting == Setting(2, 1, True))
    assert repeated.compute > own.compute and repeated.memory.activations < own.memory.activations
    text = table(made, samples=1e6)
    assert "days for 1,000,000 samples" in text and "visual tokenizer" in text
    assert json.loads(json.dumps(plan.as_dict(made)))["choices"][0]["days"] == made.days(own)


@pytest.mark.slow
def test_a_recipe_is_planned_with_its_replicas() -> None:
    made = plan.plan(dataclasses.replace(RECIPE, replicas=2), CLUSTER, gpus=4)
    assert made.choices[0].setting == Setting(2, 2, False)
    assert made.choices[0].memory.weights == 4 * made.sizes.total / 2
    assert "replicas = 2" in table(made)


def test_what_can_not_be_planned_says_so() -> None:
    with pytest.raises(ValueError, match="at least one GPU"):
        plan.plan(RECIPE, CLUSTER, 0)
    with pytest.raises(ValueError, match="share of the peak"):
        plan.plan(RECIPE, CLUSTER, 4, mfu=40)
    with pytest.raises(ValueError, match="4 ranks can't hold 3 replicas"):
        plan.plan(dataclasses.replace(RECIPE, replicas=3), CLUSTER, 4)
    with pytest.raises(ValueError, match="'vae' has no model of a preset"):
        plan.plan(dataclasses.replace(RECIPE, stage="vae"), CLUSTER, 4)
    with pytest.raises(ValueError, match="names no data"):
        plan.plan(dataclasses.replace(RECIPE, data=()), CLUSTER, 4)


def test_the_average_sample_follows_the_weights() -> None:
    mixed = average([Data("a.tar", "text", weight=3.0), Data("b.tar", "grit", weight=1.0)])
    assert mixed.tokens == (3 * FORMATS["text"].tokens + FORMATS["grit"].tokens) / 4
    assert mixed.tiles == FORMATS["grit"].tiles / 4
    assert average([Data("a.tar", "mine.formats:own")]) == FORMATS["messages"]
    with pytest.raises(ValueError, match="as many as supervised ones"):
        SampleStats(tokens=10, supervised=11)


def test_clusters_come_by_name_or_from_a_file(tmp_path: Path) -> None:
    assert find("h800") is CLUSTERS["h800"]
    file = tmp_path / "mine.toml"
    file.write_text("memory = 141\ntflops = 989\nintra = 450\ninter = 400\n")
    assert find(str(file)) == Cluster("mine", 141, 989, 450, 400, per_node=8)
    with pytest.raises(ValueError, match="did you mean 'h800'"):
        find("h80")
    with pytest.raises(ValueError, match="no cluster file"):
        find(str(tmp_path / "other.toml"))
    for wrong, said in (
        ("memory = 1", "does not describe a whole cluster"),
        ("memory =", "is not TOML"),
        ("memory = 1\ntflop = 2", "did you mean 'tflops'"),
        ("memory = 0\ntflops = 1\nintra = 1\ninter = 1", "memory is a positive number"),
    ):
        file.write_text(wrong)
        with pytest.raises(ValueError, match=said):
            find(str(file))


@pytest.mark.parametrize(
    ("device", "peak"),
    [
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A100-PCIE-40GB", 312e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA H100 PCIe", None),  # a slower board than the table's
        ("NVIDIA H20", None),
        ("cpu", None),
    ],
)
def test_the_vendors_peak_of_a_device(device: str, peak: float | None) -> None:
    assert vendor_peak(device) == peak


@pytest.mark.slow
def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(
        'name = "s"\nstage = "language"\nconfig = "small"\nglobal_batch_size = 4\nmax_seq_len = 32\n'
        '[[data]]\nsource = "a.jsonl"\n'
    )
    assert cli.main(["plan", str(file), "--gpus", "2", "--gpu", "a100-40g", "--tokens", "200", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["sample"]["tokens"] == 200 and shown["gpus"] == 2
    assert cli.main(["plan", str(file), "--gpu", "h900"]) == 2
    assert "did you mean" in capsys.readouterr().err
