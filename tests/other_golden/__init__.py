"""Other folders of golden cases, in the release's format and of any sizes, computed here in independent ways.

Names of weights come through `release.to_release`. What they should give is computed from the official names in plain
loops, by transformers' and diffusers' own classes, one token after the other, and never by the code that `verify` runs.
"""

from other_golden import losses, models, pictures, texts
from other_golden.models import Sizes

__all__ = ["MAKERS", "Sizes", "make"]

MAKERS = {
    "a": lambda folder, sizes, words: models.vit(folder, sizes),
    "b": lambda folder, sizes, words: models.resampler(folder, sizes),
    "c": losses.losses,
    "d": losses.answers,
    "e_resampler": lambda folder, sizes, words: pictures.resampler(folder, sizes),
    "e_adapter": lambda folder, sizes, words: pictures.adapter(folder, sizes),
    "e_sampling": lambda folder, sizes, words: pictures.sampling(folder, sizes),
    "f": lambda folder, sizes, words: texts.grids(folder, sizes),
    "g": texts.calls,
}


def make(folder, sizes, kinds=tuple(MAKERS)):
    """Write the cases of some kinds, with a tokenizer and pictures of their own."""
    words = texts.shared(folder, sizes)
    for kind in kinds:
        MAKERS[kind](folder, sizes, words)
