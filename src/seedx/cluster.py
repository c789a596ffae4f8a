"""Ray, connected to a cluster or started here as small as it gets."""

from __future__ import annotations

import logging
import os
from typing import Any

from seedx.errors import MissingPackageError

OBJECT_STORE = 200_000_000  # bytes of shared memory of a Ray that is started here: a few batches of pictures


def start_ray(cpus: float) -> Any:
    """The module `ray`, connected to the cluster that RAY_ADDRESS names (`ray job submit` sets it), or started on this
    machine, without its dashboard and its reports of use.

    Args:
        cpus: that actors will ask for; Ray counts more than the machine has, if need be.

    Raises:
        MissingPackageError: Ray is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")
    os.environ.setdefault("RAY_SERVE_LOG_TO_STDERR", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingPackageError('Ray is missing: pip install "seedx[ray]"') from error
    if os.environ.get("RAY_ADDRESS"):
        ray.init(log_to_driver=False, logging_level=logging.ERROR)
    else:
        ray.init(
            num_cpus=max(os.cpu_count() or 1, int(cpus + 1)),  # one is for the rest
            object_store_memory=OBJECT_STORE,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    return ray


def use_granted_threads() -> None:
    """In an actor: torch computes by as many threads as the actor was given CPUs; Ray says so by OMP_NUM_THREADS."""
    import torch

    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
