"""Cases c and d: losses, gradients and updates of official weights, and answers one token after the other."""

import torch
import torch.nn.functional as F

from other_golden.models import Agent, resample, see, under, vision_state, write


def losses(folder, sizes, words):
    """Case c. Variants are named by nobody's habit; the last one does not say which row it was given."""
    generator = torch.Generator().manual_seed(sizes.seed)
    agent, eye = Agent(sizes, words.vocab_size, generator), vision_state(sizes, generator)
    batch = rows_of(sizes, words.specials, generator)
    kept = (batch["embeds_cmp_mask"] | batch["embeds_gen_mask"]) if "images" in batch else None
    features = None if kept is None else see(eye, batch["images"][kept], sizes.vision)["tokens"]
    every, last = list(range(len(sizes.rows))), len(sizes.rows) - 1
    variants = {
        "everything": (every, {}, True, ""),
        "cosine": (every, {"mse": False}, True, "all rows"),
        "unplaced": (every, {"lm_loss_scale": 2.0}, False, "all rows"),
        "start": ([0], {}, True, "row 0, the first"),
        "end": ([last], {"rec_loss_scale": 0.1}, True, "the one that is left"),
    }
    facts, expected, out = {}, {}, {}
    for name, (rows, settings, placed, note) in variants.items():
        found = forward(agent, batch, features, rows, agent.facts["agent"] | settings, placed)
        images = sum(found["images"])
        shape = [images, *features.shape[1:]] if images else None
        facts[name] = {"note": note, "agent": settings, "patch_positions": placed, "image_embeds": shape}
        facts[name]["batch_rows"] = len(rows)
        expected[name] = {key: found[key].item() for key in ("total_loss", "lm_loss", "rec_loss")}
        out |= {f"out/{name}/{key}": found[key] for key in ("last_hidden_state", "logits_argmax", "logits_row0_first3")}
        out |= {f"out/{name}/{key}": found[key] for key in ("input_resampler", "output_resampler") if key in found}
    state = under("state/agent", agent.state) | under("state/visual_encoder", eye) | under("in/batch", batch)
    trained = updates(agent, batch, features, every)
    config = {"config": agent.facts, "inputs": {}, "outputs": {"variants": facts, "losses": expected} | trained}
    write(folder, "c_other", config, state | out | ({} if features is None else {"out/image_embeds": features}))


def rows_of(sizes, specials, generator):
    """Rows of the spec as ids, masks and images: of a drawn one, the tiles before the last are of no use."""
    rows, cmp, gen = [], [], []
    for spec in sizes.rows:
        ids, labels, read, drawn = [1], [-100], [], []
        for what in spec:
            span = (
                torch.randint(5, 200, (4,), generator=generator).tolist()
                if what == "text"
                else specials.image(sizes.tokens)
            )
            start = len(ids) + 1
            read += [*range(start, start + sizes.tokens)] if what == "read" else []
            drawn += [*range(start, start + sizes.tokens)] if what == "draw" else []
            labels += (
                span
                if what == "text"
                else [span[0], *[-100] * (len(span) - 1)]
                if what == "draw"
                else [-100] * len(span)
            )
            ids += span
            cmp += {"text": [], "read": [True], "draw": [False, False]}[what]
            gen += {"text": [], "read": [False], "draw": [False, True]}[what]
        rows.append(([*ids, 2], [*labels, 2], read, drawn))
    length = max(len(ids) for ids, *_ in rows) + 2
    batch = {key: torch.zeros(len(rows), length, dtype=torch.bool) for key in ("ids_cmp_mask", "ids_gen_mask")}
    batch["input_ids"] = torch.tensor([ids + [0] * (length - len(ids)) for ids, *_ in rows])
    batch["labels"] = torch.tensor([labels + [-100] * (length - len(labels)) for _, labels, *_ in rows])
    for i, (_, _, read, drawn) in enumerate(rows):
        batch["ids_cmp_mask"][i, read] = True
        batch["ids_gen_mask"][i, drawn] = True
    if cmp:
        batch["images"] = torch.randn(len(cmp), 3, sizes.image, sizes.image, generator=generator)
        batch["patch_position"] = torch.rand(len(cmp), 2, generator=generator)
        batch |= {"embeds_cmp_mask": torch.tensor(cmp), "embeds_gen_mask": torch.tensor(gen)}
    return batch


