"""What all kinds share, and the cases a and b: official weights, and what they give, in plain loops."""

import json
import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.func import functional_call
from transformers import LlamaConfig, LlamaForCausalLM

from seedx.checkpoint import release
from seedx.config import BridgeConfig, Config, LanguageConfig, VisionConfig
from seedx.model.seedx import SeedX
from seedx.model.vision import VisionTransformer


@dataclass(frozen=True)
class Sizes:
    """`rows` of case c: each a list of what follows what, "text", "read" (a tile) or "draw"."""

    seed: int
    tokens: int  # of an image
    vit_down: bool
    hidden: int
    output: int = 128  # width of the features; one head of the visual tokenizer's pool for each 128
    image: int = 28
    patch: int = 14
    layers: int = 1
    heads: int = 2
    kv_heads: int | None = None
    tie: bool = False
    positions: bool = True
    mse: bool = True
    rows: tuple[tuple[str, ...], ...] = (
        ("text", "read", "read", "text"),
        ("text", "draw"),
        ("read", "text", "draw"),
        ("text",),
    )
    latent: tuple[int, int] = (4, 6)  # height and width
    steps: int = 2
    guidance: float = 3.0
    queries: int = 4  # of the de-tokenizer's resampler
    grids: dict = field(default_factory=lambda: {"few": ["1x1", "2x1"], "odd": ["1x5", "3x2", "2x2"]})

    @property
    def vision(self):
        """The visual tokenizer's official settings."""
        facts = {"image_size": self.image, "patch_size": self.patch, "width": 8 * self.heads, "layers": self.layers}
        facts |= {"heads": self.heads, "mlp_ratio": 2.5, "output_dim": self.output, "patch_pos": False}
        return facts | {"n_queries": self.tokens * (4 if self.vit_down else 1)}

    def llm(self, vocabulary):
        return {
            "hidden_size": self.hidden,
            "intermediate_size": 40,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": self.kv_heads,
            "rms_norm_eps": 1e-6,
            "max_position_embeddings": 512,
            "vocab_size": vocabulary,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
            "tie_word_embeddings": self.tie,
        }

    def config(self, vocabulary):
        """What the JSON of the cases c and d holds."""
        side = math.isqrt(self.tokens)
        return {
            "visual_encoder": self.vision,
            "llm": self.llm(vocabulary),
            "input_resampler": {"grid_size": side, "embed_dim": self.hidden, "num_heads": 2, "kv_dim": self.output},
            "output_resampler": {"grid_size": side, "embed_dim": self.output, "num_heads": 4, "kv_dim": self.hidden},
            "agent": {
                "add_patch_pos": self.positions,
                "vit_down": self.vit_down,
                "mse": self.mse,
                "lm_loss_scale": 0.5,
                "rec_loss_scale": 3.0,
            },
            "num_img_tokens": self.tokens,
        }


def write(folder, name, facts, tensors):
    folder.mkdir(exist_ok=True)
    text = json.dumps({"case": name, "description": "", "inputs": {}, "outputs": {}} | facts)
    (folder / f"{name}.json").write_text(text, encoding="utf-8")
    if tensors:
        save_file(
            {key: tensor.detach().clone().contiguous() for key, tensor in tensors.items()},
            folder / f"{name}.safetensors",
        )


def weights(part, module, generator, without="\0"):
    """Random weights under the release's names. The fixed positions stay."""
    state = {key: tensor for key, tensor in module.state_dict().items() if not key.startswith(without)}
    return {key: _random(key, t, generator) for key, t in release.to_release(part, state).items()}


def _random(key, like, generator):
    if key.endswith("pos_embed") and "patch" not in key:
        return like.clone()
    noise = torch.randn(like.shape, generator=generator)
    if like.dim() < 2:
        return 0.1 * noise + (1.0 if key.endswith("weight") else 0.0)
    return noise / math.sqrt(like[0].numel())


def under(prefix, state):
    return {key: tensor for key, tensor in ((f"{prefix}/{key}", tensor) for key, tensor in state.items())}


