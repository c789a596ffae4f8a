"""Settings that are no finite number of their type and range are an error before any work starts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from seedx.checks import all_finite, integer, number
from seedx.errors import SeedxError
from seedx.inference.settings import DrawSettings, Settings


def test_numpys_floats_are_plain_ones():
    for value in (np.float64(0.5), np.float32(0.5)):
        assert type(number("x", value)) is float and number("x", value) == 0.5


def test_numpys_numbers_are_numbers() -> None:
    made = Settings(seed=np.int64(3), steps=np.int32(4), size=np.array([96, 64]).tolist(), temperature=np.float32(0.5))
    assert made == Settings(seed=3, steps=4, size=(96, 64), temperature=0.5)
    assert type(made.seed) is int and type(made.temperature) is float
    assert Settings(size=(np.int64(96), np.int64(64))).size == (96, 64)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"guidance": math.nan}, "guidance must be a finite number, not nan"),
        ({"image_guidance": math.inf}, "image_guidance must be a finite number"),
        ({"temperature": math.nan}, "temperature must be a finite number"),
        ({"temperature": -1}, "temperature must be at least 0"),
        ({"top_p": 1.5}, "top_p must be at most 1"),
        ({"top_p": 0}, "top_p is more than 0"),
        ({"seed": 1.5}, "seed must be of type int, not 1.5"),
        ({"seed": 2**64}, "seed must be at most"),
        ({"steps": True}, "steps must be of type int, not True"),
        ({"steps": "4"}, "steps must be of type int, not '4'"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1"),
        ({"size": 96}, "size is a width and a height"),
        ({"size": (96, 96, 96)}, "size is a width and a height"),
        ({"size": (96, 10**9)}, "a side of size must be at most"),
        ({"sampler": 3}, "sampler is the name"),
        ({"guidance": "high"}, "guidance must be of type float"),
    ],
)
def test_settings_are_checked(setting: dict[str, object], problem: str) -> None:
    with pytest.raises(SeedxError, match=problem):
        Settings(**setting)  # type: ignore[arg-type]


def test_the_settings_of_drawing_are_checked_alone() -> None:
    with pytest.raises(SeedxError, match="guidance"):
        DrawSettings(guidance=math.nan)


def test_an_int_of_400_digits_is_no_number() -> None:
    with pytest.raises(SeedxError, match="finite") as caught:
        number("lr", 10**400)
    assert len(str(caught.value)) < 200
    with pytest.raises(SeedxError, match="a number of type int"):
        number("lr", 10**5000)
    assert integer("n", np.uint8(3)) == 3


def test_values_within_tables_are_found_by_their_path() -> None:
    all_finite("options", {"a": [1.0, {"b": 2.0}]})
    with pytest.raises(SeedxError, match=r"options\.a\.1\.b"):
        all_finite("options", {"a": [1.0, {"b": math.inf}]})
