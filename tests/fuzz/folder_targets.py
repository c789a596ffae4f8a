"""What is fuzzed besides: model folders and checkpoints of training, whose inputs are slow; recipes and settings."""

from __future__ import annotations

import functools
import json
import logging
import math
import os
import pickle
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "train")]

from mutate import JUNK, NUMBERS, mutate_bytes, mutate_record, mutate_text  # noqa: E402
from test_checkpointing import Run  # noqa: E402

from seedx import checks, tokenizer  # noqa: E402
from seedx.checkpoint import native  # noqa: E402
from seedx.checkpoint.info import info  # noqa: E402
from seedx.checkpoint.parts import Model  # noqa: E402
from seedx.data import formats, storage  # noqa: E402
from seedx.errors import SeedxError  # noqa: E402
from seedx.inference.engine import Engine  # noqa: E402
from seedx.inference.pipeline import Pipeline  # noqa: E402
from seedx.inference.settings import Settings, settings_from  # noqa: E402
from seedx.model.detokenizer import Detokenizer  # noqa: E402
from seedx.model.seedx import SeedX  # noqa: E402
from seedx.train.engine import checkpoint_files  # noqa: E402
from seedx.train.engine.checkpointing import load_weights  # noqa: E402
from seedx.train.recipe import Recipe, load_recipe  # noqa: E402
from seedx.train.recipe_changes import as_json, differences  # noqa: E402
from small import SMALL, TOKENIZER  # noqa: E402

RECIPES = TESTS.parent / "recipes"
OTHER_FILES = (
    b"",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    b"<!DOCTYPE html><title>Log in</title>",
    b"PK\x03\x04",
    b"\x80\x02}q\x00.",
    b"[]",
    b"null",
)


@functools.cache
def _scratch() -> Path:
    logging.disable(logging.WARNING)  # what is broken is logged
    return Path(tempfile.mkdtemp(prefix="seedx-fuzz-folders-"))


def _small() -> Model:
    torch.manual_seed(0)
    detokenizer = Detokenizer(SMALL.detokenizer, SMALL.vision.output_dim)
    return Model(SMALL, SeedX(SMALL), detokenizer, tokenizer.load(TOKENIZER))


@functools.cache
def _models() -> tuple[Path, Path]:
    """The same model with either kind of tokenizer, the second in shards."""
    first, second = _scratch() / "sentencepiece", _scratch() / "json"
    native.save(_small(), first)
    shutil.copytree(first, second)
    tokens = tokenizer.train_tokenizer(["a cat and a dog"] * 9, 600)
    for name in ("tokenizer.model", "added_tokens.json", "special_tokens_map.json"):
        (second / name).unlink()
    tokens.save(second)
    (second / "language.safetensors").rename(second / "language-00001-of-00001.safetensors")
    names = native.read_part(first, "language")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "language-00001-of-00001.safetensors")}
    (second / "language.safetensors.index.json").write_text(json.dumps(index))
    return first, second


def model_folder(rng: random.Random) -> bool:
    """Up to two files of a model's folder are changed, gone, or something else."""
    source, folder = rng.choice(_models()), _scratch() / "fuzzed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = sorted(source.iterdir())
    for file in files:
        (folder / file.name).symlink_to(file)
    for file in rng.sample(files, rng.choice((0, 1, 1, 1, 2))):
        (folder / file.name).unlink()
        if rng.random() < 0.95:
            (folder / file.name).write_bytes(_changed_file(rng, file))
    try:
        model = native.load(folder)
        info(folder)
    except SeedxError as error:
        assert len(str(error)) < 1000, "a message repeats its input"
        return False
    model.tokenizer.decode(model.tokenizer.encode("a cat <img>"))
    return True


def _changed_file(rng: random.Random, file: Path) -> bytes:
    data = file.read_bytes()
    if rng.random() < 0.1:
        return rng.choice(OTHER_FILES)
    if file.suffix == ".safetensors" and rng.random() < 0.6:
        return _changed_safetensors(rng, data)
    if file.suffix == ".json" and rng.random() < 0.7:
        return _json(mutate_record(rng, json.loads(data)))
    if rng.random() < 0.1:
        return data[: rng.randrange(len(data))]
    return mutate_bytes(rng, data, [data])


def _changed_safetensors(rng: random.Random, data: bytes) -> bytes:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if rng.random() < 0.5:
        entry = header[rng.choice(sorted(header))]
        key = rng.choice(sorted(entry))
        entry[key] = rng.choice((["F16"], "F64", "I64", "F8", [], [0], [-1, 2], [0, 2**63], rng.choice(NUMBERS), "x"))
    else:
        header = mutate_record(rng, header)
    changed = _json(header)
    return len(changed).to_bytes(8, "little") + changed + data[8 + length :]


def _json(value: Any) -> bytes:
    return json.dumps(value, default=str).encode("utf-8", "surrogatepass")


@functools.cache
def _run() -> Path:
    run = Run(_scratch() / "run")
    for step in (1, 2):
        run.step(step)
        run.save(step)
    return _scratch() / "run"


