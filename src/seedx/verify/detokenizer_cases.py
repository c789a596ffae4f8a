"""Golden cases of the de-tokenizer: resampler, losses and gradients, and drawing step by step.

Each case reads NAME.json (sizes) and NAME.safetensors (state, inputs, outputs) and returns pairs: what was compared,
and its worst absolute error.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from seedx import convert
from seedx.checkpoint import checked
from seedx.config import DetokenizerConfig, VisionConfig
from seedx.model.denoise import denoise, draw_noise
from seedx.model.detokenizer import Detokenizer, scheduler, widen
from seedx.model.perceiver import PerceiverResampler
from seedx.model.vision import VisionTransformer, pool_features

Results = list[tuple[str, float]]
ABSENT = float("inf")  # the error of what should be there and is not


@dataclasses.dataclass
class Case:
    facts: dict[str, Any]
    tensors: dict[str, Tensor]

    def state(self, part: str, prefix: str = "") -> dict[str, Tensor]:
        """The official state dict stored as `part`, with `prefix` put before its names."""
        head = f"state/{part}/"
        return {prefix + name[len(head) :]: t for name, t in self.tensors.items() if name.startswith(head)}


def read_case(folder: Path, name: str) -> Case:
    facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return Case(facts, load_file(folder / f"{name}.safetensors"))


def resampler(folder: Path, name: str) -> Results:
    case = read_case(folder, name)
    results = []
    for normalize in (False, True):
        config = dataclasses.replace(detokenizer_config(case), normalize=normalize)
        model = PerceiverResampler(config, case.facts["config"]["resampler"]["embedding_dim"])
        official = convert.from_release("second_stage", case.state("resampler", "resampler."))
        fill(model, {key.removeprefix("resampler."): t for key, t in official.items()})
        for key in [key for key in case.tensors if key.startswith("in/")]:
            which = f"normalize_{normalize}/{key.removeprefix('in/')}"
            with torch.no_grad():
                prompt, pooled = model(case.tensors[key])
            results.append((f"{which}/prompt", worst(prompt, case.tensors[f"out/{which}/prompt"])))
            results.append((f"{which}/pooled", worst(pooled, case.tensors[f"out/{which}/pooled"])))
    return results


def forward(folder: Path, name: str) -> Results:
    """Both stages: losses, predictions, gradients, and what widening and freezing do."""
    case = read_case(folder, name)
    t, outputs = case.tensors, case.facts["outputs"]
    model = first_stage(case)
    results = [("first_stage/conv_in", worst(model.unet.conv_in.weight, t["in/conv_in_weight_before"]))]
    results += trainable(model, outputs["trainable"], "SDXLAdapter", ())
    channels = model.vae.channels
    results += one_pass(case, model, t["in/noisy_latents"], None, "", "SDXLAdapter")

    widen(model)
    results.append(("widened/weight", worst(model.unet.conv_in.weight, t["out/widened/conv_in_weight"])))
    # The release draws a fresh bias here, a fault; ours is the one it had.
    results.append(("widened/bias_kept", worst(model.unet.conv_in.bias, t["in/conv_in_bias_before"])))
    with torch.no_grad():
        model.unet.conv_in.weight[:, channels:] = t["in/latent/conv_in_extra"]
        model.unet.conv_in.bias.copy_(t["out/widened/conv_in_bias"])
    results += trainable(model, outputs["trainable"], "SDXLAdapterWithLatentImage", ("unet.conv_in.",))
    noisy, condition = t["in/latent/noisy_latents"].split(channels, dim=1)
    return results + one_pass(case, model, noisy, condition, "latent/", "SDXLAdapterWithLatentImage")


def one_pass(
    case: Case, model: Detokenizer, noisy: Tensor, condition: Tensor | None, out: str, official_class: str
) -> Results:
    """Prediction, loss and gradient norms. `loss` starts from clean latents: those that noise turns into `noisy`."""
    t, outputs = case.tensors, case.facts["outputs"]
    prompt, pooled = model.context(t["in/image_embeds"])
    predicted = model.predict(noisy, t["in/timesteps"], prompt, pooled, t["in/time_ids"], condition)
    kept = model.noise_schedule.alphas_cumprod[t["in/timesteps"]][:, None, None, None]
    clean = (noisy - (1 - kept).sqrt() * t["in/noise"]) / kept.sqrt()
    model.zero_grad()
    loss = model.loss(clean, t["in/image_embeds"], condition, t["in/noise"], t["in/timesteps"], t["in/time_ids"])
    loss.backward()
    norms = {key: p.grad.norm().item() for key, p in model.named_parameters() if p.grad is not None}
    results = [
        (f"{out}noise_pred", worst(predicted, t[f"out/{out}noise_pred"])),
        (f"{out}total_loss", worst(loss, t[f"out/{out}total_loss"])),
    ]
    for variant, expected in outputs["grad_norms"].items():
        if variant.rpartition("_full_ft_")[0] == official_class:
            results.append((f"{variant}/loss", abs(loss.item() - outputs["losses"][variant])))
            ours = convert.to_release("second_stage", norms)
            error = max(abs(ours.get(key, ABSENT) - norm) for key, norm in expected.items())
            results.append((f"{variant}/grad_norms", error))
    return results


def trainable(model: Detokenizer, lists: Mapping[str, Any], official_class: str, also: tuple[str, ...]) -> Results:
    """What each stage trains, by name. The release gives keys and values to its optimiser and leaves them frozen, a
    fault: its `requires_grad` is our list without them."""
    names = {key: None for key, _ in model.named_parameters() if not key.startswith("vae.")}
    names = convert.to_release("second_stage", names)
    keys_values = {key for key in names if key.startswith("unet.") and key.split(".")[-2] in ("to_k", "to_v")}
    rest = {key for key in names if key.startswith(("resampler.", *also))}
    expected = {
        f"{official_class}_full_ft_False": (rest, rest | keys_values),
        f"{official_class}_full_ft_True": (set(names), set(names)),
    }
    results = []
    for variant, (gradient, optimised) in expected.items():
        results.append((f"{variant}/requires_grad", unlike(gradient, lists[variant]["requires_grad"])))
        results.append((f"{variant}/params_to_opt", unlike(optimised, lists[variant]["params_to_opt"])))
    return results


def sampling(folder: Path, name: str) -> Results:
    case = read_case(folder, name)
    vision_facts = dict(case.facts["config"]["visual_encoder"])
    vision_facts["queries"] = vision_facts.pop("n_queries")
    vision = VisionTransformer(VisionConfig(**vision_facts))
    fill(vision, convert.from_release("visual_encoder", case.state("visual_encoder")))
    with torch.no_grad():
        size = vision.config.image_size
        negative = vision(torch.zeros(1, 3, size, size))

    results = tables(case)
    for sub in case.facts["outputs"]:
        model = first_stage(case)
        if sub.startswith("edit"):
            widen(model)
            official = case.state("adapter") | case.state("adapter_edit")
            fill(model, convert.from_release("second_stage", official), without="vae.")
        results += drawing(case, sub, model.eval(), vision, negative)
    return results


def tables(case: Case) -> Results:
    """The 50-step Euler table, and the noise of a seed."""
    model = first_stage(case)
    euler = scheduler("EulerDiscreteScheduler", model.config)
    euler.set_timesteps(50)
    facts, t = case.facts["config"], case.tensors
    noise = draw_noise(model, [torch.Generator().manual_seed(42)], facts["height"], facts["width"])
    return [
        ("euler50/timesteps", worst(euler.timesteps, t["out/euler50/timesteps"])),
        ("euler50/sigmas", worst(euler.sigmas, t["out/euler50/sigmas"])),
        ("seed_42", worst(noise, t["out/seed_42_initial_noise"])),
    ]


def drawing(case: Case, sub: str, model: Detokenizer, vision: VisionTransformer, negative: Tensor) -> Results:
    """One picture: its context, every step's latents, its pixels."""
    t, facts = case.tensors, case.facts["config"]
    results, condition, trace = [], None, {}
    with torch.no_grad():
        # An image given directly feeds all its features, one that the language model regressed the pooled ones; the
        # negative does as the picture.
        if f"in/{sub}/image_tensor" in t:
            features = vision(t[f"in/{sub}/image_tensor"])
        else:
            features, negative = t[f"in/{sub}/image_embeds"], pool_features(negative, vision.config.pool)
        if f"in/{sub}/source_image" in t:
            pixels = t[f"in/{sub}/source_image"].permute(2, 0, 1)[None] / 127.5 - 1
            condition = model.condition(pixels)
            results.append((f"{sub}/image_latents", worst(condition, t[f"out/{sub}/image_latents"])))
        for side, given in (("", features), ("negative_", negative)):
            prompt, pooled = model.context(given)
            results.append((f"{sub}/{side}prompt_embeds", worst(prompt, t[f"out/{sub}/{side}prompt_embeds"])))
            results.append((f"{sub}/{side}pooled", worst(pooled, t[f"out/{sub}/{side}pooled"])))
    image = denoise(
        model,
        features,
        negative,
        range(len(features)),
        size=(facts["height"], facts["width"]),
        condition=condition,
        steps=facts["num_inference_steps"],
        sampler="EulerDiscreteScheduler",
        guidance=facts["guidance_scale"],
        image_guidance=facts["image_guidance_scale"],
        noise=t[f"in/{sub}/noise"],
        callback=lambda step, _, latents: trace.update({step - 1: latents.clone()}),
    )
    for step in range(facts["num_inference_steps"]):
        results.append((f"{sub}/latents_step_{step}", worst(trace[step], t[f"out/{sub}/latents_step_{step}"])))
    results.append((f"{sub}/image", worst(image, t[f"out/{sub}/image"])))
    return results


