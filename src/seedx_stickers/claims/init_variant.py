"""The initial model of a variant: the base model with some settings changed and some weights reinitialised."""

from __future__ import annotations

import shutil
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from seedx import tokenizer
from seedx.checkpoint import native, weights
from seedx.checkpoint.parts import Model, modules, part_state
from seedx.config import Config, from_dict, nearest, to_dict
from seedx.errors import SeedxError
from seedx.inference.engine import Engine
from seedx.inference.pipeline import Pipeline
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.train.engine import components
from seedx_stickers.claims.claim import Variant
from seedx_stickers.claims.deep_resampler import deepen, stored_layers


def init_variant(variant: Variant, seed: int, base: Path, folder: Path) -> None:
    """Write the initial model of a variant. The reinitialised weights depend on the seed alone.

    Raises:
        SeedxError: an unknown setting, a weight that neither fits nor is reinitialised, or a pattern without a match.
    """
    torch.manual_seed(seed)
    config = with_settings(native.read_config(base), variant.config)
    seedx = deepen(SeedX(config), variant.output_layers)
    seedx.input_resampler.init_local()
    seedx.output_resampler.init_local()
    detokenizer = Detokenizer(config.detokenizer, config.vision.output_dim)
    unused = set(variant.reinitialised)
    for part, module in modules(seedx, detokenizer).items():
        unused -= copy_weights(module, part, base, variant.reinitialised)
    if unused:
        raise SeedxError(f"no weight in {base} matches the pattern {min(unused)!r}; patterns match PART.NAME")
    if variant.placeholders:
        reinitialise_rows(seedx.language.llm.model.embed_tokens.weight, tokenizer.load(base).specials.placeholders)
    folder.mkdir(parents=True, exist_ok=True)
    for part, module in modules(seedx, detokenizer).items():
        components.write(module, folder, part)
    for file in base.glob("tokenizer*"):
        shutil.copyfile(file, folder / file.name)
    native.write_config(config, folder)  # last: a folder with a config is complete


def load_variant(folder: Path) -> Pipeline:
    """The model of a variant for inference, in float32; its output resampler may be deep.

    Raises:
        SeedxError: the folder is no model, or its weights do not fit its config.
    """
    config = native.read_config(folder)
    seedx = deepen(SeedX(config), stored_layers(folder))
    detokenizer = Detokenizer(config.detokenizer, config.vision.output_dim)
    for part, module in modules(seedx, detokenizer).items():
        components.read(module, folder, part)
    model = Model(config, seedx.eval(), detokenizer.eval(), tokenizer.load(folder))
    return Pipeline(Engine(model))


def with_settings(config: Config, changes: dict[str, object]) -> Config:
    """The config with settings changed by their paths: {"vision.pool": 1}.

    Raises:
        SeedxError: there is no such setting.
    """
    values = to_dict(config)
    for path, value in changes.items():
        *parents, name = path.split(".")
        section = values
        for parent in parents:
            section = section.get(parent, {})
        if name not in section:
            raise SeedxError(f"the config has no setting {path!r}{nearest(name, section)}")
        section[name] = value
    return from_dict(Config, values)


@torch.no_grad()
def copy_weights(module: nn.Module, part: str, base: Path, reinitialised: tuple[str, ...]) -> set[str]:
    """Copy the stored weights of a part into its module, except reinitialised ones. Returns the patterns that match."""
    used: set[str] = set()

    def is_copied(name: str) -> bool:
        matching = {pattern for pattern in reinitialised if fnmatchcase(f"{part}.{name}", pattern)}
        used.update(matching)
        return not matching

    copied = {name: tensor for name, tensor in part_state(part, module).items() if is_copied(name)}
    stored = {name: tensor for name, tensor in native.read_part(base, part).items() if is_copied(name)}
    weights.check(stored, copied, f"{base.name}/{part}")
    for name, tensor in stored.items():
        copied[name].copy_(tensor)
    return used


@torch.no_grad()
def reinitialise_rows(weight: Tensor, rows: tuple[int, ...]) -> None:
    """Replace rows (one for each token) by random ones with the mean and the deviation of the old ones."""
    old = weight[list(rows)]
    weight[list(rows)] = old.mean(dim=0) + old.std(dim=0) * torch.randn_like(old)
