"""Which parts of a model are in memory. A part is read when it is first needed, and some leave for others.

    mapped    its tensors are views of its files, in the precision stored: they take no memory until they are used
    loaded    its tensors are on its device, in its precision; quantised or offloaded where the placement says so

Parts load by themselves when their modules are called: hooks from outside, so that the model stays plain modules. What
reads a module's attributes instead (its device, its precision, its weights) asks first: `Model.need("vae")`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from seedx.checkpoint import quantization, weights
from seedx.checkpoint.placement import Placement
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.language import Language
from seedx.model.seedx import SeedX

# Names in the module of a part that start so are stored with another part.
ELSEWHERE = {"bridge": ("vision.", "language."), "detokenizer": ("vae.",)}
STAGES = ("first_stage", "second_stage")  # names of the other stage of the de-tokenizer; see `native.other_name`
ADVICE = {
    "language": "it reads no text and draws only from pictures (`seedx reconstruct`)",
    "bridge": "it has no language side, and draws only from pictures (`seedx reconstruct`)",
}
OPTIONAL = tuple(ADVICE)  # a folder of the visual side alone is a model, too


class Residency:
    """The parts of one model.

    Attributes:
        loaded: names of the parts that are loaded, in the order in which they came.
    """

    def __init__(self, folder: Path, placement: Placement) -> None:
        self.folder, self.placement = folder, placement
        self.loaded: list[str] = []
        self._modules: dict[str, nn.Module] = {}
        self._lock = threading.RLock()

    def add(self, part: str, module: nn.Module) -> None:
        """Take care of a part: its weights are mapped.

        Raises:
            SeedxError: its files are missing or damaged, or do not fit the module.
        """
        self._modules[part] = module
        if part in OPTIONAL and not weights.find(self.folder, part):
            return
        self._assign(part, self._stored(part))

    def has(self, part: str) -> bool:
        """Whether the folder holds the part."""
        return part in self._modules and bool(weights.find(self.folder, part))

    def watch(self, seedx: SeedX, stage: Detokenizer | None = None) -> None:
        """Let parts load when their modules are called."""
        entries: list[tuple[str, nn.Module]] = []
        if stage is None:
            entries += [("vision", seedx.vision), ("language", seedx.language.llm.model.embed_tokens)]
            entries += [("bridge", seedx.input_resampler), ("bridge", seedx.output_resampler)]
        for part, module in entries:
            module.register_forward_pre_hook(self._entering(part), with_kwargs=True)

    def need(self, *parts: str) -> None:
        """Load what is not loaded; what may not be in memory beside it leaves.

        Raises:
            SeedxError: the model does not have a part, or a package that quantises is missing.
        """
        with self._lock:
            for part in parts:
                if part not in self.loaded:
                    self._load(part)

    @contextlib.contextmanager
    def using(self, *parts: str) -> Iterator[None]:
        """Parts that are loaded and stay so within the block, whatever other threads need."""
        alone = any(self._alone(part) for part in parts)
        with self._lock if alone else contextlib.nullcontext():
            self.need(*parts)
            yield

    def bytes_loaded(self, part: str) -> int:
        """Of a part's tensors as they are now."""
        return sum(t.untyped_storage().nbytes() for t in _own_tensors(part, self._modules[part]).values())

    def _alone(self, part: str) -> bool:
        return ("detokenizer" if part in STAGES else part) in self.placement.one_at_a_time

    def _load(self, part: str) -> None:
        if part not in self._modules or not weights.find(self.folder, part):
            advice = ADVICE.get(part, "save or convert the model again")
            raise SeedxError(f"{self.folder} holds no {part}.safetensors: {advice}")
        if self._alone(part):
            for other in [each for each in self.loaded if self._alone(each)]:
                self._assign(other, self._stored(other))
                self.loaded.remove(other)
        module, home = self._modules[part], "detokenizer" if part in STAGES else part
        dtype, device = getattr(torch, self.placement.dtype_of(home)), self.placement.device_of(home)
        offloaded = home in self.placement.offload
        stored = self._stored(part)
        if part == "language" and self.placement.quantised:
            quantization.library(self.placement.language, device)
            stored = self._quantised(module, stored, dtype, device)
        moved = {}
        for name in list(stored):
            tensor = stored.pop(name)
            moved[name] = tensor.to("cpu" if offloaded else device, dtype)
            if moved[name] is not tensor:
                weights.let_go(tensor)
        self._assign(part, moved)
        if offloaded:
            _offload(module, device, skip=ELSEWHERE.get(home, ()))
        self.loaded.append(part)

    def _quantised(
        self, module: nn.Module, stored: dict[str, Tensor], dtype: torch.dtype, device: str
    ) -> dict[str, Tensor]:
        """Replace the layers that are quantised; the tensors of the others."""
        rest = {}
        for name, tensor in stored.items():
            if layer := quantization.quantised_name(name):
                quantization.quantise(module, layer, tensor.to(dtype), self.placement.language, device)
                weights.let_go(tensor)
            else:
                rest[name] = tensor
        return rest

    def _stored(self, part: str) -> dict[str, Tensor]:
        """A part's tensors, mapped from its files and checked against its module."""
        tensors = weights.read(*weights.find(self.folder, part))
        if part not in self.loaded:
            weights.check(tensors, _own_tensors(part, self._modules[part]), f"{self.folder.name}/{part}")
        return tensors

    def _assign(self, part: str, tensors: Mapping[str, Tensor]) -> None:
        module, elsewhere = self._modules[part], ELSEWHERE.get("detokenizer" if part in STAGES else part, ())
        module.load_state_dict(tensors, strict=False, assign=True)
        if isinstance(module, Language) and module.config.tie_embeddings:
            module.llm.tie_weights()
        device = next(iter(tensors.values())).device
        for name, inner in module.named_modules():
            for key in inner._non_persistent_buffers_set:
                if not f"{name}.".startswith(elsewhere) and (buffer := inner._buffers[key]) is not None:
                    inner._buffers[key] = buffer.to(device)

    def _entering(self, part: str) -> Any:
        """A hook: the part is loaded, and what its module is called with is on its device."""
        device = torch.device(self.placement.device_of(part))

        def before(module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
            self.need(part)
            return tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, (args, kwargs))  # type: ignore[no-any-return]

        return before


def _own_tensors(part: str, module: nn.Module) -> dict[str, Tensor]:
    """The tensors that a part stores, of `module`."""
    elsewhere = ELSEWHERE.get("detokenizer" if part in STAGES else part, ())
    if isinstance(module, Language) and module.config.tie_embeddings:
        elsewhere = ("llm.lm_head.",)
    return {name: tensor for name, tensor in module.state_dict().items() if not name.startswith(elsewhere)}


def _offload(module: nn.Module, device: str, skip: tuple[str, ...]) -> None:
    """Weights in RAM; a block at a time is on the device while it runs."""
