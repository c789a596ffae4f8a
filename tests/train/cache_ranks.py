"""What the processes of `test_feature_cache.py` run."""

import torch
from toy import joined

from seedx.train.engine.parallel import shutdown
from seedx.train.feature_cache.arrays import CHUNK, cached_arrays

ROWS = 3 * CHUNK - 7


def one_rank(rank, size, port, base):
    """Rows by three keys, the second time from the file; `base` then has the ranges that this rank computed."""
    ranks, computed = joined(rank, size, port), []

    def squares(rows):
        computed.append((rows.start, rows.stop))
        return {"squares": torch.tensor([row * row for row in rows])}

    for key in ("one", "one", "another"):
        found = cached_arrays(base / "cache", "squares", key, ROWS, squares)
        assert found["squares"].tolist() == [row * row for row in range(ROWS)]
    (base / f"rank-{rank}.txt").write_text(str(computed))
    shutdown(ranks)
