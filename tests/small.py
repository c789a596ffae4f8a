"""A model of all parts at the smallest sizes, for the tests that need one whole."""

import dataclasses
from pathlib import Path

import seedx
from seedx.config import BridgeConfig, Config, DetokenizerConfig, LanguageConfig, VisionConfig
from seedx.inference.pipeline import Pipeline

TOKENIZER = Path(__file__).parent / "golden" / "llama_tokenizer"
VOCABULARY = 1000  # at least what that tokenizer has
SMALL = Config(
    name="small",
    vision=VisionConfig(image_size=28, width=16, layers=1, heads=2, queries=16, output_dim=32),
    language=LanguageConfig(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, layers=2, heads=2, context=64),
    bridge=BridgeConfig(queries=4, input_heads=2, output_heads=2),
    detokenizer=DetokenizerConfig(
        dim=16,
        depth=1,
        head_dim=8,
        heads=2,
        queries=4,
        context_dims=(6, 10),
        image_size=16,
        steps=2,
        unet={
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
            "block_out_channels": (8, 16),
            "transformer_layers_per_block": 1,
            "attention_head_dim": 2,
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "addition_time_embed_dim": 8,
        },
        vae={
            "down_block_types": ("DownEncoderBlock2D",) * 2,
            "up_block_types": ("UpDecoderBlock2D",) * 2,
            "block_out_channels": (8, 8),
            "layers_per_block": 1,
            "norm_num_groups": 4,
        },
    ),
)


def narrow(tiny: DetokenizerConfig) -> DetokenizerConfig:
    """The tiny model's de-tokenizer without what only its quality needs: networks of one narrow block each way."""
    unet = {"down_block_types": ("CrossAttnDownBlock2D",), "up_block_types": ("CrossAttnUpBlock2D",)}
    unet |= {"block_out_channels": (32,), "attention_head_dim": (2,)}
    vae = {"encoder_block_out_channels": (16, 32), "decoder_block_out_channels": (16, 32)}
    vae |= {"encoder_layers_per_block": (1, 1), "decoder_layers_per_block": (1, 1)}
    return dataclasses.replace(tiny, unet=tiny.unet | unet, vae=tiny.vae | vae)


def load_with_steps(steps: int, model: str | Path = "tiny") -> Pipeline:
    """A model, by default the bundled one, that draws in so many steps unless a request says otherwise."""
    pipeline = seedx.load(model)
    detokenizer = dataclasses.replace(pipeline.model.config.detokenizer, steps=steps)
    pipeline.model.config = dataclasses.replace(pipeline.model.config, detokenizer=detokenizer)
    pipeline.model.detokenizer.config = detokenizer
    return pipeline
