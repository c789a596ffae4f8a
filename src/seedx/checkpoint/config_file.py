"""config.json of a model folder."""

from __future__ import annotations

import json
from pathlib import Path

from seedx import config as configuration
from seedx.checkpoint import sane
from seedx.config import Config
from seedx.damage import read_json_object
from seedx.deprecated import without_retired
from seedx.errors import SeedxError


def read_config(folder: Path) -> Config:
    """
    Raises:
        SeedxError: there is no config.json, it is damaged or not JSON, or it has a setting that is unknown or absurd.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise SeedxError(f"{str(folder)!r} is no model folder: it has no config.json; `seedx convert` makes one")
    values = read_json_object(file)
    try:
        config = configuration.from_dict(Config, without_retired(values))
    except (SeedxError, TypeError) as error:
        raise SeedxError(f"{file}: {error}") from error
    return sane.check(config, file)


def write_config(config: Config, folder: Path) -> None:
    text = json.dumps(configuration.to_dict(config), indent=2)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
