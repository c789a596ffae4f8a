"""A grammar of wordings: rules of many alternatives, which name other rules in braces.

    RULES = {"how_many": ("{count_verb} {the_xs}", "how many {xs} {are_there}"), "are_there": ("are there", ...), ...}
    Wording(rng).say("how_many", xs="dogs")        # "how many dogs do you see in this picture?"

A tenth of the alternatives is held out by a hash: training never uses them, evaluation asks with at least one of them.
Names of things are no alternatives of rules (`nouns.py`): nobody can know a word that was never met.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Mapping
from typing import Literal

Rules = Mapping[str, tuple[str, ...]]
Wordings = Literal["seen", "held_out", "any"]

HELD_OUT = 0.1  # the share of alternatives
FEWEST = 3  # alternatives of a rule of which one may be held out
_SLOT = re.compile(r"\{(\w+)\}")


def is_held_out(rule: str, alternative: str) -> bool:
    """Whether an alternative of a rule never occurs in training."""
    return zlib.crc32(f"{rule}|{alternative}".encode()) / 2**32 < HELD_OUT


class Wording:
    """Says things in words of the grammar, and remembers whether a held-out alternative was used.

    Args:
        wordings: "seen": what training uses; "held_out": at least one alternative that it does not use in every text,
            where the text's rules have one; "any": as they come.
    """

    def __init__(self, rng: random.Random, rules: Rules, wordings: Wordings = "seen") -> None:
        self.rng, self.rules, self.wordings = rng, rules, wordings
        self.held_out = False  # whether a held-out alternative is in the parts so far
        self.said_held_out = False  # whether one was in the last text

    def say(self, rule: str, **values: str) -> str:
        """A text of a rule; `values` fill what is no rule.

        >>> Wording(random.Random(0), {"hi": ("hello {who}",)}).say("hi", who="you")
        'hello you'
        """
        inside = self.held_out  # by `part`, in one of the values
        for _ in range(200):
            self.held_out = inside
            text = re.sub(r"\s+", " ", self._expand(rule, values)).replace(" ?", "?").replace(" ,", ",").strip()
            if self.wordings != "held_out" or self.held_out:
                break
        self.said_held_out, self.held_out = self.held_out, False
        return text

    def part(self, rule: str, **values: str) -> str:
        """A part of the text that `say` says next, as one of its values."""
        return self._expand(rule, values)

    def _expand(self, rule: str, values: Mapping[str, str]) -> str:
        alternative = self._pick(rule)
        return _SLOT.sub(
            lambda slot: values[slot[1]] if slot[1] in values else self._expand(slot[1], values), alternative
        )

    def _pick(self, rule: str) -> str:
        every = self.rules[rule]
        away = [each for each in every if is_held_out(rule, each)] if len(set(every)) >= FEWEST else []
        known = [each for each in every if each not in away]
        if self.wordings == "any":
            chosen = self.rng.choice(every)
        elif self.wordings == "held_out" and away and (not known or self.rng.random() < 0.5):
            chosen = self.rng.choice(away)
        else:
            chosen = self.rng.choice(known or list(every))
        self.held_out |= chosen in away
        return chosen


def held_out_parts(rules: Rules) -> list[tuple[str, str]]:
    """Every alternative that training never uses, with its rule."""
    return [
        (rule, each)
        for rule, every in rules.items()
        if len(set(every)) >= FEWEST
        for each in dict.fromkeys(every)
        if is_held_out(rule, each)
    ]
