"""The native folder: a model as safetensors, its sizes as JSON, its tokenizer.

    config.json               every size, `config.from_dict`
    vision.safetensors        `SeedX.vision`
    language.safetensors      `SeedX.language`; a part too large for one file is language-00001.safetensors, -00002, ...
    bridge.safetensors        the rest of `SeedX`: both resamplers and the tile positions
    vae.safetensors           `Detokenizer.vae`
    detokenizer.safetensors   the rest of `Detokenizer`: resampler and U-Net
    tokenizer.json            or tokenizer.model and added_tokens.json

Names in a file are those of its module, so that each can be read alone. Weights may be stored in half precision. Keys
are checked strictly: one that is missing, unknown or of another shape is an error that names it. A folder is written
aside and renamed, so a crash leaves the old one whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from seedx import config as configuration
from seedx import plugins
from seedx import tokenizer as tokenizers
from seedx.config import Config
from seedx.deprecated import without_retired
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX

SHARD_BYTES = 2 * 1024**3
DIGIT = "[0-9]"


@dataclass
class Model:
    """Everything that one folder holds."""

    config: Config
    seedx: SeedX
    detokenizer: Detokenizer
    tokenizer: tokenizers.Tokenizer


def load(name: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> Model:
    """Load a model for inference.

    Args:
        name: "tiny" (bundled), a folder, or a hub id "organisation/name".
        dtype: of the weights; None: float32 on the CPU, bfloat16 elsewhere. The autoencoder is always float32: SDXL's
            overflows in half precision.

    Raises:
        SeedxError: no such model, or weights that do not fit its config.json.
    """
    folder = locate(name)
    config = read_config(folder)
    if dtype is None:
        dtype = torch.float32 if torch.device(device).type == "cpu" else torch.bfloat16
    seedx, detokenizer = build(config)
    for part, module in modules(seedx, detokenizer).items():
        precision = torch.float32 if part == "vae" else dtype
        weights = checked(read(folder, part), part_state(part, module), f"{folder.name}/{part}")
        module.load_state_dict({key: t.to(device, precision) for key, t in weights}, strict=False, assign=True)
    if config.language.tie_embeddings:
        seedx.language.llm.tie_weights()
    return Model(config, seedx.to(device).eval(), detokenizer.to(device).eval(), tokenizers.load(folder))


def save(model: Model, folder: str | Path, dtype: torch.dtype | None = None) -> None:
    """Write a model, in the precision it has unless `dtype` says another. An older model in `folder` is replaced."""
    with replacing(folder) as aside:
        write_config(model.config, aside)
        model.tokenizer.save(aside)
        for part, module in modules(model.seedx, model.detokenizer).items():
            write(aside, part, part_state(part, module).items(), dtype)


def build(config: Config) -> tuple[SeedX, Detokenizer]:
    """The modules without memory for their weights, on the meta device."""
    with torch.device("meta"):
        return SeedX(config), Detokenizer(config.detokenizer, config.vision.output_dim)


def modules(seedx: SeedX, detokenizer: Detokenizer) -> dict[str, nn.Module]:
    """The module of each part; that of "bridge" and "detokenizer" holds other parts as well."""
    return {
        "vision": seedx.vision,
        "bridge": seedx,
        "language": seedx.language,
        "detokenizer": detokenizer,
        "vae": detokenizer.vae,
    }


def part_state(part: str, module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a part, without those that are stored with another part or tied to another tensor.

    Raises:
        SeedxError: LoRA adapters have not been merged.
    """
    state = module.state_dict()
    if any(".lora_" in name for name in state):
        raise SeedxError("a model is stored without adapters: call language.merge_lora() first")
    elsewhere = {"bridge": ("vision.", "language."), "detokenizer": ("vae.",)}.get(part, ())
    if part == "language" and module.config.tie_embeddings:  # type: ignore[union-attr]
        elsewhere = ("llm.lm_head.",)
    return {name: tensor for name, tensor in state.items() if not name.startswith(elsewhere or "\0")}


