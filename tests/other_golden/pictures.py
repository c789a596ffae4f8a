"""The cases e: the de-tokenizer's resampler, its losses, and drawing step by step."""

import diffusers
import torch
import torch.nn.functional as F

from other_golden.models import attend, see, under, vision_state, weights, write
from seedx.config import DetokenizerConfig
from seedx.model.detokenizer import Detokenizer

SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "timestep_spacing": "leading",
    "steps_offset": 1,
}


def settings(sizes):
    heads = 2
    resampler = {"dim": 8 * heads, "depth": 1 + sizes.layers % 2, "dim_head": 8, "heads": heads, "ff_mult": 2}
    resampler |= {"num_queries": sizes.queries, "output1_dim": 6, "output2_dim": 10, "normalize": False}
    unet = {
        "in_channels": 4,
        "out_channels": 4,
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
        "block_out_channels": [4, 8],
        "layers_per_block": 1,
        "transformer_layers_per_block": 1,
        "attention_head_dim": 2,
        "norm_num_groups": 2,
        "cross_attention_dim": 16,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 34,
        "use_linear_projection": True,
    }
    vae = {
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
        "block_out_channels": [4, 8],
        "layers_per_block": 1,
        "latent_channels": 4,
        "norm_num_groups": 2,
        "scaling_factor": 0.2,
    }
    return {"resampler": resampler | {"embedding_dim": sizes.output}, "unet": unet, "vae": vae}


def modules(facts):
    """Ours, for the names; then diffusers' U-Net."""
    r = facts["resampler"]
    same = {key: r[key] for key in ("dim", "depth", "heads", "ff_mult")}
    config = DetokenizerConfig(
        **same,
        head_dim=r["dim_head"],
        queries=r["num_queries"],
        context_dims=(r["output1_dim"], r["output2_dim"]),
        condition=False,
        unet=facts["unet"],
        vae=facts["vae"],
    )
    return Detokenizer(config, r["embedding_dim"])


def context(state, x, facts, normalize=False):
    """The perceiver resampler from official names: what the U-Net attends to, and the pooled vector."""
    r, get = (
        facts["resampler"],
        {k.removeprefix("resampler."): t for k, t in state.items() if k.startswith("resampler.")},
    )

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], get[f"{name}.weight"], get[f"{name}.bias"])

    def linear(x, name):
        return F.linear(x, get[f"{name}.weight"], get.get(f"{name}.bias"))

    x = linear(x / x.norm(dim=1, keepdim=True) if normalize else x, "proj_in")
    latents = get["latents"].expand(len(x), -1, -1)
    for i in range(r["depth"]):
        own = norm(latents, f"layers.{i}.0.norm2")
        both = torch.cat([norm(x, f"layers.{i}.0.norm1"), own], dim=1)
        keys, values = linear(both, f"layers.{i}.0.to_kv").chunk(2, dim=-1)
        read = attend(linear(own, f"layers.{i}.0.to_q"), keys, values, r["heads"])
        latents = latents + linear(read, f"layers.{i}.0.to_out")
        latents = latents + linear(
            F.gelu(linear(norm(latents, f"layers.{i}.1.0"), f"layers.{i}.1.1")), f"layers.{i}.1.3"
        )
    latents = norm(latents, "norm_out")
    prompt = torch.cat([linear(latents, "unet_proj_1"), linear(latents, "unet_proj_2")], dim=-1)
    tokens = torch.cat([latents.mean(1, keepdim=True), latents], dim=1) + get["unet_attnpool.positional_embedding"]
    q, k, v = (linear(tokens, f"unet_attnpool.{side}_proj") for side in "qkv")
    return prompt, linear(attend(q[:, :1], k, v, r["heads"])[:, 0], "unet_attnpool.c_proj")