def forward(agent, batch, features, rows, settings, placed):
    """Losses of some rows, and the states on the way."""
    spans = {side: batch[f"ids_{side}_mask"].sum(1) // agent.sizes.tokens for side in ("cmp", "gen")}
    found, tiles, centres, targets = {"images": [0, 0]}, None, None, None
    if features is not None:
        kept = batch["embeds_cmp_mask"] | batch["embeds_gen_mask"]
        chosen = {side: [i for i, n in enumerate(spans[side].tolist()) for _ in range(n)] for side in spans}
        of = {side: batch[f"embeds_{side}_mask"][kept].nonzero()[:, 0].tolist() for side in spans}
        index = {side: [at for at, row in zip(of[side], chosen[side], strict=True) if row in rows] for side in spans}
        tiles = features[index["cmp"]] if index["cmp"] else None
        targets = features[index["gen"]] if index["gen"] else None
        centres = batch["patch_position"][kept][index["cmp"]] if placed else None
        found["images"] = [len(index["cmp"]), len(index["gen"])]
    ids, labels, mask = (batch[key][rows] for key in ("input_ids", "labels", "ids_cmp_mask"))
    final, logits = agent.language(agent.embed(ids, mask, tiles, centres))
    lm_loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
    rec_loss = torch.zeros(())
    if tiles is not None:
        found["input_resampler"] = resample(agent.state, "input_resampler.", tiles, 2)
    if targets is not None:
        states = final[batch["ids_gen_mask"][rows]].unflatten(0, (len(targets), -1))
        drawn = found["output_resampler"] = resample(agent.state, "output_resampler.", states, 4)
        targets = targets.unflatten(1, (-1, 4)).mean(2) if agent.sizes.vit_down else targets
        both = (side / side.norm(dim=-1, keepdim=True) for side in (drawn, targets))
        rec_loss = ((drawn - targets) ** 2).mean() if settings["mse"] else 1 - torch.mul(*both).sum(-1).mean()
    total = settings["lm_loss_scale"] * lm_loss + settings["rec_loss_scale"] * rec_loss
    found |= {"total_loss": total, "lm_loss": lm_loss, "rec_loss": rec_loss, "last_hidden_state": final}
    return found | {"logits_argmax": logits.argmax(-1), "logits_row0_first3": logits[0, :3]}


def updates(agent, batch, features, rows, lr=1e-3):
    """Gradient norms, then two updates of AdamW, its arithmetic left to torch, on the official weights."""
    trained = {key: tensor for key, tensor in agent.state.items() if tensor.requires_grad}
    before = {key: tensor.detach().clone() for key, tensor in trained.items()}
    settings = {"lr": lr, "betas": [0.9, 0.98], "eps": 1e-6, "weight_decay": 0.05}
    optimizer, steps, norms, first = torch.optim.AdamW(trained.values(), **settings), [], [], {}
    for _ in range(2):
        found = forward(agent, batch, features, rows, agent.facts["agent"], True)
        optimizer.zero_grad()
        found["total_loss"].backward()
        for key in trained:  # what the release feeds noise when there are no images has gradients of zeros
            trained[key].grad = torch.zeros_like(trained[key]) if trained[key].grad is None else trained[key].grad
        first = first or {key: tensor.grad.norm().item() for key, tensor in trained.items()}
        steps.append({key: found[key].item() for key in ("total_loss", "lm_loss", "rec_loss")})
        norms.append(torch.nn.utils.clip_grad_norm_(trained.values(), 1.0).item())
        optimizer.step()
    with torch.no_grad():
        for key, tensor in before.items():
            trained[key].copy_(tensor)
    adamw = settings | {"clip_grad_norm": 1.0, "losses": steps, "grad_norms_before_clip": norms}
    return {"train_mode_losses": steps[0], "grad_norms": first, "adamw": adamw}


@torch.no_grad()
def answers(folder, sizes, words):
    """Case d. `<img>` is what the model says first after the prompt "sky"."""
    generator = torch.Generator().manual_seed(sizes.seed)
    agent, specials, tensors, facts = Agent(sizes, words.vocab_size, generator), words.specials, {}, {}
    for key in [key for key in ("llm.lm_head.weight", "llm.model.embed_tokens.weight") if key in agent.state][:1]:
        agent.state[key].mul_(4)  # no two tokens are as likely
    one, two = specials.image(sizes.tokens), specials.patch(sizes.tokens) + specials.image(sizes.tokens)
    talk, sky = words.encode("[INST] What is it? [/INST]\n"), words.encode("sky")
    prompts = {"sky": sky, "forced": [*talk, specials.image_start], "one": [*one, *talk], "two": [*two, *talk]}
    prompts["again"] = [*sky, *two, *talk, specials.image_start]
    final, logits = agent.language(agent.embed(torch.tensor([[1, *sky]]), None, None, None))
    if not sizes.tie:
        agent.state["llm.lm_head.weight"][specials.image_start] = (
            final[0, -1] / final[0, -1].norm() ** 2 * 2 * logits.abs().max()
        )
    for name, ids in prompts.items():
        ids = torch.tensor([[1, *ids]])
        tiles = {"one": 1, "two": 2, "again": 2}.get(name, 0)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        places = [i for i, token in enumerate(ids[0].tolist()) if token in specials.placeholders]
        mask[0, places] = True
        given = {"input_ids": ids}
        if tiles:
            shape = (tiles + 1, sizes.vision["n_queries"], sizes.output)  # one more, which is not for this prompt
            given["image_embeds"], given["ids_cmp_mask"] = torch.randn(shape, generator=generator), mask
            given["embeds_cmp_mask"] = torch.tensor([True] * tiles + [False])
            given["patch_positions"] = torch.rand(tiles + 1, 2, generator=generator)
        limit = sizes.tokens + 5
        tensors |= {f"in/{name}/{key}": tensor for key, tensor in given.items()}
        tensors |= {f"out/{name}/{key}": tensor for key, tensor in answer(agent, given, limit, specials).items()}
        facts[name] = {"prompt": name, "max_new_tokens": limit, "num_img_gen_tokens": sizes.tokens}
    scores = torch.randn(4, words.vocab_size, generator=generator)
    last = [5, specials.image_start, one[-2], specials.image_end]
    tensors["in/rule/input_ids"] = torch.tensor([[7, token] for token in last])
    for kind, given in (("scores", scores), ("low_scores", scores - 10)):
        tensors[f"in/rule/{kind}"] = given
        tensors[f"out/rule/{kind}"] = torch.stack(
            [processed(row, token, one) for row, token in zip(given, last, strict=True)]
        )
    facts["rule"] = {"num_img_gen_tokens": sizes.tokens}
    write(folder, "d_other", {"config": agent.facts, "inputs": facts}, under("state/agent", agent.state) | tensors)


def answer(agent, given, limit, specials):
    """Greedy, the whole sequence read again for every token."""
    span, used = specials.image(agent.sizes.tokens), given.get("embeds_cmp_mask")
    tiles = None if used is None else given["image_embeds"][used]
    centres = None if used is None else given["patch_positions"][used]
    embeds, new, end = agent.embed(given["input_ids"], given.get("ids_cmp_mask"), tiles, centres), [], None
    last, start = given["input_ids"][0, -1].item(), embeds.shape[1]
    while len(new) < limit and last != specials.eos:
        final, logits = agent.language(embeds)
        end = final[0, -1] if end is None else end
        last = processed(logits[0, -1], last, span).argmax().item()
        new.append(last)
        embeds = torch.cat([embeds, agent.state["llm.model.embed_tokens.weight"][[last]][None]], dim=1)
    found = {"new_ids": torch.tensor(new), "last_hidden_of_prompt_end": end}
    ends = [i for i, token in enumerate(new) if token == span[-1]]
    if ends:
        states = agent.language(embeds)[0][0, start:]
        found["img_hidden"] = torch.stack([states[i - agent.sizes.tokens : i] for i in ends])
        found["img_gen_feat"] = resample(agent.state, "output_resampler.", found["img_hidden"], 4)
    return found


def processed(scores, last, span):
    """The release's rule for the token after `last`."""
    scores = scores.clone()
    if last in span[:-1]:
        scores[span[span.index(last) + 1]] = scores.max() + 10
    else:
        scores[span[1:]] = 0.0
    return scores
