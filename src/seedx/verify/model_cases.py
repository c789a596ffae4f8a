"""Golden cases of the comprehension and generation side: visual tokenizer, resampler, losses and gradients, answers.

Each case reads NAME.json (sizes) and NAME.safetensors (state, inputs, outputs) and returns (what, worst absolute error).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seedx import convert
from seedx import tokenizer as tokenizers
from seedx.batch import Batch
from seedx.config import BridgeConfig, Config, LanguageConfig, VisionConfig
from seedx.generate import Answer, ImageFeatures, Options, Prompt, generate
from seedx.model.resampler import QueryResampler, resize_positions
from seedx.model.seedx import Losses, SeedX, tile_embedding
from seedx.model.vision import VisionTransformer, pool_features
from seedx.sampling import suppress
from seedx.tokens import SpecialTokens
from seedx.verify.detokenizer_cases import Case, Results, fill, read_case, unlike, worst

LOSSES = {"total_loss": "total", "lm_loss": "text", "rec_loss": "image"}


def vision(folder: Path, name: str) -> Results:
    """States on the way and tokens; also the class's option to add the positions of tiles, here before `ln_post`.

    The release leaves that option off; the same positions, added after the input resampler, are what `SeedX` does.
    """
    case = read_case(folder, name)
    t, state = case.tensors, case.state("visual_encoder")
    corners = state.pop("patch_pos_embed", None)
    model = VisionTransformer(vision_config(case.facts["config"]))
    fill(model, convert.from_release("visual_encoder", state))
    with torch.no_grad():
        states = {"after_ln_pre": (x := model.embed(t["in/images"]))}
        for i, block in enumerate(model.blocks):
            states[f"after_block_{i}"] = x = block(x)
        states["after_attn_pool"] = x = model.pool(x)
        states["tokens"] = tokens = model(t["in/images"])
        states["tokens_vit_down"] = pool_features(tokens, VisionConfig.pool)
        if corners is not None:
            placed = x + tile_embedding(t["in/patch_positions"], corners)
            states["tokens_with_patch_pos"] = model.ln_post(placed) @ model.proj
    return [(key, worst(ours, t[f"out/{key}"])) for key, ours in states.items() if f"out/{key}" in t]


def resampler(folder: Path, name: str) -> Results:
    case = read_case(folder, name)
    results = []
    for sub in case.facts["config"]["subcases"]:
        which, x = sub["name"], case.tensors[f"in/{sub['name']}/x"]
        model = QueryResampler(sub["grid_size"] ** 2, sub["embed_dim"], sub["num_heads"], sub["kv_dim"])
        ours_computed = model.positions.clone()
        state = {f"input_resampler.{key}": tensor for key, tensor in case.state(which).items()}
        official = convert.from_release("agent", state)
        fill(model, {key.removeprefix("input_resampler."): tensor for key, tensor in official.items()})
        keys = resize_positions(model.positions, x.shape[1])
        with torch.no_grad():
            results.append((f"{which}/y", worst(model(x), case.tensors[f"out/{which}/y"])))
        results.append((f"{which}/key_pos_embed", worst(keys, case.tensors[f"out/{which}/key_pos_embed"])))
        results.append((f"{which}/pos_embed", worst(ours_computed, model.positions)))
    return results


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


def answers(folder: Path, name: str) -> Results:
    """Greedy answers by the release's rule: ids, drawn states and features, one by one and all in one batch."""
    case = read_case(folder, name)
    model, inputs = seedx(case).eval(), dict(case.facts["inputs"])
    tokenizer = tokenizers.load(find(folder, "tokenizer"))
    processor = inputs.pop("processor", None)
    results = [] if processor is None else suppression(case, tokenizer.specials, processor["num_img_gen_tokens"])
    prompts = {sub: prompt_of(case, sub) for sub in inputs}
    for sub, prompt in prompts.items():
        options = Options(max_new_tokens=inputs[sub]["max_new_tokens"], release_suppression=True)
        results += answer(case, sub, "", generate(model, tokenizer, [prompt], options)[0])
    longest = max(facts["max_new_tokens"] for facts in inputs.values())
    together = generate(
        model, tokenizer, list(prompts.values()), Options(max_new_tokens=longest, release_suppression=True)
    )
    for sub, whole in zip(prompts, together, strict=True):
        results += answer(case, sub, "/batched", whole)
    return results


def prompt_of(case: Case, sub: str) -> Prompt:
    t = case.tensors
    return Prompt(
        ids=t[f"in/{sub}/input_ids"][0].tolist(),
        tiles=t.get(f"in/{sub}/image_embeds"),
        tile_positions=t.get(f"in/{sub}/patch_positions"),
        read_mask=t[f"in/{sub}/ids_cmp_mask"][0].tolist()
        if f"in/{sub}/ids_cmp_mask" in t
        else [False] * t[f"in/{sub}/input_ids"].shape[1],
    )


