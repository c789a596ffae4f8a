"""A whole model, and the parts that its weights are stored in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from seedx.checkpoint.placement import Placement
from seedx.config import Config
from seedx.errors import SeedxError, first_line
from seedx.model.detokenizer import Detokenizer
from seedx.model.language import Language
from seedx.model.seedx import SeedX
from seedx.tokenizer import Tokenizer
from seedx.variants import variant_of

# Names in the module of a part that start so are stored with another part.
_ELSEWHERE = {"bridge": ("vision.", "language."), "detokenizer": ("vae.",)}


class Parts(Protocol):
    """Who reads parts when they are needed: `residency.Residency`."""

    placement: Placement

    def need(self, *parts: str) -> None: ...


@dataclass
class Model:
    """Everything that inference needs of one model.

    Attributes:
        seedx: without a language model (`Variant.language`), only its `vision` has weights.
        tokenizer: without a language model a `NoTokenizer`, which refuses every question.
        detokenizer: the stage that the model draws by, of `config.detokenizer`.
        load_other_stage: makes the other stage, where the model has both.
        parts: reads parts of the model when they are needed; None: all of it is in memory.
    """

    config: Config
    seedx: SeedX
    detokenizer: Detokenizer
    tokenizer: Tokenizer
    load_other_stage: Callable[[], Detokenizer] | None = None
    parts: Parts | None = None
    _other: Detokenizer | None = field(default=None, repr=False)

    @property
    def placement(self) -> Placement:
        return self.parts.placement if self.parts else Placement()

    def need(self, *parts: str) -> None:
        """Let parts be loaded: "vision", "bridge", "language", "detokenizer", "vae".

        Raises:
            SeedxError: the model does not have one of them.
        """
        if self.parts:
            self.parts.need(*parts)

    def has_stage(self, condition: bool) -> bool:
        """Whether the model has the stage with (the second) or without a condition picture."""
        return condition == self.detokenizer.config.condition or self.load_other_stage is not None

    def stage(self, condition: bool) -> Detokenizer:
        """The de-tokenizer with (the second stage) or without a condition picture, loaded, as is its autoencoder.

        Raises:
            SeedxError: the model does not have this stage.
        """
        if condition == self.detokenizer.config.condition:
            self.need("detokenizer", "vae")
            return self.detokenizer
        if self.load_other_stage is None:
            which = "second stage of the de-tokenizer, which keeps a condition picture" if condition else "first stage"
            raise SeedxError(f"this model has no {which}; convert it again from a download that has both stages")
        if self._other is None:
            self._other = self.load_other_stage()
        self.need("second_stage" if condition else "first_stage", "vae")
        return self._other


def build(config: Config) -> tuple[SeedX, Detokenizer]:
    """The modules without memory for their weights, on the meta device.

    Raises:
        SeedxError: sizes that do not fit together, whatever the library that finds it raises.
    """
    try:
        with torch.device("meta"):
            return SeedX(config), Detokenizer(config.detokenizer, config.vision.output_dim)
    except (SeedxError, MemoryError, ImportError):
        raise
    except Exception as error:
        raise SeedxError(
            f"no model can be built of the sizes in config.json: {type(error).__name__}: {first_line(error)}"
        ) from error


def modules(seedx: SeedX, detokenizer: Detokenizer) -> dict[str, nn.Module]:
    """The module of each part that the model has; that of "bridge" and "detokenizer" holds other parts as well."""
    language: dict[str, nn.Module] = {"bridge": seedx, "language": seedx.language}
    return {
        "vision": seedx.vision,
        **(language if variant_of(seedx.config).language else {}),
        "detokenizer": detokenizer,
        "vae": detokenizer.vae,
    }


def part_state(part: str, module: nn.Module) -> dict[str, Tensor]:
    """The tensors of a part, without those that are stored with another part or tied to another tensor.

    Raises:
        SeedxError: LoRA adapters have not been merged.
    """
    state = module.state_dict()
    if any(".lora_" in name for name in state):
        raise SeedxError("a model is stored without adapters: call language.merge_lora() first")
    elsewhere = _ELSEWHERE.get(part, ())
    if isinstance(module, Language) and module.config.tie_embeddings:
        elsewhere = ("llm.lm_head.",)
    return {name: tensor for name, tensor in state.items() if not name.startswith(elsewhere)}