def resample(state, prefix, x, heads, eps=1e-5):
    """The resampler head by head."""
    get = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
    x = x @ get["kv_proj.weight"].T if "kv_proj.weight" in get else x
    dim = get["query"].shape[1]
    x = F.layer_norm(x, (dim,), get["ln_kv.weight"], get["ln_kv.bias"], eps)
    q = F.layer_norm(get["query"], (dim,), get["ln_q.weight"], get["ln_q.bias"], eps) + get["pos_embed"]
    inputs = (q.expand(len(x), -1, -1), x + resize(get["pos_embed"], x.shape[1]), x)
    projected = zip(inputs, get["attn.in_proj_weight"].chunk(3), get["attn.in_proj_bias"].chunk(3), strict=True)
    q, k, v = (side @ weight.T + bias for side, weight, bias in projected)
    return attend(q, k, v, heads) @ get["attn.out_proj.weight"].T + get["attn.out_proj.bias"]


def attend(q, k, v, heads):
    width = q.shape[-1] // heads
    parts = [slice(width * i, width * (i + 1)) for i in range(heads)]
    return torch.cat([(q[..., p] @ k[..., p].mT / width**0.5).softmax(-1) @ v[..., p] for p in parts], dim=-1)


def resize(positions, count):
    side, target = math.isqrt(len(positions)), math.isqrt(count)
    if side == target:
        return positions
    grid = positions.T.reshape(1, -1, side, side)
    return F.interpolate(grid, size=(target, target), mode="bicubic", align_corners=False)[0].flatten(1).T


