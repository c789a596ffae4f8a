"""The files beside a tokenizer: its added tokens, and which tokens start, end and pad a sequence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from seedx.damage import read_json_object
from seedx.errors import SeedxError, shorten

Roles = Mapping[str, str]  # "bos", "eos", "pad" -> name of the token
ROLE_FILES = ("special_tokens_map.json", "tokenizer_config.json")  # the first that names a role counts


def read_added(file: Path) -> dict[str, int] | None:
    if not file.is_file():
        return None
    added = read_json_object(file)
    wrong = [token for token, number in added.items() if not isinstance(number, int) or number < 0]
    if wrong:
        raise SeedxError(
            f"{file} must give each token a number, and {shorten(wrong[0])} has {shorten(added[wrong[0]])}"
        )
    return added


def read_roles(folder: Path) -> dict[str, str]:
    """The tokens that a folder names as BOS, EOS and padding."""
    roles: dict[str, str] = {}
    for file in (folder / name for name in ROLE_FILES):
        named = read_json_object(file) if file.is_file() else {}
        for role in ("bos", "eos", "pad"):
            token = named.get(f"{role}_token")
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                roles.setdefault(role, token)
    return roles


def write_roles(folder: Path, roles: Roles) -> None:
    named = {f"{role}_token": token for role, token in roles.items()}
    (folder / ROLE_FILES[0]).write_text(json.dumps(named, indent=1) + "\n", encoding="utf-8")
