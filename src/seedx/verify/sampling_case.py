"""Golden cases of drawing (`e_sampling`): tables, contexts, every step's latents, pixels, and the autoencoder alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seedx.checkpoint import release
from seedx.model.denoise import denoise, draw_noise
from seedx.model.detokenizer import Detokenizer, scheduler, set_timesteps, widen
from seedx.model.vision import VisionTransformer, negative_features, pool_features
from seedx.verify.build import POOL, first_stage, vision
from seedx.verify.case import Case, Results, fill, largest, read_case, worst

SAME_STAGE = 1e-3  # a larger error means that the other of the two stages drew the picture


def sampling(folder: Path, name: str) -> Results:
    case = read_case(folder, name)
    eye, stages = vision(case), stages_of(case)
    results = tables(case, stages[0]) + autoencoder(case, stages[0])
    for sub in [key.removesuffix("/noise") for key in case.under("in/") if key.endswith("/noise")]:
        results += by_the_right_stage(case, sub, stages, eye)
    return results


def stages_of(case: Case) -> list[Detokenizer]:
    """The first stage, and the second one if the case has it, of which only what differs is stored."""
    stages = [first_stage(case).eval()]
    if edit := case.state("adapter_edit"):
        second = widen(first_stage(case)).eval()
        fill(second, release.from_release("second_stage", case.state("adapter") | edit), without="vae.")
        stages.append(second)
    return stages


def by_the_right_stage(case: Case, sub: str, stages: list[Detokenizer], eye: VisionTransformer) -> Results:
    """Only the name of a picture without a source hints at the stage that drew it: the likelier one is tried first."""
    edit = f"in/{sub}/source_image" in case.tensors
    likely = stages[::-1] if edit or "edit" in sub else stages
    results = drawing(case, sub, likely[0], eye)
    if edit or len(stages) == 1 or largest(results) < SAME_STAGE:
        return results
    return min(results, drawing(case, sub, likely[1], eye), key=largest)


def drawing(case: Case, sub: str, model: Detokenizer, eye: VisionTransformer) -> Results:
    """One call: its contexts, every step's latents, its pixels."""
    t, trace = case.under(f"in/{sub}/"), dict[int, Tensor]()
    noise, condition = t["noise"], None
    results: Results = []
    with torch.no_grad():
        features, negative = context_of(case, sub, model, eye)
        if "source_image" in t:
            pixels = t["source_image"].reshape(-1, *t["source_image"].shape[-3:]).permute(0, 3, 1, 2) / 127.5 - 1
            condition = model.condition(pixels)
            results += case.compare(f"{sub}/image_latents", condition)
            condition = condition.expand(len(noise), -1, -1, -1)
        for side, given in (("", features), ("negative_", negative)):
            prompt, pooled = model.context(given)
            results += case.compare(f"{sub}/{side}prompt_embeds", prompt)
            results += case.compare(f"{sub}/{side}pooled", pooled)
    schedule = scheduler(model.config.sampler, model.config)
    set_timesteps(schedule, steps_of(case, sub))
    results += table_of(case, sub, schedule)
    image = denoise(
        model,
        features,
        negative[:1],
        range(len(features)),
        size=tuple(side * model.vae.factor for side in noise.shape[2:]),  # type: ignore[arg-type]
        condition=condition,
        steps=len(schedule.timesteps),
        noise=noise,
        callback=lambda step, _, latents: trace.update({step - 1: latents.clone()}),
        **guidance_of(case, sub, condition is not None),
    )
    unit = float(schedule.init_noise_sigma)  # what a latent of 1 is multiplied by at the start: rounding is as well
    for step, latents in trace.items():
        results += case.compare(f"{sub}/latents_step_{step}", latents, unit)
    return [*results, *case.compare(f"{sub}/latents", latents, unit), *case.compare(f"{sub}/image", image)]


def table_of(case: Case, sub: str, schedule: Any) -> Results:
    """Timesteps and deviations of a call's steps."""
    expected = case.facts["outputs"].get(sub, {})
    ours = {key: torch.as_tensor(getattr(schedule, key)) for key in ("timesteps", "sigmas", "init_noise_sigma")}
    return [(f"{sub}/{key}", worst(ours[key], torch.tensor(expected[key]))) for key in ours if key in expected]


def context_of(case: Case, sub: str, model: Detokenizer, eye: VisionTransformer) -> tuple[Tensor, Tensor]:
    """Features of the pictures to draw, and as many negative ones.

    An image given directly feeds all its features; one that the language model regressed fewer ones, by `vit_down`. The
    negative does as the picture. Where the setting is not written, it is the one by which the negative comes out.
    """
    t, negatives = case.under(f"in/{sub}/"), {False: negative_features(eye, pooled=False)}
    features = eye(t["image_tensor"]) if "image_tensor" in t else t["image_embeds"]
    if "image_tensor" not in t and negatives[False].shape[1] % POOL == 0:
        negatives[True] = pool_features(negatives[False], POOL)
    negatives = {down: negative.expand(len(features), -1, -1) for down, negative in negatives.items()}
    expected = case.tensors.get(f"out/{sub}/negative_pooled")
    if expected is None:
        found = features.shape[1] != negatives[False].shape[1]
    else:
        found = min(negatives, key=lambda down: worst(model.context(negatives[down])[1], expected))
    return features, negatives[case.setting("vit_down", sub, found)]


def guidance_of(case: Case, sub: str, edits: bool) -> dict[str, Any]:
    """The release turns guidance off where a scale is too small for it."""
    guidance = case.setting("guidance_scale", sub, 7.5)
    for_image = case.setting("image_guidance_scale", sub, 1.5)
    if guidance <= 1 or (edits and for_image < 1):
        guidance = for_image = 1.0
    return {"guidance": guidance, "image_guidance": for_image}


def steps_of(case: Case, sub: str) -> int:
    stored = [key for key in case.under(f"out/{sub}/") if re.fullmatch(r"latents_step_\d+", key)]
    timesteps = (case.facts["outputs"].get(sub) or {}).get("timesteps")
    return case.setting("num_inference_steps", sub) or (len(timesteps) if timesteps else len(stored))


def tables(case: Case, model: Detokenizer) -> Results:
    """Euler's table of so many steps, and the noise of a seed."""
    results = []
    for key, tensor in case.under("out/").items():
        if part := re.fullmatch(r"euler(\d+)/(timesteps|sigmas)", key):
            euler = scheduler(model.config.sampler, model.config)
            set_timesteps(euler, int(part[1]))
            results.append((key, worst(getattr(euler, part[2]), tensor)))
        elif part := re.fullmatch(r"seed_(\d+)_initial_noise", key):
            height, width = (side * model.vae.factor for side in tensor.shape[2:])
            noise = draw_noise(model, [torch.Generator().manual_seed(int(part[1]))], height, width)
            results.append((key, worst(noise, tensor[:1])))
    return results


@torch.no_grad()
def autoencoder(case: Case, model: Detokenizer) -> Results:
    """The autoencoder alone, there and back, without the factor that the U-Net's latents have."""
    mode = case.tensors.get("out/vae/mode")
    return [] if mode is None else list(case.compare("vae/decoded", model.vae.decode(mode * model.vae.scale)))


CASES: dict[str, Callable[[Path, str], Results]] = {"e_sampling": sampling}
