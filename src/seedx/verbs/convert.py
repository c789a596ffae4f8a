"""`seedx convert`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seedx.errors import SeedxError
from seedx.verbs.output import file_errors

if TYPE_CHECKING:
    from seedx.config import Config


def convert(
    model: str,
    out: Path,
    /,
    *,
    to: Literal["seedx", "release"] = "seedx",
    sizes: str = "17b",
    dtype: Literal["float32", "float16", "bfloat16"] | None = None,
) -> None:
    """Convert the release's files to a model folder that --model takes, or back.

    Args:
        model: the model to convert. With --to seedx: a folder with the release's agent, llm, seed_detokenizer,
            tokenizer, qwen_vit_G.pt and SDXL's vae, unet. With --to release: "tiny", a model folder, or a hub id.
        out: folder to write.
        to: the layout to write: seedx, a model folder of this library; release, the names and files of the release.
        sizes: with --to seedx, the sizes of the release: a preset (17b), or a config.json.
        dtype: precision to store; by default that of the files read.
    """
    import torch

    from seedx.checkpoint import release, release_writer

    precision = getattr(torch, dtype) if dtype else None
    with file_errors(), _progress() as progress:
        if to == "seedx":
            release.convert(model, out, _sizes(sizes), precision, progress)
        else:
            release_writer.write_release(model, out, precision, progress)
    print(f"{out}: try `seedx chat --model {out}`" if to == "seedx" else f"{out}: in the layout of the release")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """A bar of bytes, to be called with the part of the model and the bytes that were read of it."""
    from tqdm import tqdm

    with tqdm(unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:

        def show(part: str, size: int) -> None:
            bar.set_description(part)
            bar.update(size)

        yield show


def _sizes(name: str) -> Config:
    from seedx.checkpoint.native import read_config
    from seedx.config import PRESETS

    if name in PRESETS:
        return PRESETS[name]
    if Path(name).name == "config.json":
        return read_config(Path(name).parent)
    raise SeedxError(f"--sizes takes a preset ({', '.join(PRESETS)}) or a file config.json, not {name!r}")
