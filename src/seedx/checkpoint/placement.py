"""Memory modes: where the parts of a model are, in which precision, and how much is computed at once.

    mode    for                  language model    visual tokenizer, U-Net          pictures
    full    GPUs of 48 GB or     as stored         on the device once they are      all of a batch together
            more; small models                     needed
    24gb    GPUs of 24 GB        NF4               the same; of the two stages of   one at a time
                                                   the de-tokenizer one at a time
    12gb    GPUs of 12 GB        NF4               in RAM; a block at a time goes   one at a time, its guidance
                                                   to the GPU                       branches in turn, decoded in tiles
    cpu     24 GB of RAM         int8              one of them in memory at a time  one at a time, decoded in tiles

A mode is a `Placement`, whose fields can be chosen one by one, as in
`dataclasses.replace(placement("24gb"), language="int8")`.
Whatever the mode, a part is read when it is first needed. Standard library only: the command line is made from this.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from seedx.errors import SeedxError, shorten

Memory = Literal["full", "24gb", "12gb", "cpu"]
Dtype = Literal["float32", "float16", "bfloat16"]
LanguageWeights = Literal["plain", "int8", "nf4"]

PARTS = ("vision", "bridge", "language", "detokenizer", "vae")
LARGE = ("vision", "detokenizer")  # besides the language model
TILE = 512  # pixels, the side of the tiles in which pictures are decoded


@dataclass(frozen=True)
class Placement:
    """
    Attributes:
        device: where the model runs: "cpu", "cuda", "cuda:1", "mps".
        devices: other devices of single parts, names of `PARTS`: {"language": "cuda:1"}.
        dtype: of the weights, "float32", "float16" or "bfloat16"; None: float32 on the CPU, bfloat16 elsewhere. The
            autoencoder is always float32: SDXL's overflows in half precision.
        language: weights of the language model's linear layers: "plain" (in `dtype`), "int8" (bitsandbytes on GPUs,
            torchao on the CPU) or "nf4" (bitsandbytes, 4 bits).
        offload: parts whose weights stay in RAM and go to the device a block at a time (diffusers' group offloading).
        one_at_a_time: parts of which no two are in memory together: reading a picture drops the U-Net, and so on. The
            two stages of the de-tokenizer are both "detokenizer".
        images_at_once: the most that are decoded together; None: all of one size and kind.
        branches_together: guidance runs its branches as one batch, or else in turn.
        vae_slicing: of a batch, the autoencoder decodes one picture after the other.
        vae_tile: side in pixels of the tiles in which the autoencoder works on larger pictures; None: whole.
    """

    device: str = "cpu"
    devices: Mapping[str, str] = field(default_factory=dict)
    dtype: Dtype | None = None
    language: LanguageWeights = "plain"
    offload: tuple[str, ...] = ()
    one_at_a_time: tuple[str, ...] = ()
    images_at_once: int | None = None
    branches_together: bool = True
    vae_slicing: bool = False
    vae_tile: int | None = None

    def __post_init__(self) -> None:
        for name in (*self.devices, *self.offload, *self.one_at_a_time):
            if name not in PARTS:
                raise SeedxError(f"the parts that can be placed are {', '.join(PARTS)}, not {shorten(name)}")
        for name in self.offload:
            if name not in LARGE or name in self.one_at_a_time:
                raise SeedxError(f"{' and '.join(LARGE)} can be offloaded, unless they are one_at_a_time; not {name}")
        for name, known in (("dtype", get_args(Dtype)), ("language", get_args(LanguageWeights))):
            value = getattr(self, name)
            if value not in known and (name, value) != ("dtype", None):
                raise SeedxError(f"{name} is {', '.join(known)}, not {shorten(value)}")
        for name, least in (("images_at_once", 1), ("vae_tile", 128)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise SeedxError(f"{name} is a whole number of at least {least}, not {shorten(value)}")

    def device_of(self, part: str) -> str:
        return self.devices.get(part, self.device)

    def dtype_of(self, part: str) -> Dtype:
        """Precision of a part that is not quantised."""
        if part == "vae":
            return "float32"
        return self.dtype or ("float32" if self.device_of(part).startswith("cpu") else "bfloat16")

    @property
    def quantised(self) -> bool:
        return self.language != "plain"


MODES: dict[Memory, dict[str, Any]] = {
    "full": {},
    "24gb": {"language": "nf4", "one_at_a_time": ("detokenizer",), "images_at_once": 1, "vae_slicing": True},
    "12gb": {
        "language": "nf4",
        "offload": LARGE,
        "images_at_once": 1,
        "branches_together": False,
        "vae_slicing": True,
        "vae_tile": TILE,
    },
    "cpu": {
        "dtype": "bfloat16",
        "language": "int8",
        "one_at_a_time": LARGE,
        "images_at_once": 1,
        "vae_slicing": True,
        "vae_tile": TILE,
    },
}


def placement(
    memory: Memory | Placement | None = None, device: str | None = None, dtype: Dtype | None = None
) -> Placement:
    """The choices of a mode.

    Args:
        memory: a mode, or choices of one's own; None: "full".
        device: None: as the mode says, the CPU unless it says something else.
        dtype: in place of the mode's.

    Raises:
        SeedxError: an unknown mode, or one that does not fit the device.
    """
    given: dict[str, Any] = {"device": device, "dtype": dtype}
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(memory, Placement):
        return dataclasses.replace(memory, **given)
    memory = memory or "full"
    if memory not in MODES:
        raise SeedxError(f"memory is {', '.join(MODES)}, not {shorten(memory)}")
    made = Placement(**MODES[memory] | given)
    if memory == "cpu" and not made.device.startswith("cpu"):
        raise SeedxError(f'memory="cpu" runs on the CPU, not on {made.device!r}: choose "24gb" or "12gb" for a GPU')
    return made