def resampler(folder, sizes):
    """Case e_resampler."""
    generator, facts = torch.Generator().manual_seed(sizes.seed), settings(sizes)
    state = weights("first_stage", modules(facts), generator, without="vae.")
    given = {name: torch.randn(2, n, sizes.output, generator=generator) for name, n in (("few", 4), ("many", 9))}
    tensors = {f"in/{name}": x for name, x in given.items()}
    for normalize in (True, False):
        for name, x in given.items():
            for what, found in zip(("prompt", "pooled"), context(state, x, facts, normalize), strict=True):
                tensors[f"out/normalize_{normalize}/{name}/{what}"] = found
    named = {
        f"state/{key.replace('.', '/', 1)}": tensor for key, tensor in state.items() if key.startswith("resampler.")
    }
    write(folder, "e_resampler_other", {"config": {"resampler": facts["resampler"]}}, named | tensors)


def unet_of(facts, state, condition=False):
    unet = diffusers.UNet2DConditionModel(**facts["unet"] | ({"in_channels": 8} if condition else {}))
    unet.load_state_dict(
        {key.removeprefix("unet."): tensor for key, tensor in state.items() if key.startswith("unet.")}
    )
    return unet


def adapter(folder, sizes):
    """Case e_adapter: only the first stage, with a batch of three."""
    generator, facts = torch.Generator().manual_seed(sizes.seed), settings(sizes)
    state = weights("first_stage", modules(facts), generator, without="vae.")
    noise, noisy = torch.randn(2, 3, 4, *sizes.latent, generator=generator)
    given = {"noise": noise, "noisy_latents": noisy, "timesteps": torch.tensor([1, 500, 999])}
    given["image_embeds"] = torch.randn(3, 4, sizes.output, generator=generator)
    given["time_ids"] = torch.tensor([[8.0, 12, 0, 0, 8, 12]] * 3)
    unet = unet_of(facts, state)
    leaves = {key: tensor.requires_grad_() for key, tensor in state.items() if key.startswith("resampler.")}
    prompt, pooled = context(leaves, given["image_embeds"], facts)
    predicted = predict(unet, noisy, given["timesteps"], prompt, pooled, given["time_ids"])
    loss = ((predicted - noise) ** 2).mean()
    loss.backward()
    norms = {key: tensor.grad.norm().item() for key, tensor in leaves.items()}
    norms |= {f"unet.{key}": p.grad.norm().item() for key, p in unet.named_parameters()}
    outputs = {"losses": {"SDXLAdapter_full_ft_True": loss.item()}, "grad_norms": {"SDXLAdapter_full_ft_True": norms}}
    outputs["trainable"] = {"SDXLAdapter_full_ft_True": {"requires_grad": list(norms), "params_to_opt": list(norms)}}
    tensors = under("state/adapter", state) | under("in", given) | {"out/noise_pred": predicted, "out/total_loss": loss}
    config = {"resampler": facts["resampler"], "unet": facts["unet"]}
    write(folder, "e_adapter_other", {"config": config, "outputs": outputs}, tensors)


def predict(unet, noisy, timesteps, prompt, pooled, time_ids):
    extra = {"text_embeds": pooled, "time_ids": time_ids}
    return unet(noisy, timesteps, encoder_hidden_states=prompt, added_cond_kwargs=extra).sample


