"""A model of all parts at the smallest sizes, for the tests that need one whole."""

from pathlib import Path

from seedx.config import BridgeConfig, Config, DetokenizerConfig, LanguageConfig, VisionConfig

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
