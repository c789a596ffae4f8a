"""What a rank that fails says, and how torchrun comes to show the cause."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from seedx.train.engine.parallel import World

log = logging.getLogger(__name__)
# A rank that only lost another one waits for so long: torchrun stops at the first rank that ends, and shows its error.
ROOT_CAUSE_SECONDS = 3.0


@contextlib.contextmanager
def report_failure(world: World) -> Iterator[None]:
    """Log which rank failed and why, in this process and in torchrun's summary; the exception is raised on."""
    handler = get_error_handler()
    try:
        yield
    except Exception as error:
        if world.size > 1:
            cause = "lost the connection to another rank" if _lost(error) else f"{type(error).__name__}: {error}"
            log.error("rank %d of %d failed: %s. The last checkpoint is kept.", world.rank, world.size, cause)
            handler.record_exception(error)
            if _lost(error):
                time.sleep(ROOT_CAUSE_SECONDS)
        raise


def _lost(error: Exception) -> bool:
    """Whether the connection to another rank broke."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))
