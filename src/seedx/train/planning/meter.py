"""`Meter`: the FLOPs and the peak memory of a training step, from running it on tensors without data.

Every operation of a step, backward and recomputation included, passes through a dispatch mode. On fake tensors a 17B
model is measured without allocating it:
    flops        of matrix products, convolutions and attention, by torch's own formulas (`torch.utils.flop_counter`),
                 credited to the part of the model whose module was running
    peaks        bytes: the most that were allocated at once by the step itself while each part ran (activations,
                 temporaries and gradients; not the weights)
    operations   operations by cost (FLOPs, bytes read and written), for a roofline of time

Attention is counted in full, as torch does: a causal or document mask saves a kernel some work, a formula none.
"""

from __future__ import annotations

import bisect
import functools
import re
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
FUNCTIONS = re.compile(r"_?(log_)?(gelu|silu|softmax|exp|tanh|sigmoid|sin|cos)(_|$)")  # in place and backward, too


@dataclass(frozen=True)
class Operation:
    """
    Attributes:
        kind: "matrix", "convolution", "random" (a random number for each element), "function" (an exponential or the
            like for each element) or "elementwise".
        dtype: of the result.
        flops: multiplications and additions; 0 for the last three kinds.
        bytes: read and written.
        new: bytes allocated for the result.
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
    peaks: Counter[str] = field(default_factory=Counter)
    operations: Counter[Operation] = field(default_factory=Counter)

    @property
    def peak(self) -> int:
        """Bytes, over all parts."""
        return max(self.peaks.values(), default=0)


class Meter(TorchDispatchMode):
    """A context manager; `reading` holds what ran inside it.

    Args:
        model: the model that runs. It keeps the meter's hooks: measure a model only once.
        parts: part of the model by a prefix of its modules' names, such as "vision" -> "visual tokenizer"; the longest
            matching prefix counts.
    """

    def __init__(self, model: nn.Module, parts: Mapping[str, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reading = Measured()
        self.live = 0
        self._known: Any = WeakIdKeyDictionary()
        self._running: list[str] = []
        # Autograd numbers its nodes upwards: those from `_since[i]` on, up to `_since[i + 1]`, belong to `_owner[i]`.
        self._since = [0]
        self._owner = [OTHER]
        for name, module in model.named_modules():
            matching = [prefix for prefix in parts if f"{name}.".startswith(f"{prefix}.")]
            if matching:
                module.register_forward_pre_hook(functools.partial(self._enter_part, parts[max(matching, key=len)]))
                module.register_forward_hook(self._leave_part, always_call=True)  # recomputation ends by an exception

    def _enter_part(self, part: str, *_: Any) -> None:
        self._running.append(part)
        self._mark(part)

    def _leave_part(self, *_: Any) -> None:
        self._running.pop()
        self._mark(self._running[-1] if self._running else OTHER)

    def _mark(self, part: str) -> None:
        if part != self._owner[-1]:
            self._since.append(torch.autograd._get_sequence_nr())  # type: ignore[attr-defined]
            self._owner.append(part)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        for tensor in read:
            self._known.setdefault(tensor.untyped_storage(), None)  # allocated before the step
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
        """Bytes of a storage that is new."""
        if storage in self._known:
            return 0
        self._known[storage] = None
        size, part = int(storage.nbytes()), self._part()
        self.live += size
        self.reading.peaks[part] = max(self.reading.peaks[part], self.live)
        weakref.finalize(storage, self._release, size)
        return size

    def _release(self, size: int) -> None:
        self.live -= size

    def _part(self) -> str:
        """The part of the running module or, in the backward pass, of the module that created the autograd node."""
        node = torch._C._current_autograd_node()
        if self._running or node is None:
            return self._running[-1] if self._running else OTHER
        return self._owner[bisect.bisect(self._since, node._sequence_nr()) - 1]


def _kind(operation: Any, flops: int) -> str:
    if flops:
        return "convolution" if "conv" in operation.__name__ else "matrix"
    if torch.Tag.nondeterministic_seeded in operation.tags:
        return "random"
    return "function" if FUNCTIONS.match(operation.overloadpacket.__name__) else "elementwise"
