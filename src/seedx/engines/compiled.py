"""Compiled code, from outside the model: passes of one token a row, and the U-Net.

Code is compiled when it first runs, which takes a C++ compiler and from seconds to minutes, and again when the number
of rows or the size of pictures changes for the first time. It is kept for the process, and by torch on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from seedx.checkpoint.placement import Placement
from seedx.errors import SeedxError
from seedx.model.cache import Cache, StaticCache
from seedx.model.detokenizer import Detokenizer
from seedx.model.language import Language


class StaticPasses:
    """What passes of one token a row need to keep their shapes and addresses from one reply to the next.

    Args:
        compiled: by torch.compile, on a GPU as CUDA graphs.
    """

    def __init__(self, language: Language, compiled: bool, device: str = "cpu") -> None:
        self._graphs = compiled and torch.device(device).type == "cuda"
        self._blocks: Callable[..., Tensor] = language.blocks
        if compiled:
            self._blocks = torch.compile(language.blocks, mode="reduce-overhead" if self._graphs else None)
        self._layers = language.config.layers
        self._free: list[Cache] = []

    def run(self, embeds: Tensor, positions: Tensor, cache: Cache, first: int, starts: Sequence[int]) -> Tensor:
        """A pass of one token a row, as `Language.states`."""
        mask = cache.place(positions, first, starts)
        if not self._graphs:
            return self._blocks(embeds, positions, mask, cache=cache)
        for held in (*cache.keys, *cache.values):
            torch._dynamo.mark_static_address(held)  # a graph may then write into it
        return self._blocks(embeds, positions, mask, cache=cache).clone()  # the next replay writes there again

    def take(self) -> Cache:
        """The cache that was given back last, memory and all, or a new one."""
        try:
            return self._free.pop()
        except IndexError:
            return StaticCache(self._layers)

    def give_back(self, cache: Cache) -> None:
        """A cache without rows. One is kept."""
        self._free[:] = [cache]


def compile_unet(stage: Detokenizer) -> None:
    """Let the U-Net's passes run compiled. Calling it again changes nothing."""
    if "forward" not in vars(stage.unet):
        setattr(stage.unet, "forward", torch.compile(stage.unet.forward))  # noqa: B010  mypy: a method


def check_compilable(where: Placement, adapters: bool) -> None:
    """
    Raises:
        SeedxError: there is no compiler, or hooks that compiled code would leave out.
    """
    if adapters:
        raise SeedxError("compile=True can't switch adapters: merge one into the model, save it, and load that")
    if where.offload or where.quantised:
        raise SeedxError(
            'compile=True needs weights that are neither quantised nor offloaded: load the model with memory="full"'
        )
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++", "cl")):
        raise SeedxError("compile=True needs a C++ compiler, and none is found: install g++, or leave compile out")
