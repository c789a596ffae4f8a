"""Rows 1 to 4: what pictures are read and drawn through."""

from __future__ import annotations

from seedx_stickers.claims.claim import Claim, Column, Comparison, Measurement, Training, Variant
from seedx_stickers.claims.drawing import drawings, regression
from seedx_stickers.claims.reading import boxes, questions
from seedx_stickers.claims.redrawing import edits, reconstructions

DB, ERROR = "{:.1f} dB", "{:.3f}"
# Of the language model, to have something to learn: with the resampler alone begun anew it draws within a few steps,
# for its states learnt to be the features (`QueryResampler.init_local`).
FORGOTTEN = ("language.llm.model.layers.4.*", "language.llm.model.layers.5.*", "bridge.output_resampler.*")

CONDITION = Claim(
    number=1,
    title="The condition picture keeps low-level detail",
    says="""Features hold what a picture shows, not its pixels. The second stage gives the de-tokenizer the picture
    itself as a condition, so that reconstructions keep its detail and edits change only what was asked.""",
    test="""The bundled model, nothing trained: it learnt from pictures with and without a condition, so both are at
    home to it. Pictures are redrawn, and edited by the same words and seeds. The autoencoder alone bounds what any
    de-tokenizer over it can reach; for edits, the true result goes through it.""",
    cut="The seeds change the pictures and the noise, not the model: it was trained once.",
    variants=(
        Variant("features alone", options={"by": "features"}),
        Variant("with the condition", options={"by": "condition"}),
        Variant("autoencoder alone", options={"by": "autoencoder"}),
    ),
    measurements=(Measurement(reconstructions, 120), Measurement(edits, 120)),
    columns=(
        Column("objects", "objects recognised"),
        Column("psnr", "redrawn, PSNR", DB),
        Column("done", "edits done"),
        Column("kept", "edited, PSNR of the rest", DB),
    ),
    comparisons=tuple(
        Comparison(score, "with the condition", "features alone") for score in ("objects", "psnr", "done", "kept")
    ),
)

_MANY_TILES = {"tiled": True}
TILES = Claim(
    number=2,
    title="Tiles with positions read large pictures; a thumbnail does not",
    says="A picture of any size is cut into tiles, each with a learnt 2D position, besides the thumbnail of the whole.",
    test="""The bundled model goes on for the same steps on questions and boxes of pictures of many tiles: as it is,
    with its tile positions taken away, and with the thumbnail alone.""",
    cut="""It is a continuation of a model that learnt with tiles and positions, not three models from nothing, so
    the other two have to get over what is gone. Tiles come in raster order, from which a model can tell where they
    are if it knows the grid's shape (the thumbnail shows it): positions are not the only cue.""",
    variants=(
        Variant("tiles with positions", (Training("read"),)),
        Variant(
            "tiles without positions",
            (Training("read", {"trained": ["language.*", "input_resampler.*", "output_resampler.*"]}),),
            {"bridge.tile_positions": False},
            ("bridge.tile_positions",),
        ),
        Variant("thumbnail alone", (Training("read"),), {"tiling.max_tiles": 1}),
    ),
    measurements=(
        Measurement(questions, 240, {"kind": "panorama"}),
        Measurement(questions, 120, _MANY_TILES),
        Measurement(boxes, 120, _MANY_TILES),
    ),
    columns=(
        Column("panorama", "panoramas, questions"),
        Column("panorama.where", "of these: where"),
        Column("panorama.how_many", "how many"),
        Column("question", "other sizes, questions"),
        Column("boxes", "other sizes, boxes"),
    ),
    comparisons=tuple(
        Comparison(score, "tiles with positions", other)
        for other in ("thumbnail alone", "tiles without positions")
        for score in ("panorama", "question", "boxes")
    ),
)


def _features(number: int, row: int) -> Variant:
    """`number` of the 64 features each; `row` tokens hold about as many drawings as in the others."""
    return Variant(
        f"{number} features",
        (Training("rebuild"), Training("regress", {"max_seq_len": row})),
        {"vision.pool": 64 // number, "bridge.queries": number},
        ("detokenizer.resampler.*", "bridge.input_resampler.*", *FORGOTTEN),
        placeholders=True,
    )


TOKENS = Claim(
    number=3,
    title="More visual tokens reconstruct better, yet are harder to regress",
    says="""Of 256, 64 and 32 tokens an image, more reconstruct better, but the language model regresses fewer
    better; the paper settles on 64.""",
    test="""64, 16 (as bundled) and 4 features: the visual tokenizer's 64 as they are, or averaged by 4 and by 16.
    For each, the de-tokenizer's resampler begins anew and is trained with the bundled U-Net on pictures; then the
    language model, whose last two blocks, output resampler and placeholders begin anew, one placeholder a feature,
    is trained to draw by words, on about as many drawings as the others. The error of regression is relative to the
    features' own variance (1: no better than the mean picture), because averaged features vary less.""",
    cut="""Short trainings from trained parts. The bundled U-Net and language model learnt with 16 features, which
    favours these in whatever is not begun anew.""",
    variants=(_features(64, 520), _features(16, 256), _features(4, 192)),
    measurements=(Measurement(reconstructions, 96), Measurement(regression, 256), Measurement(drawings, 64)),
    columns=(
        Column("objects", "redrawn: objects"),
        Column("psnr", "redrawn: PSNR", DB),
        Column("draw.error", "error of regression", ERROR, higher=False),
        Column("all_objects", "drawn by words: all objects"),
    ),
    comparisons=(
        Comparison("objects", "64 features", "16 features"),
        Comparison("objects", "16 features", "4 features"),
        Comparison("draw.error", "16 features", "64 features"),
        Comparison("draw.error", "4 features", "16 features"),
    ),
)

LAYERS = Claim(
    number=4,
    title="One cross-attention layer regresses better than several",
    says="An output resampler of a single cross-attention layer gives better regression than a deeper one.",
    test="""The language model's last two blocks and its output resampler begin anew, the latter with one layer or
    three (the further ones with an MLP each, as in a Perceiver); the whole language model is trained with it, for
    the same steps on the same drawings.""",
    cut="The bundled language model learnt with one layer: its states may suit that one better. Short trainings.",
    variants=(
        Variant("one layer", (Training("regress"),), {}, FORGOTTEN),
        Variant("three layers", (Training("regress"),), {"bridge.output_layers": 3}, FORGOTTEN),
    ),
    measurements=(Measurement(regression, 256), Measurement(drawings, 64)),
    columns=(
        Column("draw.error", "error of regression", ERROR, higher=False),
        Column("draw.cosine", "cosine", ERROR),
        Column("all_objects", "all objects"),
        Column("place", "in the right place"),
    ),
    comparisons=(
        Comparison("draw.error", "one layer", "three layers"),
        Comparison("all_objects", "one layer", "three layers"),
    ),
)
