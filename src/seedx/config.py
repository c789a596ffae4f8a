"""Every size of the system, as frozen dataclasses. Standard library only, so that it imports in no time.

A preset is the released 17B model (`SEED_X_17B`, the defaults) or a small difference from it (`TINY`). Sizes that
follow from others are properties and are never typed twice.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from seedx.errors import SeedxError, shorten

T = TypeVar("T")


@dataclass(frozen=True)
class TilingConfig:
    """How an image of any size becomes square tiles (see `tiling.py`)."""

    tile: int = 448  # side of a tile, pixels
    policy: str = "pinpoints"  # "pinpoints" (the release) or "fit" (the paper, equation 1)
    grids: tuple[str, ...] = ("1x1", "1x2", "1x3", "2x1", "3x1", "1x4", "4x1", "2x2")  # columns x rows, for "pinpoints"
    max_tiles: int = 9  # cap on columns * rows, for "fit"
    single_tile: bool = True  # a 1x1 grid gives a tile besides the thumbnail, as in the release


@dataclass(frozen=True)
class VisionConfig:
    """The frozen visual tokenizer: a ViT and an attention pool."""

    image_size: int = 448
    patch_size: int = 14
    width: int = 1664
    layers: int = 48
    heads: int = 16
    mlp_ratio: float = 4.9231
    queries: int = 256  # tokens out
    output_dim: int = 4096
    pool_heads: int | None = None  # None: one head per 128 channels, at least one
    pool: int = 4  # neighbouring tokens averaged into one on the generation side

    @property
    def grid(self) -> int:
        return self.image_size // self.patch_size

    @property
    def mlp_width(self) -> int:
        return int(self.width * self.mlp_ratio)

    @property
    def attention_pool_heads(self) -> int:
        return self.pool_heads or max(1, self.output_dim // 128)

    @property
    def pooled(self) -> int:
        """Features per image on the generation side."""
        return self.queries // self.pool


@dataclass(frozen=True)
class LoraConfig:
    rank: int = 32
    alpha: int = 32
    dropout: float = 0.05


@dataclass(frozen=True)
class LanguageConfig:
    """A Llama. `lora` None trains every weight."""

    vocab_size: int = 32330  # with the 330 added tokens
    hidden_size: int = 5120
    intermediate_size: int = 13824
    layers: int = 40
    heads: int = 40
    kv_heads: int | None = None  # None: as many as heads
    context: int = 4096  # longest sequence, tokens
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0
    rope_scaling: dict[str, Any] = field(default_factory=dict)  # transformers' `rope_parameters`, without the theta
    tie_embeddings: bool = False
    bos: int = 1
    eos: int = 2
    pad: int = 0
    lora: LoraConfig | None = None


@dataclass(frozen=True)
class BridgeConfig:
    """The two resamplers around the language model and the loss on what it draws."""

    queries: int = 64  # tokens per image in the language model
    input_heads: int = 32
    output_heads: int = 32
    tile_positions: bool = True
    regression: str = "mse"  # or "cosine"
    text_weight: float = 1.0
    image_weight: float = 6.0


@dataclass(frozen=True)
class DetokenizerConfig:
    """Perceiver resampler, U-Net and VAE. `unet`, `vae` and `scheduler` are differences from SDXL's own configs."""

    dim: int = 1024
    depth: int = 4
    head_dim: int = 64
    heads: int = 16
    queries: int = 64
    ff_mult: int = 4
    context_dims: tuple[int, int] = (768, 1280)  # side by side: the U-Net's cross-attention width; the second: pooled
    normalize: bool = False
    coordinates: int = 0  # frequencies of sin and cos channels of x and y beside the latent; 0 in the release
    image_size: int = 1024  # pictures are drawn at this size unless asked otherwise
    condition: bool = True  # the second stage: 2x latent channels in
    pooled_images: bool = False  # an image given directly feeds pooled features too; the release feeds all of them
    condition_scale: float = 1.0  # multiplies the condition picture's raw latents; 1 in the release
    guidance: float = 7.5
    image_guidance: float = 1.5
    steps: int = 50
    sampler: str = "EulerDiscreteScheduler"
    unet: dict[str, Any] = field(default_factory=dict)
    vae: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Template:
    """What is written around a user's turn: `{start}question{end}answer{later}question{end}answer`.

    BOS comes before it and EOS after it; special tokens of the language model are written by their names.
    """

    start: str
    later: str
    end: str


