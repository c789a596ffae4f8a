"""Golden cases of the de-tokenizer's modules (`e`): its resampler, and losses and gradients of both stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seedx.checkpoint import release
from seedx.model.detokenizer import Detokenizer, widen
from seedx.model.perceiver import PerceiverResampler
from seedx.verify.build import detokenizer_config, first_stage
from seedx.verify.case import ABSENT, Case, Results, fill, of_norm, read_case, unlike, worst

FIRST, SECOND = "SDXLAdapter", "SDXLAdapterWithLatentImage"  # the release's classes of the two stages


def resampler(folder: Path, name: str) -> Results:
    """`out/VARIANT/X/{prompt,pooled}`: a variant is `normalize_True` or `normalize_False`."""
    case = read_case(folder, name)
    official = release.from_release("second_stage", case.state("resampler", "resampler."))
    results: Results = []
    for variant, given in dict.fromkeys(tuple(key.split("/")[:2]) for key in case.under("out/")):
        normalize = {"True": True, "False": False}.get(
            variant.rpartition("_")[2], case.config["resampler"]["normalize"]
        )
        config = detokenizer_config(case.config, normalize=normalize)
        model = PerceiverResampler(config, case.config["resampler"]["embedding_dim"])
        fill(model, {key.removeprefix("resampler."): tensor for key, tensor in official.items()})
        with torch.no_grad():
            prompt, pooled = model(case.tensors[f"in/{given}"])
        results += case.compare(f"{variant}/{given}/prompt", prompt)
        results += case.compare(f"{variant}/{given}/pooled", pooled)
    return results


def forward(folder: Path, name: str) -> Results:
    """Both stages: losses, predictions, gradients, and what widening and freezing do."""
    case = read_case(folder, name)
    t, model = case.tensors, first_stage(case)
    channels, results = model.vae.channels, trainable(case, model, FIRST, ())
    if "in/conv_in_weight_before" in t:
        results.append(("first_stage/conv_in", worst(model.unet.conv_in.weight, t["in/conv_in_weight_before"])))
    results += one_pass(case, model, t["in/noisy_latents"], None, "", FIRST)
    if "in/latent/noisy_latents" not in t:
        return results

    widen(model)
    results.append(("widened/weight", worst(model.unet.conv_in.weight, t["out/widened/conv_in_weight"])))
    # The release initialises a new bias here, which is a bug; ours keeps the trained one.
    results.append(("widened/bias_kept", worst(model.unet.conv_in.bias, t["in/conv_in_bias_before"])))
    with torch.no_grad():
        model.unet.conv_in.weight[:, channels:] = t["in/latent/conv_in_extra"]
        model.unet.conv_in.bias.copy_(t["out/widened/conv_in_bias"])
    results += trainable(case, model, SECOND, ("unet.conv_in.",))
    noisy, condition = t["in/latent/noisy_latents"].split(channels, dim=1)
    return results + one_pass(case, model, noisy, condition, "latent/", SECOND)


def one_pass(
    case: Case, model: Detokenizer, noisy: Tensor, condition: Tensor | None, out: str, official_class: str
) -> Results:
    """Prediction, loss and gradient norms. `loss` starts from clean latents: those that noise turns into `noisy`."""
    t = case.under("in/")
    features, noise, time_ids, timesteps = (t[key] for key in ("image_embeds", "noise", "time_ids", "timesteps"))
    timesteps = timesteps.long().expand(len(noisy))
    prompt, pooled = model.context(features)
    predicted = model.predict(noisy, timesteps, prompt, pooled, time_ids, condition)
    kept = model.noise_schedule.alphas_cumprod[timesteps][:, None, None, None]
    clean = (noisy - (1 - kept).sqrt() * noise) / kept.sqrt()
    model.zero_grad()
    loss = model.loss(clean, features, condition, noise, timesteps, time_ids)
    loss.backward()
    results = [*case.compare(f"{out}noise_pred", predicted), *case.compare(f"{out}total_loss", loss)]
    norms = {key: p.grad.norm().item() for key, p in model.named_parameters() if p.grad is not None}
    ours = release.to_release("second_stage", norms)
    for variant, expected in variants(case, "losses", official_class):
        results.append((f"{variant}/loss", abs(loss.item() - expected)))
    for variant, expected in variants(case, "grad_norms", official_class):
        error = max(of_norm(ours.get(key, ABSENT), norm) for key, norm in expected.items())
        results.append((f"{variant}/grad_norms", error))
    return results


def variants(case: Case, what: str, official_class: str) -> Iterable[tuple[str, Any]]:
    """What is stored for a class: its variants are CLASS_full_ft_True and CLASS_full_ft_False."""
    stored = case.facts["outputs"].get(what, {})
    return [(key, value) for key, value in stored.items() if key.rpartition("_full_ft_")[0] == official_class]


def trainable(case: Case, model: Detokenizer, official_class: str, also: tuple[str, ...]) -> Results:
    """What each stage trains, by name. The release gives keys and values to its optimiser but leaves them frozen, which
    is a bug: its `requires_grad` is our list without them."""
    ours = {key: None for key, _ in model.named_parameters() if not key.startswith("vae.")}
    names = release.to_release("second_stage", ours)
    keys_values = {key for key in names if key.startswith("unet.") and key.split(".")[-2] in ("to_k", "to_v")}
    rest = {key for key in names if key.startswith(("resampler.", *also))}
    results = []
    for variant, lists in variants(case, "trainable", official_class):
        whole = variant.endswith("True")
        results.append((f"{variant}/requires_grad", unlike(names if whole else rest, lists["requires_grad"])))
        results.append(
            (f"{variant}/params_to_opt", unlike(names if whole else rest | keys_values, lists["params_to_opt"]))
        )
    return results


CASES: dict[str, Callable[[Path, str], Results]] = {"e_resampler": resampler, "e_adapter": forward}
