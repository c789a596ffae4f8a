"""FLOPs of a step, the FLOP/s to compare them with (the GPU vendor's peak, and that measured on this device), and the
memory of the process.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from seedx.train.planning.clusters import vendor_peak

GIB = 1024**3
SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices


def count_flops(run: Callable[[], object]) -> int:
    """Floating point operations of matrix products, convolutions and attention in one run, backward included."""
    counter = FlopCounterMode(display=False)
    with counter, torch.compiler.set_stance("force_eager"):  # compiled code can't be counted
        run()
    return counter.get_total_flops()


def measured_peak(device: torch.device, dtype: torch.dtype, repeats: int = 5) -> float:
    """FLOP/s of a product of large square matrices on this device, the best of a few."""
    side = SIDE.get(device.type, 4096)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds[1:])  # the first one warms up


def stated_peak(device: torch.device, dtype: torch.dtype) -> float | None:
    """FLOP/s that the vendor states for a device; None if unknown, as for a CPU."""
    if device.type != "cuda" or dtype != torch.bfloat16:
        return None
    return vendor_peak(torch.cuda.get_device_name(device))


def peak_memory(device: torch.device) -> float:
    """GiB: the most that this process has held since its start, or, on a GPU, that torch's allocator has reserved."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / GIB
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / GIB if sys.platform == "darwin" else used * 1024 / GIB
