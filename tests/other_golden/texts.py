"""The cases f and g, and what all share: a tokenizer and pictures. In g the texts are written out and encoded whole."""

import shutil
from pathlib import Path

import numpy as np
import PIL.Image

from other_golden.models import write
from seedx.tokenizer import load, train_tokenizer
from seedx.tokens import IMAGE_END, IMAGE_START, PATCH_END, PATCH_START, PLACEHOLDERS

GOLDEN = Path(__file__).parents[1] / "golden"
TEXTS = ["a small house beside a lake", "What is in the image?", "There are two dogs.", "Here is a picture. Enjoy it."]
TEMPLATE, OTHER = "[INST] {instruction} [/INST]\n", "USER: {instruction} ANSWER:"
PICTURES = {"wide.png": (40, 20), "square.png": (24, 24), "small.png": (6, 6)}
BASE = 28


def shared(folder, sizes):
    """A tokenizer: trained, or the release's kind for odd seeds."""
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "images").mkdir()
    if sizes.seed % 2:
        for name in ("tokenizer.model", "added_tokens.json"):
            shutil.copy(GOLDEN / "llama_tokenizer" / name, folder / "tokenizer" / name)
    else:
        train_tokenizer(TEXTS, 620).save(folder / "tokenizer")
    pixels = np.random.RandomState(sizes.seed)
    for name, (width, height) in PICTURES.items():
        picture = PIL.Image.fromarray(pixels.randint(0, 256, (height, width, 4), dtype=np.uint8))
        picture.save(folder / "images" / name)  # with transparency, which the release does not look at
    return load(folder / "tokenizer")


def grids(folder, sizes):
    """Case f, the three rules in plain loops."""
    rows, tile = [], 10 + sizes.seed
    for size in ((3, 50), (100, 40), (41, 40), (640, 333)):
        rows.append({"size": size} | {name: rules(size, tile, texts) for name, texts in sizes.grids.items()})
    at = {"3x1": [[1 / 6, 0.5], [0.5, 0.5], [5 / 6, 0.5], [0.5, 0.5]]}
    write(folder, "f_other", {"base_resolution": tile, "grids": sizes.grids, "rows": rows, "patch_positions": at}, {})


def rules(size, tile, texts):
    by_pixels = by_ratio = None
    for columns, rows in (map(int, text.split("x")) for text in texts):
        width, height = columns * tile, rows * tile
        scale = min(width / size[0], height / size[1])
        kept = min(int(size[0] * scale) * int(size[1] * scale), size[0] * size[1])
        if by_pixels is None or (kept, kept - width * height) > by_pixels[0]:
            by_pixels = (kept, kept - width * height), columns, rows
        ratio = (height / width, size[1] / size[0])
        area = (width * height, size[0] * size[1])
        far = (max(ratio) / min(ratio), max(area) / min(area))
        if by_ratio is None or far < by_ratio[0]:
            by_ratio = far, columns, rows
    chosen = by_ratio if by_pixels[1] * by_pixels[2] > by_ratio[1] * by_ratio[2] else by_pixels
    return [*chosen[1:], *by_pixels[1:], *by_ratio[1:]]


def image(count, tiles=1):
    content = "".join(PLACEHOLDERS[:count])
    return (PATCH_START + content + PATCH_END) * (tiles - 1) + IMAGE_START + content + IMAGE_END


def output(words, turns, limit, flags=None):
    """`turns`: (text, whether it is learned), encoded turn by turn, cut or padded to `limit`."""
    specials = words.specials
    ids, labels, read, drawn = [specials.bos], [-100], [False], [False]
    for text, learned in turns:
        for token in words.encode(text):
            content = token in specials.placeholders
            ids.append(token)
            labels.append(token if learned and not content and token != specials.image_end else -100)
            read.append(content and not learned)
            drawn.append(content and learned)
    ids, labels, read, drawn = [*ids, specials.eos], [*labels, specials.eos], [*read, False], [*drawn, False]
    rest = max(limit - len(ids), 0)
    found = {"input_ids": (ids + [specials.pad] * rest)[:limit], "labels": (labels + [-100] * rest)[:limit]}
    for key, mask in (("ids_cmp_mask", read), ("ids_gen_mask", drawn), ("attention_mask", [True] * len(ids))):
        found[key] = "".join(str(int(bit)) for bit in (mask + [False] * rest)[:limit])
    found |= {"embeds_cmp_mask": None, "embeds_gen_mask": None, "text": "".join(text for text, _ in turns)}
    if flags is None:
        return found
    shape = {"images_shape": [len(flags), 3, BASE, BASE]}
    return (
        found
        | shape
        | {"embeds_cmp_mask": [f == "read" for f in flags], "embeds_gen_mask": [f == "draw" for f in flags]}
    )


