"""The adapters of a loaded model: which one a request has, and where it is switched on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import nn

from seedx.checkpoint.adapters import BASE, Adapter, Part
from seedx.checkpoint.parts import Model
from seedx.config import nearest
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.lora import LoraSwitch


class LoadedAdapters:
    """
    Attributes:
        by_name: those that a request can name.
        default: of requests that name none; None: the model itself.
        language: those that change the language model, for its rows; None: none does, or another engine runs it.

    Raises:
        SeedxError: one was trained on another model.
    """

    def __init__(
        self, model: Model, by_name: Mapping[str, Adapter], default: str | None = None, by_torch: bool = True
    ) -> None:
        self.model, self.by_name, self.default, self.by_torch = model, dict(by_name), default, by_torch
        self._unets: dict[Detokenizer, LoraSwitch] = {}
        languages, unets = self._of("language") if by_torch else {}, self._of("unet")
        self.language = self._switch("language", languages, model.seedx.language.llm) if languages else None
        if unets:
            self.unet(model.detokenizer)

    def named(self, adapter: str | None) -> str | None:
        """What a request means by this name: None is the default, "base" the model without an adapter.

        Raises:
            SeedxError: there is no such adapter.
        """
        if adapter is None:
            return self.default
        if adapter == BASE:
            return None
        if adapter not in self.by_name:
            if not self.by_name:
                raise SeedxError(
                    f"there is no adapter {adapter!r}: this model was loaded without any; give seedx.load adapter="
                )
            raise SeedxError(f"there is no adapter {adapter!r}{nearest(adapter, [*self.by_name, BASE])}")
        return adapter

    def of_rows(self, adapter: str | None) -> str | None:
        """The adapter of a request's rows in the language model, None where it changes the U-Net alone."""
        name = self.named(adapter)
        return name if name is not None and "language" in self.by_name[name].parts else None

    def of_drawing(self, adapter: str | None) -> str | None:
        """The adapter that a request's images are drawn with, None where it changes the language model alone."""
        name = self.named(adapter)
        return name if name is not None and "unet" in self.by_name[name].parts else None

    def drawing(self, stage: Detokenizer, adapter: str | None) -> Callable[[], AbstractContextManager[None]]:
        """What passes of the stage's U-Net run within, to have a request's adapter.

        Raises:
            SeedxError: it was trained on the other stage.
        """
        name = self.of_drawing(adapter)
        return nullcontext if name is None else partial(self.unet(stage).use, [name])

    def unet(self, stage: Detokenizer) -> LoraSwitch:
        """Those that change the U-Net, on one stage of the de-tokenizer."""
        if stage not in self._unets:
            self._unets[stage] = self._switch("unet", self._of("unet"), stage.unet)
        return self._unets[stage]

    @torch.no_grad()
    def merge(self, adapter: str | None) -> LoadedAdapters:
        """Merge one into the model's weights, of the de-tokenizer into those of the stage that the model draws by.

        Returns:
            The adapters that are left.

        Raises:
            SeedxError: there is none of this name, or the weights are quantised.
        """
        name = self.named(adapter)
        if name is None:
            raise SeedxError(f"say which adapter to merge; loaded are: {', '.join(self.by_name) or 'none'}")
        if not self.by_torch and "language" in self.by_name[name].parts:
            raise SeedxError(
                "an adapter can't be merged into a GGUF file: merge it by torch, save and convert the model"
            )
        modules: dict[Part, nn.Module] = {
            "language": self.model.seedx.language.llm,
            "unet": self.model.detokenizer.unet,
        }
        for part, updates in self.by_name[name].parts.items():
            if part == "unet" and "detokenizer" in self.model.placement.one_at_a_time:
                raise SeedxError(
                    'an adapter can\'t be merged into what leaves memory: load the model with memory="full"'
                )
            self.model.need("language" if part == "language" else "detokenizer")
            weights = {key: modules[part].get_parameter(key) for key in updates}
            if any(not weight.is_floating_point() for weight in weights.values()):
                raise SeedxError("an adapter can't be merged into quantised weights: load the model in full precision")
            for key, update in updates.items():
                weights[key].data = update.merged(weights[key])  # the old memory may be the model's file
        for switch in (self.language, *self._unets.values()):
            if switch is not None:
                switch.remove()
        rest = {other: each for other, each in self.by_name.items() if other != name}
        return LoadedAdapters(self.model, rest, None if self.default == name else self.default, self.by_torch)

    def _of(self, part: Part) -> dict[str, Adapter]:
        return {name: adapter for name, adapter in self.by_name.items() if part in adapter.parts}

    def _switch(self, part: Part, adapters: Mapping[str, Adapter], module: nn.Module) -> LoraSwitch:
        for adapter in adapters.values():
            adapter.check_base(part, module)
        if part == "language" and self.model.placement.quantised:  # which replaces the layers to hook into
            self.model.need("language")
        return LoraSwitch(module, {name: each.parts[part] for name, each in adapters.items()})
