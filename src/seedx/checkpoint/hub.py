"""Where a model is: bundled with an installed package, a folder, or on the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

from seedx import plugins
from seedx.config import PRESETS
from seedx.errors import SeedxError

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_FILES = ["*.json", "*.safetensors", "tokenizer.model"]  # of a model folder; nothing that could run code


def locate(name: str | Path) -> Path:
    """The folder of a model by name, path or hub id (downloaded on first use).

    Raises:
        SeedxError: there is no such model.
    """
    text = str(name)
    if folder := bundled(text):
        return folder
    if Path(name).is_dir():
        return Path(name)
    if _HUB_ID.fullmatch(text):
        return _download(text)
    plugins.find("seedx.models", text)  # an error that names the missing package, if one lists the model
    if text in PRESETS:
        raise SeedxError(
            f"the weights of {text!r} are not bundled; make a folder from the release's with `seedx convert`"
        )
    raise SeedxError(f"unknown model {text!r}: expected 'tiny', a folder, or a hub id such as 'organisation/name'")


def bundled(name: str) -> Path | None:
    """The folder of a model that comes with an installed package; None if none does."""
    if name not in plugins.names("seedx.models"):
        return None
    try:
        return Path(plugins.find("seedx.models", name)())
    except SeedxError:  # the package that listed it has been removed
        return None


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise SeedxError(f"{name!r} is no folder here, and no model of that name could be fetched: {error}") from error
