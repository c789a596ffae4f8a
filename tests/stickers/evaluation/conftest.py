from types import SimpleNamespace

import pytest
from known import SEED, N, Oracle

from seedx_stickers.evaluation import evaluate_stickers
from seedx_stickers.evaluation.report import Report


@pytest.fixture(scope="session")
def perfect():
    """All abilities of a model that is always right: its scores, the model, and the report on it."""
    oracle, report = Oracle(), Report()
    scores = evaluate_stickers(oracle, SEED, N, batch=3, trained=6, watch=report.add)
    return SimpleNamespace(scores=scores, oracle=oracle, report=report)