def calls(folder, sizes, words):
    """Case g."""
    rows = [
        *captions(sizes.tokens, words),
        *chats(sizes.tokens, words),
        *edits(sizes.tokens, words),
        *pairs(sizes.tokens, words),
    ]
    rows += batches(rows, sizes.tokens, words)
    for i, row in enumerate(rows):
        row |= {"name": f"row_{i}", "printed": row.get("printed"), "seed": row.get("seed", i)}
    shared = {"tokenizer": "tokenizer/", "images": "images/", "num_img_tokens": sizes.tokens, "rows": rows}
    write(folder, "g_other", shared, {})


def captions(n, words):
    """Images read and drawn take other numbers of tokens. The last two are turned round, of which one would fit."""
    text, length = TEXTS[0], len(words.encode(TEXTS[0]))
    for first, forced, tiles, limit in (
        (False, False, 1, 300),
        (True, False, 2, 300),
        (False, True, 3, length + 4 + 2 * 6),
        (False, True, 2, length + 6),
    ):
        args = {"caption": text, "img_first_ratio": 0.5, "max_length": limit, "num_img_in_tokens": n}
        args |= {"num_img_out_tokens": 4, "patch_length": tiles, "dynamic_padding": False}
        turns = [(image(n, tiles), False), (text, True)] if first or forced else [(text, False), (image(4), True)]
        flags = ["read"] * tiles if first or forced else [""] * (tiles - 1) + ["draw"]
        branches = {"img_first_by_draw": first, "img_first_forced_by_length": forced}
        found = output(words, turns, limit, flags)
        yield {"function": "encode_caption_input_ids_v2", "args": args, "branches": branches, "output": found}


COMMON = {"system_message": "", "turn_sep": "\n", "multi_resolution": True, "base_resolution": BASE, "grids": ["2x1"]}


def chats(n, words):
    """Another template; a picture too small for a filter that chats do not have; one called null; a half-asked one."""
    limit = 4 * n + 260
    common = COMMON | {"max_length": limit, "min_resolution": 400, "min_aspect_ratio": 1.0}
    common |= {"num_img_in_tokens": n, "num_img_out_tokens": 4}
    question, answer = TEXTS[1], TEXTS[2]
    for template, separator, system, name, data, start in (
        (TEMPLATE, "\n", "Look.", "/small.png", [question, answer], True),
        (OTHER, " | ", "Look.\n", "wide.png", [question, answer, question, answer], False),
        (TEMPLATE, "\n", "", "null.png", [question, answer], True),
        (TEMPLATE, "\n", "", "square.png", [question], False),
    ):
        picture = "" if "null" in name else image(n, 3)
        turns = [(system if system.endswith("\n") else f"{system}\n", False)] if system else []
        for i, text in enumerate(data):
            shown = (picture + text if start else text + picture) if i == 0 else text
            asked = (separator if i else "") + template.format(instruction=shown)
            turns.append((text, True) if i % 2 else (asked, False))
        args = common | {"instruction_prompt": template, "turn_sep": separator, "system_message": system}
        args["value"] = {"image": name, "data": data}
        found = output(words, turns, limit, ["read"] * 3 if picture else None)
        yield {"function": "decode_llava_data", "args": args, "branches": {"image_in_start": start}, "output": found}


def edits(n, words):
    """What may be missing; one that just fits; a small target; images of other lengths."""
    pieces = {"drop_prompt": False, "image_in_start": False, "polite_response": TEXTS[3]}
    both = {"source_image": "wide.png", "target_image": "small.png", "instruction": TEXTS[0]}
    fits = 4 * n + 300
    for value, template, out, limit in (
        (both, TEMPLATE, n, fits),
        (both | {"instruction_new": TEXTS[1]}, OTHER, 4, fits),  # without a response it does not count
        (both | {"instruction_new": TEXTS[1], "response": ""}, TEMPLATE, n, fits),
        (both, TEMPLATE, n, None),
        (
            {key: text for key, text in both.items() if key != "instruction"}
            | {"instruction_new": "x", "response": "y"},
            OTHER,
            n,
            0,
        ),
        (both | {"source_image": "small.png"}, TEMPLATE, n, 0),
        (both | {"source_image": "/wide.png"}, TEMPLATE, n, 0),
    ):
        new = "instruction_new" in value and "response" in value
        asked = (
            template.format(instruction=value["instruction_new" if new else "instruction"] + image(n, 3))
            if limit != 0
            else ""
        )
        turns = [(asked, False), ((value["response"] if new else TEXTS[3]) + image(out), True)]
        whole = len(output(words, turns, 0)["input_ids"]) + sum(len(words.encode(text)) for text, _ in turns) + 2
        args = COMMON | {
            "max_length": limit or (whole if limit is None else fits),
            "min_resolution": 10,
            "min_aspect_ratio": 0.3,
        }
        args |= {
            "num_img_in_tokens": n,
            "num_img_out_tokens": out,
            "use_polite_response": True,
            "instruction_prompt": template,
        }
        found = output(words, turns, limit, ["read"] * 3 + ["", "", "draw"]) if limit else {}
        args["value"] = value
        yield {"function": "decode_single_turn_edit_data", "args": args, "branches": pieces, "output": found}


