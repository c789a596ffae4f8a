"""Where a model is: bundled with an installed package, a folder, or on the Hugging Face hub."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedx import plugins
from seedx.checkpoint.config_file import read_config
from seedx.checkpoint.layouts import RELEASED
from seedx.config import PRESETS
from seedx.errors import SeedxError

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_FILES = ["*.json", "*.safetensors", "*.gguf", "tokenizer.model"]  # of a model folder; nothing that could run code


@dataclass(frozen=True)
class Hub:
    """How a hub id is fetched.

    Attributes:
        revision: a branch, tag or commit; None: the main branch.
        cache_dir: where downloads are kept; None: the cache of huggingface_hub.
        local_files_only: use what was downloaded before, without the network.
    """

    revision: str | None = None
    cache_dir: str | Path | None = None
    local_files_only: bool = False


def locate(name: str | Path, hub: Hub | None = None) -> Path:
    """The folder of a model by name, path or hub id (downloaded on first use, config.json before the weights).

    Raises:
        SeedxError: there is no such model, or it is not in the form of this library.
    """
    text = str(name)
    if folder := bundled(text):
        return folder
    if Path(name).is_dir():
        return Path(name)
    if _HUB_ID.fullmatch(text):
        return _download(text, hub or Hub())
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


def _download(name: str, hub: Hub) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    if name.lower() in {released.lower() for released in RELEASED}:
        raise SeedxError(
            f"{name} holds the release's own files, which are converted once: `hf download {name} --local-dir "
            f"pretrained/{name.split('/')[1]}`, then `seedx convert pretrained OUT --dry-run` says what else it takes"
        )
    options: dict[str, Any] = dataclasses.asdict(hub)
    try:
        config = Path(hf_hub_download(name, "config.json", **options))
        try:
            read_config(config.parent)  # before gigabytes are fetched
        except SeedxError as error:
            raise SeedxError(
                f"{name!r} on the hub is no model of this library, or of a newer version: {error}"
            ) from error
        return Path(snapshot_download(name, allow_patterns=_FILES, **options))
    except LocalEntryNotFoundError as error:
        where = "in the cache" if hub.local_files_only else "in the cache, and the hub can't be reached"
        raise SeedxError(f"{name!r} is no folder here, and not {where}") from error
    except EntryNotFoundError as error:
        raise SeedxError(f"{name!r} on the hub is no model of this library: it has no config.json") from error
    except HfHubHTTPError as error:
        reason = str(error).split("\n\n")[-1].splitlines()[0]
        raise SeedxError(f"{name!r} is no folder here, and no model of that name could be fetched: {reason}") from error
