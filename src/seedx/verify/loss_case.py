"""The golden case of losses, gradients and the first updates (`c`): the release's forward of a batch, in variants."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seedx.batch import Batch
from seedx.checkpoint import release
from seedx.model.losses import Losses
from seedx.model.seedx import SeedX
from seedx.model.vision import pool_features
from seedx.verify.build import POOL, seedx, vision
from seedx.verify.case import ABSENT, Case, Results, largest, of_norm, read_case, worst

LOSSES = ("total_loss", "lm_loss", "rec_loss")  # the release's names


def forward(folder: Path, name: str) -> Results:
    """Features, every variant's losses, states and logits, gradients, and the first updates of AdamW."""
    case = read_case(folder, name)
    features: Tensor | None = None
    results: Results = []
    if "in/batch/images" in case.tensors:
        with torch.no_grad():
            features = vision(case)(case.tensors["in/batch/images"][valid(case)])
        results += case.compare("image_embeds", features)
    variants = case.facts["outputs"]["variants"]
    for variant, facts in variants.items():
        tried: list[Results] = [of_rows(case, variant, facts, features, rows) for rows in candidates(case, facts)]
        results += sorted(tried, key=largest)[0]
    whole = "mixed" if "mixed" in variants else next(iter(variants))  # whose gradients were taken
    rows = next(candidates(case, variants[whole]))
    return results + gradients(case, *of_variant(case, variants[whole], features, rows))


def valid(case: Case) -> Tensor:
    """Which of the batch's images are used: (images,) bool. The others are removed before the visual tokenizer."""
    given = case.under("in/train_filter/").get("embeds_valid_mask")
    gen, cmp = (case.tensors[f"in/batch/embeds_{side}_mask"] for side in ("gen", "cmp"))
    return gen | cmp if given is None else given


def candidates(case: Case, facts: dict[str, Any]) -> Iterator[tuple[int, ...]]:
    """The rows that a variant may consist of. Its note lists them; without one, every choice with as many images."""
    every = range(len(case.tensors["in/batch/input_ids"]))
    number = facts.get("batch_rows", len(every))
    note = " ".join(re.findall(r"\brows? ([\d, and]+)", facts.get("note", "")))
    noted = tuple(int(row) for row in re.findall(r"\d+", note))
    if number == len(every):
        yield tuple(every)
    elif len(noted) == number and max(noted) < len(every):
        yield noted
    else:
        images = (facts.get("image_embeds") or [0])[0]
        kept = [int(sum(of_rows.sum() for of_rows in owners(case, (row,)))) for row in every]
        yield from (rows for rows in itertools.combinations(every, number) if sum(kept[row] for row in rows) == images)


def owners(case: Case, rows: Sequence[int]) -> list[Tensor]:
    """Which of the images read, and which of those drawn, belong to some rows: two of (images,) bool, in order."""
    found = []
    for side in ("cmp", "gen"):
        counts = case.tensors[f"in/batch/ids_{side}_mask"].sum(dim=1) // case.config["num_img_tokens"]
        of_row = torch.repeat_interleave(torch.arange(len(counts)), counts)
        found.append(torch.isin(of_row, torch.tensor(rows)))
    return found


def of_rows(case: Case, variant: str, facts: dict[str, Any], features: Tensor | None, rows: Sequence[int]) -> Results:
    model, batch = of_variant(case, facts, features, rows)
    with torch.no_grad():
        results = [(f"{variant}/{key}", error) for key, error in against(model(batch), expected(case, variant))]
        return results + list(states(case, variant, model, batch))


def of_variant(case: Case, facts: dict[str, Any], features: Tensor | None, rows: Sequence[int]) -> tuple[SeedX, Batch]:
    """The model with a variant's settings, and the rows and images that it was given."""
    t, agent = case.under("in/batch/"), {**case.config["agent"], **facts.get("agent", {})}
    kept = slice(None) if len(rows) == len(t["input_ids"]) else list(rows)
    tiles = targets = centres = None
    given = None if features is None else facts.get("image_embeds", list(features.shape))
    if features is not None and given is not None:
        if given[1] * POOL == features.shape[1]:  # given as pooled ones
            features = pool_features(features, POOL)
        read, drawn = owners(case, rows)
        reads, draws = (t[f"embeds_{side}_mask"][valid(case)] for side in ("cmp", "gen"))
        tiles = features[reads][read] if read.any() else None
        targets = features[draws][drawn] if drawn.any() else None
        if read.any() and facts.get("patch_positions", True) and "patch_position" in t:
            centres = t["patch_position"][valid(case)][reads][read]
    ids = t["input_ids"][kept]
    batch = Batch(
        input_ids=ids,
        labels=t["labels"][kept],
        position_ids=torch.arange(ids.shape[1]).expand(len(ids), -1),
        read_mask=t["ids_cmp_mask"][kept],
        draw_mask=t["ids_gen_mask"][kept],
        tiles=tiles,
        tile_positions=centres,
        targets=targets,
    )
    return seedx(case, agent, None if features is None else features.shape[1]), batch


