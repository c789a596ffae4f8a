"""How much of the machine a step uses: its multiplications against those of plain matrix products (MFU)."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices


def flops(run: Callable[[], object]) -> int:
    """Floating point operations of matrix products, convolutions and attention in one run, backward included."""
    counter = FlopCounterMode(display=False)
    with counter, torch.compiler.set_stance("force_eager"):  # compiled code can't be looked into
        run()
    return counter.get_total_flops()


def matrix_speed(device: torch.device, dtype: torch.dtype, repeats: int = 5) -> float:
    """FLOP/s of this device's products of square matrices, the best of a few."""
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