def see(state, pixels, facts, centres=None):
    """The visual tokenizer, every state on the way by name."""
    width, heads, get = facts["width"], facts["heads"], state.__getitem__

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], get(f"{name}.weight"), get(f"{name}.bias"), 1e-6)

    x = F.conv2d(pixels, get("conv1.weight"), stride=facts["patch_size"]).flatten(2).mT
    x = norm(x + resize(get("positional_embedding"), x.shape[1]), "ln_pre")
    found = {"after_ln_pre": x}
    for i in range(facts["layers"]):
        at = f"transformer.resblocks.{i}."
        qkv = norm(x, f"{at}ln_1") @ get(f"{at}attn.in_proj.weight").T + get(f"{at}attn.in_proj.bias")
        by_head = qkv.unflatten(-1, (heads, 3, width // heads))  # queries, keys and values of a head side by side
        q, k, v = (by_head[..., j, :].flatten(-2) for j in range(3))
        x = x + attend(q, k, v, heads) @ get(f"{at}attn.out_proj.weight").T + get(f"{at}attn.out_proj.bias")
        up = F.gelu(norm(x, f"{at}ln_2") @ get(f"{at}mlp.c_fc.weight").T + get(f"{at}mlp.c_fc.bias"))
        x = found[f"after_block_{i}"] = x + up @ get(f"{at}mlp.c_proj.weight").T + get(f"{at}mlp.c_proj.bias")
    x = found["after_attn_pool"] = resample(state, "attn_pool.", x, facts["output_dim"] // 128, 1e-6)
    found["tokens"] = norm(x, "ln_post") @ get("proj")
    found["tokens_vit_down"] = F.avg_pool1d(found["tokens"].mT, 4, 4).mT
    if centres is not None:
        found["tokens_with_patch_pos"] = norm(x + place(centres, get("patch_pos_embed")), "ln_post") @ get("proj")
    return found


def place(centres, corners):
    x, y = centres[:, :1], centres[:, 1:]
    return ((x * corners[0] + y * corners[1] + (1 - x) * corners[2] + (1 - y) * corners[3]) / 2)[:, None]


def vision_state(sizes, generator, queries=None):
    same = ("image_size", "patch_size", "width", "layers", "heads", "mlp_ratio", "output_dim")
    facts = {key: sizes.vision[key] for key in same}
    return weights(
        "visual_encoder", VisionTransformer(VisionConfig(queries=sizes.vision["n_queries"], **facts)), generator
    )


def vit(folder, sizes):
    """Case a."""
    generator = torch.Generator().manual_seed(sizes.seed)
    state = vision_state(sizes, generator)
    state["patch_pos_embed"] = torch.randn(4, sizes.output, generator=generator)
    pixels, centres = torch.randn(3, 3, sizes.image, sizes.image, generator=generator), torch.rand(3, 2)
    found = see(state, pixels, sizes.vision, centres)
    given = {"in/images": pixels, "in/patch_positions": centres}
    write(
        folder,
        "a_vit_other",
        {"config": sizes.vision},
        under("state/visual_encoder", state) | given | under("out", found),
    )


def resampler(folder, sizes):
    """Case b."""
    from seedx.model.resampler import QueryResampler

    generator, subs, tensors = torch.Generator().manual_seed(sizes.seed), [], {}
    for name, side, dim, heads, kv_dim, length in (
        ("up", 3, sizes.hidden, 4, 24, 25),
        ("same_width", 2, 16, 2, 16, 4),
        ("no_width", math.isqrt(sizes.tokens), 32, 8, None, 36),
    ):
        module = QueryResampler(side**2, dim, heads, kv_dim)
        parted = {f"input_resampler.{key}": tensor for key, tensor in module.state_dict().items()}
        official = {key: _random(key, tensor, generator) for key, tensor in release.to_release("agent", parted).items()}
        state = {key.removeprefix("input_resampler."): tensor for key, tensor in official.items()}
        x = torch.randn(2, length, kv_dim or dim, generator=generator)
        subs.append({"name": name, "grid_size": side, "embed_dim": dim, "num_heads": heads, "kv_dim": kv_dim})
        tensors |= under(f"state/{name}", state) | {f"in/{name}/x": x, f"out/{name}/y": resample(state, "", x, heads)}
        tensors[f"out/{name}/key_pos_embed"] = resize(state["pos_embed"], length)
    write(folder, "b_others", {"config": {"subcases": subs}}, tensors)


class Agent:
    """The language model and both resamplers, from official weights that can be trained."""

    def __init__(self, sizes, vocabulary, generator):
        self.sizes, self.facts = sizes, sizes.config(vocabulary)
        facts = {
            key: sizes.vision[key] for key in ("image_size", "patch_size", "width", "layers", "heads", "output_dim")
        }
        llm = self.facts["llm"]
        language = LanguageConfig(vocabulary, sizes.hidden, 40, 2, 4, sizes.kv_heads, tie_embeddings=sizes.tie)
        bridge = BridgeConfig(sizes.tokens, tile_positions=sizes.positions, input_heads=2, output_heads=4)
        vision = VisionConfig(queries=sizes.vision["n_queries"], pool=4 if sizes.vit_down else 1, **facts)
        module = SeedX(Config(vision=vision, language=language, bridge=bridge))
        state = weights("agent", module, generator, without="vision.")
        if sizes.tie:
            del state["llm.lm_head.weight"]
        self.state = {
            key: tensor.requires_grad_(not key.endswith("resampler.pos_embed")) for key, tensor in state.items()
        }
        self.llama = LlamaForCausalLM(LlamaConfig(**llm, attn_implementation="eager"))

    def language(self, embeds):
        """(B, T, D) -> final states and logits, the padding not looked at."""
        weights = {key.removeprefix("llm."): tensor for key, tensor in self.state.items() if key.startswith("llm.")}
        if self.sizes.tie:
            weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
        given = {"inputs_embeds": embeds, "output_hidden_states": True, "use_cache": False}
        answer = functional_call(self.llama, weights, kwargs=given)
        return answer.hidden_states[-1], answer.logits

    def embed(self, ids, mask, tiles, centres):
        embeds = self.state["llm.model.embed_tokens.weight"][ids].clone()
        if tiles is None:
            return embeds
        read = resample(self.state, "input_resampler.", tiles, 2)
        if self.sizes.positions and centres is not None:
            read = read + place(centres, self.state["patch_pos_embed"])
        rows = iter(read.flatten(0, 1))
        places = mask.nonzero().tolist()
        return torch.stack(
            [
                torch.stack([next(rows) if [b, t] in places else embeds[b, t] for t in range(ids.shape[1])])
                for b in range(len(ids))
            ]
        )
