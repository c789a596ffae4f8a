"""Takes the place of `Denoising` where a test is about which stage would draw, and with what."""

from __future__ import annotations

from typing import Any

import torch


def noting(calls: list[tuple[Any, bool]], note: Any) -> type:
    """A class that appends (`note(de-tokenizer)`, whether there was a condition) to `calls`, and draws black images."""

    class Noted:
        steps = 1

        def __init__(self, detokenizer, features, negative, seeds, *, size, condition, **settings):
            calls.append((note(detokenizer), condition is not None))
            self.images, self.number = torch.zeros(len(seeds), 3, *size), 0

        @property
        def done(self):
            return self.number == self.steps

        def step(self):
            self.number += 1

        def pixels(self):
            return self.images

    return Noted