def answer(case: Case, sub: str, how: str, ours: Answer) -> Results:
    """An answer may go on after the expected one, which was cut at its own limit."""
    t = case.tensors
    ids = t[f"out/{sub}/new_ids"].tolist()
    results = [
        (f"{sub}{how}/new_ids", float(sum(a != b for a, b in zip(ids, ours.ids)) + max(0, len(ids) - len(ours.ids))))
    ]
    if f"out/{sub}/img_hidden" in t:
        hidden, features = t[f"out/{sub}/img_hidden"], t[f"out/{sub}/img_gen_feat"]
        drawn = [part for part in ours.parts if isinstance(part, ImageFeatures)][: len(hidden)]
        results.append((f"{sub}{how}/images", float(len(hidden) - len(drawn))))
        for i, image in enumerate(drawn):
            results.append((f"{sub}{how}/img_hidden_{i}", worst(image.states, hidden[i])))
            results.append((f"{sub}{how}/img_gen_feat_{i}", worst(image.features, features[i])))
    return results


def suppression(case: Case, specials: SpecialTokens, queries: int) -> Results:
    """The release's logits processor: forced tokens within a span, zeroed logits outside.

    A span's tokens are forced there by raising one logit; here they are never chosen at all, so that the winner is
    compared.
    """
    span = specials.image(queries)
    results = []
    last = case.tensors["in/processor/input_ids"][:, -1].tolist()
    for kind in ("scores", "scores_all_negative"):
        ours = suppress(case.tensors[f"in/processor/{kind}"], specials, queries, release=True)
        expected = case.tensors[f"out/processor/{kind}"]
        outside = [i for i, token in enumerate(last) if token not in span[:-1]]
        within = [i for i, token in enumerate(last) if token in span[:-1]]
        forced = torch.tensor([span[span.index(last[i]) + 1] for i in within])
        results.append((f"processor/{kind}/outside", worst(ours[outside], expected[outside])))
        results.append((f"processor/{kind}/within", float((expected[within].argmax(dim=-1) != forced).sum())))
    return results


def seedx(case: Case, agent: dict[str, Any] | None = None) -> SeedX:
    """The model of a case, its weights loaded."""
    facts = case.facts["config"]
    config = model_config(facts, agent or facts["agent"])
    model = SeedX(config)
    vision = case.state("visual_encoder")
    if (
        vision and config.vision.pool > 1
    ):  # else features are given, maybe in another number than the visual tokenizer's
        fill(model.vision, convert.from_release("visual_encoder", vision))
    fill(model, convert.from_release("agent", case.state("agent")), without="vision.")
    return model


def model_config(facts: dict[str, Any], agent: dict[str, Any]) -> Config:
    """Our sizes from the official ones."""
    llm = facts["llm"]
    vision = vision_config(facts["visual_encoder"])
    if not agent["vit_down"]:
        vision = dataclasses.replace(vision, queries=vision.pooled, pool=1)
    bridge = BridgeConfig(
        queries=facts["num_img_tokens"],
        input_heads=facts["input_resampler"]["num_heads"],
        output_heads=facts["output_resampler"]["num_heads"],
        tile_positions=agent["add_patch_pos"],
        regression="mse" if agent["mse"] else "cosine",
        text_weight=agent["lm_loss_scale"],
        image_weight=agent["rec_loss_scale"],
    )
    language = LanguageConfig(
        vocab_size=llm["vocab_size"],
        hidden_size=llm["hidden_size"],
        intermediate_size=llm["intermediate_size"],
        layers=llm["num_hidden_layers"],
        heads=llm["num_attention_heads"],
        kv_heads=llm.get("num_key_value_heads"),
        context=llm["max_position_embeddings"],
        rms_norm_eps=llm["rms_norm_eps"],
        tie_embeddings=llm["tie_word_embeddings"],
        bos=llm["bos_token_id"],
        eos=llm["eos_token_id"],
        pad=llm["pad_token_id"],
    )
    return Config(vision=vision, language=language, bridge=bridge)


def vision_config(facts: dict[str, Any]) -> VisionConfig:
    same = ("image_size", "patch_size", "width", "layers", "heads", "mlp_ratio", "output_dim")
    return VisionConfig(queries=facts["n_queries"], **{key: facts[key] for key in same})


def find(folder: Path, name: str) -> Path:
    """A shared input of the cases: in their folder or beside it.

    Raises:
        ValueError: it is in neither.
    """
    for place in (folder / name, folder.parent / name):
        if place.exists():
            return place
    raise ValueError(f"the cases in {str(folder)!r} need {name!r} there or in the folder above")


CASES: dict[str, Callable[[Path, str], Results]] = {"a": vision, "b": resampler, "c": forward, "d": answers}
