"""Evaluation on held-out scenes: the scores of a model beside those of chance and of a simple baseline.

    abilities.py           the table of abilities: examples, protocol, scores and baseline of each
    ability.py             what an ability is
    outside.py             abilities outside of the templates' world: other words, looks, what is absent or unknown
    protocols.py           how examples are presented to a model
    scores.py              the scores of an answer
    run.py                 runs the protocols and averages the scores
    shifts.py              pictures out of the training distribution
    table.py, report.py    the scores for a terminal, and as an HTML report with pictures

A model is known here only by the two methods of `model.py`.
"""

from seedx_stickers.evaluation.abilities import ABILITIES, EVERY, item_of
from seedx_stickers.evaluation.run import Record, evaluate_stickers
from seedx_stickers.evaluation.table import FLOORS, as_table

__all__ = ["ABILITIES", "EVERY", "FLOORS", "Record", "as_table", "evaluate_stickers", "item_of"]
