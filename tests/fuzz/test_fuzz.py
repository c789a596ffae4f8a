"""A short form of `make fuzz`: each parser gives a result or its documented error, and nothing else."""

import pytest
from targets import SLOW, TARGETS

from fuzz import run

INPUTS = 60  # of each parser


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_every_parser_survives_junk(name):
    outcomes = [run(name, number) for number in range(INPUTS // 5 if name in SLOW else INPUTS)]
    assert any(outcomes), "no input is good: what is behind the first check is not tried"
