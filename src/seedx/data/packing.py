"""The choice of waiting documents that fill the next row best.

Documents of any length are put into rows of one length; what is left of a row is padding, work for nothing. Among a
dozen waiting documents there is nearly always a set that fills a row to the last few tokens, and finding the best one
is cheap: the lengths that can be reached are the bits of a whole number, and taking a document shifts them.

    lengths 4 3 2, rows of 6    0b10000 {4}  ->  0b10010000 {4, 7}: 7 is over  ->  0b1010000 {4, 6}: rows 0 and 2

The document that has waited longest is always in the next row, so none waits forever.
"""

from __future__ import annotations

from collections.abc import Sequence


def fill(lengths: Sequence[int], room: int) -> list[int]:
    """Places, in order, of the documents whose lengths together come nearest to `room` without passing it.

    The first document is always among them; of equally good sets, it is one that prefers those who came first.

    Raises:
        ValueError: the first document alone is longer than the row.
    """
    if not 0 < lengths[0] <= room:
        raise ValueError(f"a row of {room} tokens holds documents of 1 to {room} tokens, not one of {lengths[0]}")
    within = (1 << room + 1) - 1
    reached = [1 << lengths[0]]  # bit n of reached[i]: some of the documents up to i, the first included, have n tokens
    for length in lengths[1:]:
        reached.append((reached[-1] | reached[-1] << length) & within)
    total = reached[-1].bit_length() - 1
    chosen = [0]
    for i in range(len(lengths) - 1, 0, -1):
        if not reached[i - 1] >> total & 1:
            chosen.append(i)
            total -= lengths[i]
    return sorted(chosen)
