"""`Meter`: what a training step costs, from running it on tensors without data.

Every operation of a step (backward and recomputation included) passes a dispatch mode, on fake tensors, so a 17B model
is metered in seconds and in no memory:
    flops        of matrix products, convolutions and attention, by torch's own formulas (`torch.utils.flop_counter`),
                 credited to the part of the model whose module was running
    peak         the most bytes that were alive at once of what the step itself made: activations, temporaries and
                 gradients, not the weights
    operations   operations by their cost: FLOPs, bytes read and written, for a roofline of time

Attention is counted in full, as torch does: a causal or document mask spares a kernel some work, a formula none.
"""

from __future__ import annotations

import bisect
import functools
import weakref
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from torch.utils.weak import WeakIdKeyDictionary

OTHER = "other"


@dataclass(frozen=True)
class Operation:
    """
    Attributes:
        kind: "matrix", "convolution", "random" (a random number for each element) or "elementwise".
        dtype: in which it is done: that of its result.
        flops: multiplications and additions; 0 for the last two kinds.
        bytes: read and written.
        new: bytes of memory that it was given for its results.
    """

    kind: str
    dtype: torch.dtype
    flops: int
    bytes: int
    new: int


@dataclass
class Measured:
    """The meter's reading; see the top of the file."""

    flops: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    operations: Counter[Operation] = field(default_factory=Counter)


class Meter(TorchDispatchMode):
    """A context; `reading` holds what ran inside it.

    Args:
        model: whose modules run. It keeps the meter's hooks: meter a model once.
        parts: part of the model by a prefix of its modules' names, as "vision" -> "visual tokenizer"; the longest that
            fits counts.
    """

    def __init__(self, model: nn.Module, parts: Mapping[str, str]) -> None:
        super().__init__()
        self.reading = Measured()
        self.live = 0
        self._known: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._running: list[str] = []
        self._since = [0]  # numbers of autograd's nodes (they count up) from which on those of `_whose` were made
        self._whose = [OTHER]
        for name, module in model.named_modules():
            fitting = [prefix for prefix in parts if f"{name}.".startswith(f"{prefix}.")]
            if fitting:
                module.register_forward_pre_hook(functools.partial(self._enter_part, parts[max(fitting, key=len)]))
                module.register_forward_hook(self._leave_part, always_call=True)  # recomputation ends by an exception

    def _enter_part(self, part: str, *_: Any) -> None:
        self._running.append(part)
        self._mark(part)

    def _leave_part(self, *_: Any) -> None:
        self._running.pop()
        self._mark(self._running[-1] if self._running else OTHER)

    def _mark(self, part: str) -> None:
        if part != self._whose[-1]:
            self._since.append(torch.autograd._get_sequence_nr())
            self._whose.append(part)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        for tensor in read:
            self._known.setdefault(tensor.untyped_storage(), None)  # was there before: not ours
        out = func(*args, **kwargs)
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        new = sum(self._allocate(tensor.untyped_storage()) for tensor in made)
        if made and not func.is_view:
            formula = flop_registry.get(func.overloadpacket)
            flops = int(formula(*args, **kwargs, out_val=out)) if formula else 0
            kind = _kind(func, flops)
            moved = sum(tensor.numel() * tensor.element_size() for tensor in (*read, *made))
            self.reading.operations[Operation(kind, made[0].dtype, flops, moved, new)] += 1
            if flops:
                self.reading.flops[self._part()] += flops
        return out

    def _allocate(self, storage: Any) -> int:
        """Bytes of a storage that is new to us."""
        if storage in self._known:
            return 0
        self._known[storage] = None
        self.live += storage.nbytes()
        self.reading.peak = max(self.reading.peak, self.live)
        weakref.finalize(storage, self._release, storage.nbytes())
        return storage.nbytes()

    def _release(self, size: int) -> None:
        self.live -= size

    def _part(self) -> str:
        """Whose operation this is: of the module that runs, or, going backward, of the one that ran then."""
        node = torch._C._current_autograd_node()
        if self._running or node is None:
            return self._running[-1] if self._running else OTHER
        return self._whose[bisect.bisect(self._since, node._sequence_nr()) - 1]


def _kind(operation: Any, flops: int) -> str:
    if flops:
        return "convolution" if "conv" in operation.__name__ else "matrix"
    return "random" if torch.Tag.nondeterministic_seeded in operation.tags else "elementwise"
