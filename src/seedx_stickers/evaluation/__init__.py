"""Evaluation: a model is asked about held-out scenes, and its answers are scored beside chance and a simple baseline.

    abilities.py     the table: what is measured, with which examples, how asked, how scored, against what
    run.py           asks, scores and averages
    shifts.py        pictures unlike any in training
    table.py, report.py    the scores for a terminal, and as a page with pictures

Nothing here knows a model but by the two verbs of `model.py`.
"""

from seedx_stickers.evaluation.abilities import ABILITIES, item_of
from seedx_stickers.evaluation.run import Record, evaluate_stickers
from seedx_stickers.evaluation.table import FLOORS, as_table

__all__ = ["ABILITIES", "FLOORS", "Record", "as_table", "evaluate_stickers", "item_of"]
