from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from seedx.batch import Batch
from seedx.config import BridgeConfig, Config, LanguageConfig, VisionConfig
from seedx.model.losses import regression
from seedx.model.seedx import SeedX, tile_embedding
from seedx.verify.loss_case import forward

GOLDEN = Path(__file__).parents[1] / "golden"
QUERIES = 4
CONFIG = Config(
    name="small",
    vision=VisionConfig(image_size=28, width=16, layers=1, heads=2, queries=16, output_dim=32),
    language=LanguageConfig(vocab_size=60, hidden_size=24, intermediate_size=32, layers=2, heads=2, context=64),
    bridge=BridgeConfig(queries=QUERIES, input_heads=2, output_heads=2),
)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SeedX(CONFIG)


def row(kind: str) -> Batch:
    """One row of 12 tokens that reads an image, draws one, or has neither."""
    ids = torch.randint(60, (1, 12))
    labels = ids.clone()
    labels[:, :3] = -100
    masks = {side: torch.zeros(1, 12, dtype=torch.bool) for side in ("read", "draw")}
    if kind in masks:
        masks[kind][:, 4 : 4 + QUERIES] = True
        labels[masks[kind]] = -100
    return Batch(
        input_ids=ids,
        labels=labels,
        position_ids=torch.arange(12)[None],
        read_mask=masks["read"],
        draw_mask=masks["draw"],
        tiles=torch.randn(1, 16, 32) if kind == "read" else None,
        tile_positions=torch.tensor([[0.25, 0.5]]) if kind == "read" else None,
        targets=torch.randn(1, 16, 32) if kind == "draw" else None,
    )


def joined(rows: list[Batch], dim: int) -> Batch:
    """Rows under each other (0), or packed into one (1)."""
    fields = {}
    for field in dataclasses.fields(Batch):
        values = [value for batch in rows if (value := getattr(batch, field.name)) is not None]
        of_tokens = field.name not in ("tiles", "tile_positions", "targets")
        fields[field.name] = torch.cat(values, dim=dim if of_tokens else 0) if values else None
    return Batch(**fields)


def test_golden():
    """Nine variants' losses, states, gradients and four updates of AdamW."""
    results = forward(GOLDEN, "c_lvlm_forward")
    assert len(results) > 55 and max(error for _, error in results) < 5e-5


@pytest.mark.parametrize("dim", [0, 1], ids=["batched", "packed"])
def test_rows_together_have_the_sums_of_rows_apart(model, dim):
    torch.manual_seed(1)
    rows = [row("read"), row("draw"), row("neither"), row("read"), row("draw")]
    apart = [model(batch) for batch in rows]
    together = model(joined(rows, dim))
    for name in ("text", "image"):
        torch.testing.assert_close(together.sums[name], sum(losses.sums[name] for losses in apart))
        assert together.counts[name] == sum(losses.counts[name] for losses in apart)
    assert together.counts["image"] == 2 * 4 * 32
    torch.testing.assert_close(together.total, together.mean("text") + 6 * together.mean("image"))


@pytest.mark.parametrize("kind", ["read", "draw", "neither"])
def test_every_trained_weight_is_in_every_graph(model, kind):
    model.zero_grad(set_to_none=True)
    model(row(kind)).total.backward()
    assert {name for name, p in model.named_parameters() if p.grad is None} == {
        name for name, _ in model.named_parameters() if name.startswith("vision.")
    }
    read = model.input_resampler.query.grad.norm() + model.tile_positions.grad.norm()
    assert (read > 0) == (kind == "read") and (model.output_resampler.query.grad.norm() > 0) == (kind == "draw")


def test_pixels_equal_their_features(model):
    pixels = torch.randn(2, 3, 28, 28)
    features = model.encode_images(pixels)
    batch = joined([row("read"), row("draw")], 0)
    of_pixels = model(dataclasses.replace(batch, tiles=pixels[:1], targets=pixels[1:]))
    of_features = model(dataclasses.replace(batch, tiles=features[:1], targets=features[1:]))
    torch.testing.assert_close(of_pixels.total, of_features.total)


def test_drawing_ignores_the_pixels_of_its_target(model):
    """The states that are regressed see nothing of the target: only the loss does."""
    batch = row("draw")
    other = dataclasses.replace(batch, targets=batch.targets + 1)
    one, two = model(batch).sums, model(other).sums
    assert torch.equal(one["text"], two["text"]) and not torch.equal(one["image"], two["image"])


def test_tile_embedding():
    weight = torch.eye(4)
    assert tile_embedding(torch.tensor([[0.25, 0.5]]), weight).tolist() == [[[0.125, 0.25, 0.375, 0.25]]]


def test_users_mistakes(model):
    batch = joined([row("read"), row("draw")], 0)
    with pytest.raises(ValueError, match=r"0 images to read need 0 placeholders \(4 each\), but 4 are marked"):
        model(dataclasses.replace(batch, tiles=None))
    with pytest.raises(ValueError, match="2 images to draw need 8 placeholders"):
        model(dataclasses.replace(batch, targets=torch.zeros(2, 16, 32)))
    with pytest.raises(ValueError, match=r"features \(N, 16, 32\), not \(1, 4, 32\)"):
        model(dataclasses.replace(batch, targets=torch.zeros(1, 4, 32)))
    with pytest.raises(ValueError, match='"mse" or "cosine", not \'l1\''):
        regression(torch.zeros(1), torch.zeros(1), dataclasses.replace(CONFIG.bridge, regression="l1"))
