"""Which parts of a model are in memory. A part is read when it is first needed, and some leave for others.

    mapped    its tensors are views of its files, in the precision stored: they take no memory until they are used
    loaded    its tensors are on its device, in its precision; quantised or offloaded where the placement says so

Parts load by themselves when their modules are called: hooks from outside, so that the model stays plain modules. What
reads a module's attributes instead (its device, its precision, its weights) asks first: `Model.need("vae")`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from seedx.checkpoint import mapped, quantization, weights
from seedx.checkpoint.parts import part_state
from seedx.checkpoint.placement import Placement
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.language import Language

ADVICE = {  # what a folder without the part is; without any other, the folder is damaged
    "language": "text needs one; `seedx reconstruct` does not",
    "bridge": "text needs one; `seedx reconstruct` does not",
}


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
        if part in ADVICE and not weights.find(self.folder, part):
            return
        tensors = self._stored(part)
        weights.check(tensors, part_state(_kind(part), module), f"{self.folder.name}/{part}")
        self._assign(part, tensors)
        for entry in _entries(_kind(part), module):
            entry.register_forward_pre_hook(self._entering(part), with_kwargs=True)

    def need(self, *parts: str) -> None:
        """Load what is not loaded; what may not be in memory beside it leaves.

        Raises:
            SeedxError: the model does not have a part, or a package that quantises is missing.
        """
        with self._lock:
            for part in parts:
                if part not in self.loaded:
                    self._load(part)

    def _load(self, part: str) -> None:
        module, home = self._modules.get(part), _kind(part)
        if module is None or not weights.find(self.folder, part):
            raise SeedxError(
                f"{self.folder} holds no {part}.safetensors: {ADVICE.get(part, 'convert the model again')}"
            )
        self._make_room(home)
        dtype, device = getattr(torch, self.placement.dtype_of(home)), self.placement.device_of(home)
        stored = self._stored(part)
        report = mapped.forgetting(weights.find(self.folder, part), None)
        if part == "language" and self.placement.quantised:
            stored = self._quantised(module, stored, dtype, device)
        moved = {}
        for name in list(stored):
            tensor = stored.pop(name)
            moved[name] = tensor.to("cpu" if _stays(home, name, self.placement) else device, dtype)
            if moved[name] is not tensor:
                report(part, tensor.nbytes)
        self._assign(part, moved, device)
        if home in self.placement.offload:
            _offload(module, device)
        if isinstance(module, Detokenizer):
            _set_tiles(module, self.placement)
        self.loaded.append(part)

    def _make_room(self, home: str) -> None:
        """Parts that may not be in memory beside this one are mapped again."""
        alone = self.placement.one_at_a_time
        for other in [each for each in self.loaded if home in alone and _kind(each) in alone]:
            self._assign(other, self._stored(other))
            self.loaded.remove(other)

    def _quantised(
        self, module: nn.Module, stored: dict[str, Tensor], dtype: torch.dtype, device: str
    ) -> dict[str, Tensor]:
        """Replace the layers that are quantised; the tensors of the others."""
        kind, rest = self.placement.language, {}
        quantization.library(kind, device)
        report = mapped.forgetting(weights.find(self.folder, "language"), None)
        for name, tensor in stored.items():
            if layer := quantization.quantised_name(name):
                quantization.quantise(module, layer, tensor.to(dtype), kind, device)
                report("language", tensor.nbytes)
            else:
                rest[name] = tensor
        return rest

    def _stored(self, part: str) -> dict[str, Tensor]:
        """A part's tensors, mapped from its files.

        Raises:
            SeedxError: they are not there, or damaged.
        """
        files = weights.find(self.folder, part)
        if not files:
            raise SeedxError(f"{self.folder} holds no {part}.safetensors; save or convert the model again")
        return weights.read(*files)

    def _assign(self, part: str, tensors: Mapping[str, Tensor], device: str = "cpu") -> None:
        module = self._modules[part]
        module.load_state_dict(tensors, strict=False, assign=True)
        if isinstance(module, Language):
            if module.config.tie_embeddings:
                module.llm.tie_weights()
            module.llm.model.rotary_emb.to(device)  # its buffer is stored nowhere

    def _entering(self, part: str) -> Any:
        """A hook: the part is loaded, and what its module is called with is on its device."""
        device = torch.device(self.placement.device_of(_kind(part)))

        def before(module: nn.Module, args: Any, kwargs: Any) -> Any:
            self.need(part)
            return tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, (args, kwargs))

        return before


def _kind(part: str) -> str:
    """Either stage of the de-tokenizer is a "detokenizer"."""
    return "detokenizer" if part in ("first_stage", "second_stage") else part


def _entries(kind: str, module: Any) -> list[nn.Module]:
    """The modules whose call loads a part. The autoencoder has none: `Model.need("vae")` loads it."""
    match kind:
        case "vision":
            return [module]
        case "bridge":
            return [module.input_resampler, module.output_resampler]
        case "language":
            return [module.llm.model.embed_tokens]
        case "detokenizer":
            return [module.resampler, module.unet]
    return []


def _stays(kind: str, name: str, placement: Placement) -> bool:
    """Whether a tensor of an offloaded part stays in RAM until its block runs. The resampler of drawing does not."""
    return kind in placement.offload and (kind != "detokenizer" or name.startswith("unet."))


def _offload(module: nn.Module, device: str) -> None:
    """Weights in RAM; what runs is on the device: blocks of the visual tokenizer, whose pool reads weights of layers
    that it does not call, and single layers of the U-Net, whose blocks are up to half of it."""
    from diffusers.hooks.group_offloading import apply_group_offloading

    stream = torch.device(device).type == "cuda"  # the next weights travel while these compute
    if isinstance(module, Detokenizer):
        apply_group_offloading(module.unet, device, "cpu", "leaf_level", use_stream=stream)
    else:
        apply_group_offloading(module, device, "cpu", "block_level", 1, use_stream=stream)


def _set_tiles(detokenizer: Detokenizer, placement: Placement) -> None:
    """How much the autoencoder decodes at once."""
    vae = detokenizer.vae.model
    if placement.vae_slicing and hasattr(vae, "enable_slicing"):
        vae.enable_slicing()
    if placement.vae_tile is None or not hasattr(vae, "enable_tiling"):
        return
    vae.enable_tiling()
    factor, side = detokenizer.vae.factor, placement.vae_tile
    if hasattr(vae, "tile_latent_min_size"):  # AutoencoderKL
        vae.tile_sample_min_size, vae.tile_latent_min_size = side, side // factor