def pairs(n, words):
    """The template without a request; a draw that is not written; spaces; what the filter refuses; too many tiles."""
    common = COMMON | {"max_length": 4 * n + 260, "min_resolution": 10, "min_aspect_ratio": 0.3, "metadata": None}
    common |= {
        "num_img_in_tokens": n,
        "num_img_out_tokens": n,
        "assure_text": True,
        "caption": " a lake \n ",
        "image": "wide.png",
    }
    common |= {"use_caption_in_metadata": False, "caption_key_in_metadata": "top", "img_first_ratio": -1.0}
    asks = {"add_gen_prompt": True, "instruction_prompt": TEMPLATE}
    says = {"prompt": "Draw", "response": "Here."}
    whole = TEMPLATE.format(instruction="Draw a lake \n ") + " Here."
    tiny = {"max_length": 3 * (n + 2) + 1}
    seed = next(seed for seed in range(50) if np.random.RandomState(seed).uniform() < 0.3)
    function = "decode_image_text_pair+unwarp_data+tokenize_text"
    for changes, text, drawn, printed in (
        (asks, whole, "draw", None),
        (asks | {"instruction_prompt": None}, "Draw a lake \n Here.", "draw", None),
        ({"add_gen_prompt": False, "instruction_prompt": OTHER}, OTHER.format(instruction=" a lake \n "), "draw", None),
        (asks | {"img_first_ratio": 0.3}, whole, "read", None),
        (asks | {"min_resolution": 400}, whole, "refused", None),
        (asks | {"use_caption_in_metadata": True, "metadata": {"other": "x"}}, "", "", None),
        (asks | {"assure_text": False}, "", "", None),
        (asks | tiny, "", "", "An example with patches tokens 3 exceeds max length"),
    ):
        args = common | changes
        turns = [(image(n, 3), False), (text, True)] if drawn == "read" else [(text, False), (image(n), True)]
        flags = ["read"] * 3 if drawn == "read" else ["", "", "draw"] if drawn == "draw" else None
        found = output(words, turns, args["max_length"], flags) | {"text": text} if drawn else {}
        row = {"function": function, "args": args, "branches": says, "output": found, "printed": printed, "seed": seed}
        yield row


def batches(rows, n, words):
    """Edits side by side; and captions padded to their limit, each with a draw of its own."""
    edits = [row for row in rows if "edit" in row["function"] and row["output"]][:1] * 2
    width = len(edits[0]["output"]["input_ids"])
    shapes = {
        "input_ids": [2, width],
        "images": [12, 3, BASE, BASE],
        "patch_position": [12, 2],
        "images_patch_length": [4],
    }
    shapes |= {"embeds_cmp_mask": [12], "text": [row["output"]["text"] for row in edits]}
    yield {"function": "anyres_data_collate_old", "args": {}, "branches": None, "output": shapes}
    limit, seed = 3 * n + 100, 11
    turned = np.random.RandomState(seed).uniform(size=3) < 0.5
    each = [
        output(words, [(image(n, 2), False), (text, True)] if first else [(text, False), (image(n), True)], limit)
        for text, first in zip(TEXTS, turned, strict=False)
    ]
    found = {
        key: [row[key] for row in each]
        for key in ("input_ids", "labels", "ids_cmp_mask", "ids_gen_mask", "attention_mask")
    }
    args = {"captions": TEXTS[:3], "patch_length": 2, "img_first_ratio": 0.5, "max_length": limit}
    yield {"function": "anyres_data_collate", "args": args, "branches": None, "output": found, "seed": seed}