def checked(
    tensors: Iterable[tuple[str, Tensor]], expected: Mapping[str, Tensor], where: str
) -> Iterator[tuple[str, Tensor]]:
    """Pass the tensors on and hold them against the names and shapes expected.

    Raises:
        SeedxError: a key that is unknown, comes twice or has another shape, and, at the end, one that is missing.
    """
    missing = dict(expected)
    for name, tensor in tensors:
        if name not in missing:
            problem = "comes twice" if name in expected else "is not a weight of this model"
            raise SeedxError(f"{where}: {name!r} {problem}; do the config and the weights belong together?")
        shape, found = tuple(missing.pop(name).shape), tuple(tensor.shape)
        if shape != found:
            raise SeedxError(f"{where}: {name!r} must have shape {shape}, not {found}; compare the config's sizes")
        yield name, tensor
    if missing:
        others = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        raise SeedxError(f"{where}: {next(iter(missing))!r}{others} missing; is the file whole?")


def read(folder: Path, part: str) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of one part, mapped from the disk one at a time."""
    files = [folder / f"{part}.safetensors"]
    if not files[0].is_file():
        files = sorted(folder.glob(f"{part}-{DIGIT * 5}.safetensors"))
    if not files:
        raise SeedxError(f"{folder} holds no {part}.safetensors; save or convert the model again")
    for file in files:
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (it is no dictionary)
                yield name, tensors.get_tensor(name)


def write(
    folder: Path,
    part: str,
    tensors: Iterable[tuple[str, Tensor]],
    dtype: torch.dtype | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Store one part, a shard at a time: no more than a shard of a lazy `tensors` is in memory."""
    shard: dict[str, Tensor] = {}
    filled = shards = 0
    os.umask(umask := os.umask(0o077))  # there is no way to read it but to set it

    def flush() -> None:
        nonlocal shard, filled, shards
        shards += 1
        file = folder / f"{part}-{shards:05d}.safetensors"
        save_file(shard, file)
        file.chmod(0o666 & ~umask)  # safetensors lets nobody but the owner read what it writes
        shard, filled = {}, 0

    for name, tensor in tensors:
        tensor = tensor.detach().to("cpu", dtype if tensor.is_floating_point() else None).contiguous()
        if shard and filled + tensor.nbytes > shard_bytes:
            flush()
        shard[name] = tensor
        filled += tensor.nbytes
    flush()
    if shards == 1:
        (folder / f"{part}-00001.safetensors").rename(folder / f"{part}.safetensors")


def read_config(folder: Path) -> Config:
    file = folder / "config.json"
    if not file.is_file():
        raise SeedxError(f"{str(folder)!r} is no model folder: it has no config.json; `seedx convert` makes one")
    try:
        values: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise SeedxError(f"{file} is not JSON: {error}") from error
    return configuration.from_dict(Config, without_retired(values))


def write_config(config: Config, folder: Path) -> None:
    text = json.dumps(configuration.to_dict(config), indent=2)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")


def bundled(name: str) -> Path | None:
    """The folder of a model that comes with an installed package; None if none does."""
    if name not in plugins.names("seedx.models"):
        return None
    try:
        return Path(plugins.find("seedx.models", name)())
    except SeedxError:  # the package that listed it has been removed
        return None


def locate(name: str | Path) -> Path:
    """The folder of a model by name, path or hub id (downloaded on first use)."""
    text = str(name)
    if folder := bundled(text):
        return folder
    if Path(name).is_dir():
        return Path(name)
    if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", text):
        return _download(text)
    plugins.find("seedx.models", text)  # an error that names the missing package, if one lists the model
    if text in configuration.PRESETS:
        raise SeedxError(
            f"the weights of {text!r} are not bundled; make a folder from the release's with `seedx convert`"
        )
    raise SeedxError(f"unknown model {text!r}: expected 'tiny', a folder, or a hub id such as 'organisation/name'")


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "tokenizer.model"]))
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise SeedxError(f"{name!r} is no folder here, and no model of that name could be fetched: {error}") from error


@contextmanager
def replacing(folder: str | Path) -> Iterator[Path]:
    """A fresh folder to write to, which takes the place of `folder` when all went well.

    Raises:
        SeedxError: `folder` holds something that is not a model.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / "config.json").is_file() and any(folder.iterdir()):
        raise SeedxError(f"{str(folder)!r} is not empty and holds no model; give another folder, or empty it")
    aside, old = folder.with_name(folder.name + ".partial"), folder.with_name(folder.name + ".old")
    for leftover in (aside, old):
        shutil.rmtree(leftover, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        if folder.exists():
            folder.rename(old)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
