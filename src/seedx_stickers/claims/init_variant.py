"""Where a variant begins: a trained model, with other settings and some weights anew."""

from __future__ import annotations

import shutil
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from seedx import tokenizer
from seedx.checkpoint import native, weights
from seedx.checkpoint.parts import modules, part_state
from seedx.config import Config, from_dict, nearest, to_dict
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from seedx.train.engine import components
from seedx_stickers.claims.claim import Variant


def begin(variant: Variant, seed: int, source: Path, folder: Path) -> None:
    """Write the model that a variant's trainings begin with. Weights begun anew follow from the seed alone.

    Raises:
        SeedxError: a setting that there is not, a weight that neither fits nor is named as begun anew, or a pattern
            that names none.
    """
    torch.manual_seed(seed)
    config = changed(native.read_config(source), variant.config)
    seedx = SeedX(config)
    seedx.input_resampler.init_local()
    seedx.output_resampler.init_local()
    detokenizer = Detokenizer(config.detokenizer, config.vision.output_dim)
    unused = set(variant.anew)
    for part, module in modules(seedx, detokenizer).items():
        unused -= take_over(module, part, source, variant.anew)
    if unused:
        raise SeedxError(f"nothing of the model in {source} is called {min(unused)!r}: patterns are of PART.NAME")
    if variant.placeholders:
        restart_rows(seedx.language.llm.model.embed_tokens.weight, tokenizer.load(source).specials.placeholders)
    folder.mkdir(parents=True, exist_ok=True)
    for part, module in modules(seedx, detokenizer).items():
        components.write(module, folder, part)
    for file in source.glob("tokenizer*"):
        shutil.copyfile(file, folder / file.name)
    native.write_config(config, folder)  # last: a folder with a config is whole


def changed(config: Config, changes: dict[str, object]) -> Config:
    """The config with settings changed by their paths: {"vision.pool": 1}."""
    values = to_dict(config)
    for path, value in changes.items():
        *way, last = path.split(".")
        at = values
        for name in way:
            at = at.get(name, {})
        if last not in at:
            raise SeedxError(f"the config has no setting {path!r}{nearest(last, at)}")
        at[last] = value
    return from_dict(Config, values)


@torch.no_grad()
def take_over(module: nn.Module, part: str, source: Path, anew: tuple[str, ...]) -> set[str]:
    """Copy a part's stored weights into its module, but for those that begin anew. Returns the patterns that fitted."""
    used: set[str] = set()

    def kept(name: str) -> bool:
        fitting = {pattern for pattern in anew if fnmatchcase(f"{part}.{name}", pattern)}
        used.update(fitting)
        return not fitting

    expected = part_state(part, module)
    wanted = {name: tensor for name, tensor in expected.items() if kept(name)}
    stored = {name: tensor for name, tensor in native.read_part(source, part).items() if kept(name)}
    weights.check(stored, wanted, f"{source.name}/{part}")
    for name, tensor in stored.items():
        wanted[name].copy_(tensor)
    return used


@torch.no_grad()
def restart_rows(weight: Tensor, rows: tuple[int, ...]) -> None:
    """Random rows (a row a token) with the mean and the deviation of the old ones."""
    old = weight[list(rows)]
    weight[list(rows)] = old.mean(dim=0) + old.std(dim=0) * torch.randn_like(old)
