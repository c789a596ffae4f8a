"""The golden case of losses, gradients and the first updates: the release's forward of mixed rows, in nine variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seedx import convert
from seedx.batch import Batch
from seedx.config import VisionConfig
from seedx.model.seedx import Losses, SeedX
from seedx.model.vision import pool_features
from seedx.verify.build import seedx
from seedx.verify.detokenizer_cases import Case, Results, read_case, unlike, worst

LOSSES = {"total_loss": "total", "lm_loss": "text", "rec_loss": "image"}


def forward(folder: Path, name: str) -> Results:
    """Features, every variant's losses, states and logits, gradients, and the first updates of AdamW."""
    case = read_case(folder, name)
    t, model = case.tensors, seedx(case)
    valid = t["in/train_filter/embeds_valid_mask"]
    with torch.no_grad():
        features = model.encode_images(t["in/batch/images"][valid])
    results = [("image_embeds", worst(features, t["out/image_embeds"]))]
    for variant, facts in case.facts["outputs"]["variants"].items():
        ours, batch = of_variant(case, variant, facts, features)
        with torch.no_grad():
            losses = ours(batch)
        expected = case.facts["outputs"]["losses"][variant]
        results += [(f"{variant}/{key}", error) for key, error in against(losses, expected)]
    batch = of_variant(case, "mixed", case.facts["outputs"]["variants"]["mixed"], features)[1]
    return results + mixed_states(case, model, batch) + gradients(case, model, batch)


def of_variant(case: Case, variant: str, facts: dict[str, Any], features: Tensor) -> tuple[SeedX, Batch]:
    """The model with a variant's settings, and the rows and images that it was given."""
    t, agent = case.tensors, {**case.facts["config"]["agent"], **facts["agent"]}
    row = case.facts["inputs"]["rows"].index(ROW_OF[variant]) if facts["batch_rows"] == 1 else None
    rows = slice(None) if row is None else slice(row, row + 1)
    if not agent["vit_down"]:
        features = pool_features(features, VisionConfig.pool)
    centres = t["in/batch/patch_position"][t["in/train_filter/embeds_valid_mask"]]
    reads, draws = (t[f"in/train_filter/embeds_{side}_mask"] for side in ("cmp", "gen"))
    queries = case.facts["config"]["num_img_tokens"]
    read, drawn = (owners(t[f"in/batch/ids_{side}_mask"], queries, row) for side in ("cmp", "gen"))
    ids = t["in/batch/input_ids"][rows]
    batch = Batch(
        input_ids=ids,
        labels=t["in/batch/labels"][rows],
        position_ids=torch.arange(ids.shape[1]).expand(len(ids), -1),
        read_mask=t["in/batch/ids_cmp_mask"][rows],
        draw_mask=t["in/batch/ids_gen_mask"][rows],
        tiles=features[reads][read] if read.any() else None,
        tile_positions=centres[reads][read] if read.any() and facts["patch_positions"] else None,
        targets=features[draws][drawn] if drawn.any() else None,
    )
    return seedx(case, agent), batch


def owners(mask: Tensor, queries: int, row: int | None) -> Tensor:
    """Which of the images under a batch's mask (B, T) are of one row, or of any: (images,) bool."""
    counts = mask.sum(dim=1) // queries
    of_row = torch.repeat_interleave(torch.arange(len(counts)), counts)
    return torch.ones_like(of_row, dtype=torch.bool) if row is None else of_row == row


ROW_OF = {
    "comprehension_only": "llava",
    "generation_only": "caption_to_image",
    "edit_only": "edit",
    "text_only": "text_only",
}


def against(losses: Losses, expected: dict[str, float]) -> Results:
    return [(key, abs(getattr(losses, ours).item() - expected[key])) for key, ours in LOSSES.items()]


def mixed_states(case: Case, model: SeedX, batch: Batch) -> Results:
    t = case.tensors
    with torch.no_grad():
        embeds = model.embed(batch.input_ids, batch.read_mask, batch.tiles, batch.tile_positions)
        states = model.language.states(embeds, batch.position_ids)
        drawn = model.draw_features(
            states[batch.draw_mask].unflatten(0, (len(case.tensors["out/mixed/output_resampler"]), -1))
        )
        logits = model.language.head(states)
        read = model.input_resampler(batch.tiles)
    return [
        ("mixed/input_resampler", worst(read, t["out/mixed/input_resampler"])),
        ("mixed/last_hidden_state", worst(states, t["out/mixed/last_hidden_state"])),
        ("mixed/output_resampler", worst(drawn, t["out/mixed/output_resampler"])),
        ("mixed/logits_row1_first8", worst(logits[1, :8], t["out/mixed/logits_row1_first8"])),
        ("mixed/logits_argmax", float((logits.argmax(dim=-1) != t["out/mixed/logits_argmax"]).sum())),
    ]


def gradients(case: Case, model: SeedX, batch: Batch) -> Results:
    """Gradients of the mixed batch by name, then AdamW's updates with the release's settings."""
    model.train()
    losses = model(batch)
    losses.total.backward()
    ours = {key: p.grad for key, p in model.named_parameters() if p.grad is not None}
    official = convert.to_release("agent", ours)
    norms = case.facts["outputs"]["grad_norms"]
    results = [
        *((f"train/{key}", error) for key, error in against(losses, case.facts["outputs"]["train_mode_losses"])),
        ("grad_norms/names", unlike(official, norms)),
        ("grad_norms", max(abs(official[key].norm().item() - norms[key]) for key in norms if key in official)),
    ]
    for key in [key for key in case.tensors if key.startswith("grad/")]:
        results.append((key, worst(official[key.removeprefix("grad/")], case.tensors[key])))
    return results + updates(case, model, batch)


def updates(case: Case, model: SeedX, batch: Batch) -> Results:
    facts = case.facts["outputs"]["adamw"]
    trained = [p for p in model.parameters() if p.requires_grad]
    settings = {key: facts[key] for key in ("lr", "eps", "weight_decay")}
    optimizer = torch.optim.AdamW(trained, betas=tuple(facts["betas"]), **settings)
    results = []
    for step, (expected, norm) in enumerate(zip(facts["losses"], facts["grad_norms_before_clip"], strict=True)):
        optimizer.zero_grad()
        losses = model(batch)
        losses.total.backward()
        ours = torch.nn.utils.clip_grad_norm_(trained, facts["clip_grad_norm"]).item()
        optimizer.step()
        results += [(f"adamw/{step}/{key}", error) for key, error in against(losses, expected)]
        results.append((f"adamw/{step}/grad_norm", abs(ours - norm)))
    return results