@torch.no_grad()
def sampling(folder, sizes):
    """Case e_sampling. No name says that `unnamed` is drawn by the second stage."""
    generator, facts = torch.Generator().manual_seed(sizes.seed), settings(sizes)
    ours = modules(facts)
    state, eye = weights("first_stage", ours, generator, without="vae."), vision_state(sizes, generator)
    vae_state = weights("vae", ours.vae, generator)
    extra = torch.randn(4, 4, 3, 3, generator=generator) / 6
    edit = {"unet.conv_in.weight": torch.cat([state["unet.conv_in.weight"] + extra / 3, extra], dim=1)}
    edit["unet.conv_in.bias"] = state["unet.conv_in.bias"] + 0.1
    vae = diffusers.AutoencoderKL(**facts["vae"])
    vae.load_state_dict(vae_state)
    negative = see(eye, torch.zeros(1, 3, sizes.image, sizes.image), sizes.vision)["tokens"]
    few = negative.unflatten(1, (-1, 4)).mean(2) if sizes.vit_down else negative
    words = {"image_embeds": torch.randn(1, *few.shape[1:], generator=generator)}
    size = tuple(2 * side for side in sizes.latent)
    source = {"source_image": torch.randint(0, 256, (*size, 3), generator=generator, dtype=torch.uint8)}
    look = {"image_tensor": torch.randn(2, 3, sizes.image, sizes.image, generator=generator)}
    tensors = under("state/adapter", state) | under("state/adapter_edit", edit) | under("state/vae", vae_state)
    tensors |= under("state/visual_encoder", eye)
    for name, given, second in (
        ("words", words, 0),
        ("pair", look, 0),
        ("change", words | source, 1),
        ("unnamed", words, 1),
    ):
        features = (
            see(eye, look["image_tensor"], sizes.vision)["tokens"] if "image_tensor" in given else words["image_embeds"]
        )
        unconditional = (negative if "image_tensor" in given else few).expand(len(features), -1, -1)
        given = given | {"noise": torch.randn(len(features), 4, *sizes.latent, generator=generator)}
        parts = [context(state, side, facts) for side in (features, unconditional)]
        found = draw(unet_of(facts, state | (edit if second else {}), bool(second)), vae, given, parts, sizes, second)
        for side, (prompt, pooled) in zip(("", "negative_"), parts, strict=True):
            found |= {f"{side}prompt_embeds": prompt, f"{side}pooled": pooled}
        tensors |= under(f"in/{name}", given) | under(f"out/{name}", found)
    euler = diffusers.EulerDiscreteScheduler(**SCHEDULER)
    euler.set_timesteps(7)
    tensors |= {"out/euler7/timesteps": euler.timesteps, "out/euler7/sigmas": euler.sigmas}
    tensors["out/seed_5_initial_noise"] = torch.randn(1, 4, *sizes.latent, generator=torch.Generator().manual_seed(5))
    config = facts | {"visual_encoder": sizes.vision, "scheduler": SCHEDULER | {"skip_prk_steps": True}}
    config |= {"num_inference_steps": sizes.steps, "guidance_scale": sizes.guidance, "image_guidance_scale": 1.25}
    write(folder, "e_sampling_other", {"config": config | {"height": size[0], "width": size[1]}}, tensors)


def draw(unet, vae, given, parts, sizes, second):
    """Two branches, or with the second stage three, one after the other."""
    (prompt, pooled), (no_prompt, no_pooled) = parts
    noise, g, gi = given["noise"], sizes.guidance, 1.25
    zeros = torch.zeros_like(noise)
    image = zeros
    found = {}
    if "source_image" in given:
        pixels = 2 * (given["source_image"].permute(2, 0, 1)[None] / 255.0) - 1
        image = found["image_latents"] = vae.encode(pixels).latent_dist.mode()
    ids = torch.tensor(
        [[2.0 * side for side in sizes.latent] + [0, 0] + [2.0 * side for side in sizes.latent]] * len(noise)
    )
    euler = diffusers.EulerDiscreteScheduler(**SCHEDULER)
    euler.set_timesteps(sizes.steps)
    latents = noise * euler.init_noise_sigma

    def branch(prompt, pooled, condition):
        noisy = euler.scale_model_input(latents, t)
        return predict(unet, torch.cat([noisy, condition], dim=1) if second else noisy, t, prompt, pooled, ids)

    for i, t in enumerate(euler.timesteps):
        c, u = branch(prompt, pooled, image), branch(no_prompt, no_pooled, zeros)
        shown = branch(no_prompt, no_pooled, image) if second else u
        latents = euler.step(u + g * (c - shown) + gi * (shown - u), t, latents).prev_sample
        found[f"latents_step_{i}"] = latents
    decoded = vae.decode(latents / vae.config.scaling_factor).sample
    return found | {"latents": latents, "image": (decoded / 2 + 0.5).clamp(0, 1)}
