"""Where a base part is: a folder, a file, or a repository on the hub, of which only what is needed is fetched."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seedx.checkpoint import weights
from seedx.checkpoint.hub import Hub, bundled
from seedx.errors import SeedxError

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class Wanted:
    """What is fetched of a repository.

    Attributes:
        what: for messages.
        files: patterns, first those of safetensors, then what is fetched where these hold no weights.
        others: patterns of what is never fetched.
    """

    what: str
    files: tuple[Sequence[str], Sequence[str]]
    others: Sequence[str] = ()


LANGUAGE = Wanted(
    "language model",
    (["*.json", "*.jinja", "tokenizer.model", "*.safetensors"], ["*.bin"]),
    ["*/*", "*.fp16.*"],
)
VISION = Wanted("visual tokenizer", (["*.json", "*.safetensors"], ["*.bin", "qwen_vit_G.pt"]), ["*/*"])
DETOKENIZER = Wanted(
    "de-tokenizer",
    (
        ["*.json", "unet/*.safetensors", "vae/*.safetensors", "detokenizer*.safetensors", "vae.safetensors"],
        ["unet/*.bin", "vae/*.bin"],
    ),
    ["*.fp16.*", "text_encoder*", "tokenizer*"],
)


def fetch(name: str, wanted: Wanted, hub: Hub | None = None) -> Path:
    """The folder or file of a base part.

    Raises:
        SeedxError: no such file, folder or repository.
    """
    if folder := bundled(name):
        return folder
    if Path(name).exists():
        return Path(name)
    if not _HUB_ID.fullmatch(name):
        raise SeedxError(
            f"there is no {wanted.what} {name!r}: give a folder, a hub id such as 'organisation/name', or one of our "
            "own models"
        )
    return _download(name, wanted, hub or Hub())


def is_ours(place: Path, part: str) -> bool:
    """Whether a folder is one of this library's models that holds a part."""
    return place.is_dir() and (place / "config.json").is_file() and bool(weights.find(place, part))


def _download(name: str, wanted: Wanted, hub: Hub) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    options = dataclasses.asdict(hub) | {"ignore_patterns": list(wanted.others)}
    try:
        folder = Path(snapshot_download(name, allow_patterns=list(wanted.files[0]), **options))
        if not any(folder.rglob("*.safetensors")):
            folder = Path(snapshot_download(name, allow_patterns=list(wanted.files[1]), **options))
    except LocalEntryNotFoundError as error:
        where = "in the cache" if hub.local_files_only else "in the cache, and the hub can't be reached"
        raise SeedxError(f"the {wanted.what} {name!r} is no folder here, and not {where}") from error
    except HfHubHTTPError as error:
        reason = str(error).split("\n\n")[-1].splitlines()[0]
        raise SeedxError(f"the {wanted.what} {name!r} is no folder here and could not be fetched: {reason}") from error
    return folder