def expected(case: Case, variant: str) -> dict[str, float]:
    stored = {
        key: case.tensors[f"out/{variant}/{key}"].item() for key in LOSSES if f"out/{variant}/{key}" in case.tensors
    }
    return case.facts["outputs"].get("losses", {}).get(variant) or stored


def against(losses: Losses, expected: dict[str, float]) -> Results:
    ours = dict(zip(LOSSES, (losses.total, losses.mean("text"), losses.mean("image")), strict=True))
    return [(key, abs(ours[key].item() - expected[key])) for key in LOSSES]


def states(case: Case, variant: str, model: SeedX, batch: Batch) -> Iterator[tuple[str, float]]:
    """The stored intermediate states of a variant. Without an image to read or draw the release feeds noise there."""
    outputs = case.under(f"out/{variant}/")
    if outputs.keys() <= set(LOSSES):
        return
    embeds = model.embed(batch.input_ids, batch.read_mask, batch.tiles, batch.tile_positions)
    final = model.language.states(embeds, batch.position_ids)
    logits = model.language.head(final)
    yield from case.compare(f"{variant}/last_hidden_state", final)
    if batch.tiles is not None:
        yield from case.compare(f"{variant}/input_resampler", model.input_resampler(batch.tiles))
    if batch.targets is not None:
        drawn = final[batch.draw_mask].unflatten(0, (len(batch.targets), -1))
        yield from case.compare(f"{variant}/output_resampler", model.draw_features(drawn))
    for key, tensor in outputs.items():
        if part := re.fullmatch(r"logits_row(\d+)_first(\d+)", key):
            yield f"{variant}/{key}", worst(logits[int(part[1]), : int(part[2])], tensor)
        elif key == "logits_argmax":  # how far the release's argmax is below our maximum: 0 if two logits are equal
            yield f"{variant}/{key}", (logits.amax(dim=-1) - logits.gather(-1, tensor[..., None])[..., 0]).max().item()


def gradients(case: Case, model: SeedX, batch: Batch) -> Results:
    """Gradients by name, then AdamW's updates with the release's settings."""
    outputs = case.facts["outputs"]
    model.train()
    losses = model(batch)
    losses.total.backward()
    ours = {key: p.grad for key, p in model.named_parameters() if p.grad is not None}
    official = release.to_release("agent", ours)
    norms = {key: gradient.norm().item() for key, gradient in official.items()}
    results = [(f"train/{key}", error) for key, error in against(losses, outputs["train_mode_losses"])]
    if theirs := outputs.get("grad_norms"):  # a missing gradient equals one of zeros
        errors = [
            (f"grad_norms/{key}", of_norm(norms.get(key, 0.0), theirs.get(key, 0.0))) for key in {**theirs, **norms}
        ]
        results += [max(errors, key=lambda result: result[1]), ("grad_norms/names", unknown(norms, theirs))]
    for key, tensor in case.under("grad/").items():
        results.append((f"grad/{key}", worst(official[key], tensor) if key in official else ABSENT))
    return results + updates(case, model, batch)


def unknown(ours: dict[str, float], theirs: dict[str, float]) -> float:
    """How many non-zero gradients one side has and the other has not."""
    return float(len({key for key, norm in ours.items() if norm} ^ {key for key, norm in theirs.items() if norm}))


def updates(case: Case, model: SeedX, batch: Batch) -> Results:
    facts = case.facts["outputs"].get("adamw")
    if facts is None:
        return []
    trained = [p for p in model.parameters() if p.requires_grad]
    settings = {key: facts[key] for key in ("lr", "eps", "weight_decay")}
    optimizer = torch.optim.AdamW(trained, betas=tuple(facts["betas"]), **settings)
    results = []
    for step, (losses, norm) in enumerate(zip(facts["losses"], facts["grad_norms_before_clip"], strict=True)):
        optimizer.zero_grad()
        ours = model(batch)
        ours.total.backward()
        norm_before = torch.nn.utils.clip_grad_norm_(trained, facts["clip_grad_norm"]).item()
        optimizer.step()
        results += [(f"adamw/{step}/{key}", error) for key, error in against(ours, losses)]
        results.append((f"adamw/{step}/grad_norm", of_norm(norm_before, norm)))
    return results


CASES: dict[str, Callable[[Path, str], Results]] = {"c": forward}