def detokenizer_config(case: Case) -> DetokenizerConfig:
    """Our sizes from the official ones, of a first-stage model."""
    facts = case.facts["config"]
    r = facts["resampler"]
    small = {"block_out_channels": (4,), "down_block_types": ("DownEncoderBlock2D",), "norm_num_groups": 1}
    small |= {"up_block_types": ("UpDecoderBlock2D",), "latent_channels": facts.get("unet", {}).get("out_channels", 4)}
    return DetokenizerConfig(
        dim=r["dim"],
        depth=r["depth"],
        head_dim=r["dim_head"],
        heads=r["heads"],
        queries=r["num_queries"],
        ff_mult=r["ff_mult"],
        context_dims=(r["output1_dim"], r["output2_dim"]),
        normalize=r["normalize"],
        condition=False,
        unet=facts.get("unet", {}),
        vae=facts.get("vae", small),  # cases without a VAE use none
        scheduler=facts.get("scheduler", {}),
    )


def first_stage(case: Case) -> Detokenizer:
    model = Detokenizer(detokenizer_config(case), case.facts["config"]["resampler"]["embedding_dim"])
    fill(model, convert.from_release("first_stage", case.state("adapter")), without="vae.")
    if vae := case.state("vae"):
        fill(model.vae, convert.from_release("vae", vae))
    return model


def fill(module: nn.Module, state: Mapping[str, Tensor], without: str = "\0") -> None:
    """Load a state dict, strict but for names that start with `without`."""
    expected = {key: value for key, value in module.state_dict().items() if not key.startswith(without)}
    module.load_state_dict(dict(checked(state.items(), expected, type(module).__name__)), strict=False)


def worst(ours: Tensor, expected: Tensor) -> float:
    """Largest absolute difference; infinite where the shapes differ or a value is not a number."""
    if ours.shape != expected.shape or not ours.isfinite().all():
        return ABSENT
    return (ours.double() - expected.double()).abs().max().item()


def unlike(ours: Iterable[str], expected: Iterable[str]) -> float:
    """How many names are in one list only."""
    return float(len(set(ours) ^ set(expected)))


CASES: dict[str, Callable[[Path, str], Results]] = {
    "e_resampler_xlv2": resampler,
    "e_adapter_forward": forward,
    "e_sampling": sampling,
}