@dataclass(frozen=True)
class Config:
    """
    Attributes:
        variant: what the model was trained to be asked, a name of `seedx.variants.VARIANTS`.
        template: the chat template of the language model it was made from, in place of the variant's.
    """

    name: str = "17b"
    variant: str = "tiny"
    template: Template | None = None
    tiling: TilingConfig = field(default_factory=TilingConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    bridge: BridgeConfig = field(default_factory=BridgeConfig)
    detokenizer: DetokenizerConfig = field(default_factory=DetokenizerConfig)


SEED_X_17B = Config(language=LanguageConfig(lora=LoraConfig()))

TINY = Config(
    name="tiny",
    tiling=TilingConfig(tile=96, policy="fit", max_tiles=8, single_tile=False),
    vision=VisionConfig(
        image_size=96,
        patch_size=12,
        width=256,
        layers=4,
        heads=4,
        mlp_ratio=4.0,
        queries=64,
        output_dim=256,
        pool_heads=4,
    ),
    language=LanguageConfig(vocab_size=2000, hidden_size=256, intermediate_size=704, layers=6, heads=8, context=1024),
    bridge=BridgeConfig(queries=16, input_heads=8, output_heads=8),
    detokenizer=DetokenizerConfig(
        dim=256,
        depth=2,
        head_dim=32,
        heads=8,
        queries=16,
        context_dims=(96, 160),
        coordinates=3,
        pooled_images=True,
        image_size=96,
        guidance=2.5,
        image_guidance=1.5,
        steps=12,
        unet={
            "sample_size": 12,
            "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            "block_out_channels": (64, 128),
            "transformer_layers_per_block": 1,
            "attention_head_dim": (2, 4),
            "layers_per_block": 1,
            "addition_time_embed_dim": 16,
        },
        vae={
            "class": "AutoencoderDC",
            "fold": 4,
            "latent_channels": 16,
            "encoder_block_types": "ResBlock",
            "decoder_block_types": "ResBlock",
            "encoder_block_out_channels": (64, 128),
            "decoder_block_out_channels": (64, 128),
            "encoder_layers_per_block": (1, 2),
            "decoder_layers_per_block": (3, 2),
            "encoder_qkv_multiscales": ((), ()),
            "decoder_qkv_multiscales": ((), ()),
            "scaling_factor": 1.0,
        },
        scheduler={"prediction_type": "v_prediction"},
    ),
)

# The next tiny model, in training: wider features, which hold more of a picture, and words in any case.
TINY2 = dataclasses.replace(TINY, variant="folded", vision=dataclasses.replace(TINY.vision, output_dim=384))

PRESETS = {"17b": SEED_X_17B, "tiny": TINY, "tiny2": TINY2}


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON types; `from_dict` turns it back."""
    return dataclasses.asdict(config)


def from_dict(cls: type[T], values: Mapping[str, Any], path: str = "") -> T:
    """Build dataclass `cls` from nested dictionaries.

    Args:
        path: of `values` in a larger dictionary, for the message.

    Raises:
        SeedxError: a key that `cls` does not have; the message suggests the nearest one.
    """
    hints = typing.get_type_hints(cls)
    unknown = [key for key in values if key not in hints]
    if unknown:
        raise SeedxError(f"unknown setting {shorten(path + str(unknown[0]))}{nearest(str(unknown[0]), hints, path)}")
    return cls(**{key: _build(hints[key], value, f"{path}{key}.") for key, value in values.items()})


def nearest(name: str, known: Iterable[str], path: str = "") -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {path + near[0]!r}?" if near else f"; known: {', '.join(known)}."


def _build(hint: Any, value: Any, path: str) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return from_dict(hint, value, path)
    if typing.get_origin(hint) is tuple and isinstance(value, (list, tuple)):
        item = typing.get_args(hint)[0]  # of tuple[X, ...]; plain values need no building
        return tuple(_build(item, one, f"{path}{i}.") for i, one in enumerate(value))
    return value