def checkpoint(rng: random.Random) -> bool:
    """A file of the last checkpoint is changed, mostly with the checksum to go with it."""
    folder = _scratch() / "fuzzed-run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(_run(), folder)
    saved = checkpoint_files.path(folder / "checkpoints", 2)
    file = rng.choice(sorted(saved.iterdir()))
    data = file.read_bytes()
    if rng.random() < 0.95:
        file.write_bytes(_changed_metadata(rng, data) if file.name == ".metadata" else _changed(rng, file, data))
    else:
        file.unlink()
    if rng.random() < 0.8 and file.name != checkpoint_files.MANIFEST:
        (saved / checkpoint_files.MANIFEST).unlink()
        part = checkpoint_files.part_path(folder / "checkpoints", 2)
        saved.rename(part)
        checkpoint_files.commit(part, 2, None, checkpoint_files.checksums(part, 0))
    run = Run(folder)
    try:
        if rng.random() < 0.5:
            return run.saver.resume(run.state) == 2
        load_weights(saved, run.model, average=rng.random() < 0.5)
    except SeedxError as error:
        assert len(str(error)) < 1500, "a message repeats its input"
        return False
    return True


def _changed(rng: random.Random, file: Path, data: bytes) -> bytes:
    if file.suffix == ".json" and rng.random() < 0.7:
        return _json(mutate_record(rng, json.loads(data)))
    return rng.choice(OTHER_FILES) if rng.random() < 0.1 else mutate_bytes(rng, data, [data])


def _changed_metadata(rng: random.Random, data: bytes) -> bytes:
    """Half of the time a table of the right types with wrong values."""
    if rng.random() < 0.5:
        return mutate_bytes(rng, data, [data])
    table = pickle.loads(data)
    name = rng.choice(sorted(table.state_dict_metadata))
    entry = table.state_dict_metadata[name]
    index = rng.choice(sorted(table.storage_data, key=str))
    place = table.storage_data[index]
    number = rng.choice((*NUMBERS, 10**400, "x", None, 2.5))
    match rng.randrange(8):
        case 0:
            entry.size = rng.choice((torch.Size([2**40]), torch.Size([8, 2**33]), torch.Size([]), (8, number), None))
        case 1:
            entry.properties.dtype = rng.choice((torch.float64, torch.int8, torch.complex64, None))
        case 2:
            entry.chunks[0].offsets = rng.choice((torch.Size([1]), torch.Size([2**40, 1]), None))
        case 3:
            entry.chunks[0].sizes = rng.choice((torch.Size([2**40]), torch.Size([8, 1]), ()))
        case 4:
            place.offset = number
        case 5:
            place.length = number
        case 6:
            place.relative_path = rng.choice((".metadata", "rest.pt", "manifest.json", "", "no file", number))
        case _:
            rng.choice((table.state_dict_metadata, table.storage_data)).popitem()
    if rng.random() < 0.2:
        table.state_dict_metadata[name] = rng.choice((None, [], index, place))
    return pickle.dumps(table)


@functools.cache
def _recipe_texts() -> list[str]:
    return [file.read_text(encoding="utf-8") for file in sorted(RECIPES.rglob("*.toml"))]


def recipe(rng: random.Random) -> bool:
    """A recipe's text is changed, or a field of it by its path; then its formats and sources are looked up."""
    text, file = rng.choice(_recipe_texts()), _scratch() / "recipe.toml"
    changes: dict[str, Any] = {}
    if rng.random() < 0.5:
        fields = [*Recipe.__dataclass_fields__, "data.0.source", "data.0.weight", "data.0.limit", "data.0.options.x"]
        changes = {rng.choice(fields): _value(rng) for _ in range(rng.randint(1, 3))}
    else:
        text = mutate_text(rng, text)
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    os.chdir(_scratch())  # what a source may match is here
    try:
        made = load_recipe(file, **changes)
        differences(json.loads(json.dumps(as_json(made))), made)
        for data in made.data:
            formats.get(data.format, **data.options)
            if ":" not in data.source:
                storage.expand(mutate_text(rng, data.source) if rng.random() < 0.5 else data.source)
    except SeedxError as error:
        assert len(str(error)) < 3000, "a message repeats its input"
        return False
    finally:
        os.chdir(TESTS.parent)
    return True


def _value(rng: random.Random) -> Any:
    """A value of any kind: numbers that are none, too large, or of other libraries."""
    number = rng.choice((*NUMBERS, 0.5, -0.0, 1e308, 5e-324, math.nan, math.inf, -math.inf, 10**400, 1 + 2j))
    kinds = (np.int64, np.uint8, np.float16, np.float32, np.float64, np.bool_, torch.tensor, str, complex)
    try:
        return rng.choice((lambda: number, lambda: rng.choice(JUNK), lambda: rng.choice(kinds)(number)))()
    except (OverflowError, ValueError, TypeError, RuntimeError):
        return [number]


@functools.cache
def _pipeline() -> Pipeline:
    return Pipeline(Engine(_small()))


def settings(rng: random.Random) -> bool:
    """Numbers and anything else as settings of a reply and of an image."""
    names = rng.sample(sorted(Settings.__dataclass_fields__), rng.choice((1, 1, 2, 3)))
    options = {name: _value(rng) for name in names}
    if "size" in options and rng.random() < 0.7:
        options["size"] = [_value(rng) if rng.random() < 0.5 else 16 for _ in range(rng.choice((1, 2, 2, 2, 3)))]
    if "sampler" in options and rng.random() < 0.5:
        options["sampler"] = rng.choice(("EulerDiscreteScheduler", "DDIMScheduler", "DDIMSchedule", "__doc__", "torch"))
    try:
        made = settings_from(Settings, options)
        assert all(type(getattr(made, name)) in (int, float, bool, str, tuple, type(None)) for name in names)
        _pipeline().engine.image_decoder.check(made)
        if rng.random() < 0.5:
            checks.integer("x", _value(rng))
            checks.number("x", _value(rng), 0, 1)
    except SeedxError as error:
        assert len(str(error)) < 1000, "a message repeats its input"
        return False
    return True
