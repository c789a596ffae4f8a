"""Whether the numbers of a config.json can be those of a model, before anything is built from them.

Types are those of `config.py`. Bounds are far above any model that this library runs, and low enough that modules of
these sizes can be made on the meta device: what costs there is the number of modules, not the size of a weight.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seedx.config import Config
from seedx.errors import SeedxError
from seedx.hints import fits, in_words

MOST_LAYERS = 1000
MOST = 10_000_000
LAYERS = ("layers", "depth", "layers_per_block", "transformer_layers_per_block", "decoder_layers_per_block")
NOT_NEGATIVE = ("bos", "eos", "pad", "coordinates", "alpha", "rank")  # ids and counts that may be 0


def check(config: Config, file: Path) -> Config:
    """
    Args:
        file: where it was read, for the message.

    Raises:
        SeedxError: a setting of another type, not finite, or beyond its bounds.
    """
    for path, value, hint in _settings(config):
        if not fits(value, hint):
            raise SeedxError(f"{file}: {path!r} must be {in_words(hint)}, not {_short(value)}")
        for name, number in _numbers(value, path):
            _check_number(name, float(number) if hint is float and abs(number) <= MOST else number, file)
    for path, width, heads in _widths(config):
        if width % heads:
            raise SeedxError(f"{file}: {path} {width} must be a multiple of its {heads} heads")
    return config


def _settings(config: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, value and type of every setting; a section of the wrong type is a setting itself."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _settings(value, f"{path}{field.name}.")
        else:
            yield f"{path}{field.name}", value, hints[field.name]


def _numbers(value: Any, path: str) -> Iterator[tuple[str, float]]:
    """The numbers of a setting and their paths, also within lists and dictionaries."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _numbers(inner, path)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value


def _check_number(path: str, number: float, file: Path) -> None:
    name = path.rpartition(".")[2]
    most = MOST_LAYERS if name in LAYERS else MOST
    if isinstance(number, float) and not math.isfinite(number):
        raise SeedxError(f"{file}: {path!r} must be finite, not {number}")
    if abs(number) > most:
        raise SeedxError(f"{file}: {path!r} must be at most {most:,}, not {_short(number)}")
    least = 0 if name in NOT_NEGATIVE else 1
    if isinstance(number, int) and number < least and path.count(".") < 2:  # deeper ones are diffusers' own
        raise SeedxError(f"{file}: {path!r} must be at least {least}, not {number}")


def _widths(config: Config) -> Iterator[tuple[str, int, int]]:
    language, vision = config.language, config.vision
    yield "language.hidden_size", language.hidden_size, language.heads
    yield "vision.width", vision.width, vision.heads


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # a whole number of over 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 40 else f"{text[:40]}..."
