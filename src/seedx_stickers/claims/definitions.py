"""The eight claims. 1 to 4: how pictures are read and drawn; 5 to 8: what is trained, on what, and by which loss."""

from __future__ import annotations

from seedx_stickers.claims.claim import Claim, Column, Comparison, Measurement, Training, Variant
from seedx_stickers.claims.drawing import drawings, regression, variety
from seedx_stickers.claims.reading import boxes, questions
from seedx_stickers.claims.redrawing import edits, reconstructions

DB, ERROR, LEVELS = "{:.1f} dB", "{:.3f}", "{:.1f}"
# If the output resampler alone is reinitialised, the model draws again within a few steps, because its states learnt to
# be the features (`QueryResampler.init_local`): the last two blocks are reinitialised, too.
REINITIALISED = ("language.llm.model.layers.4.*", "language.llm.model.layers.5.*", "bridge.output_resampler.*")

CONDITION = Claim(
    number=1,
    title="The condition picture keeps low-level detail",
    statement="""Features hold what a picture shows, not its pixels. The second stage gives the de-tokenizer the
    picture itself as a condition, so that reconstructions keep its detail and edits change only what was asked.""",
    test="""The bundled model without any training: it was trained on pictures with and without a condition.
    Pictures are reconstructed, and edited with the same instructions and seeds. The autoencoder alone is the upper
    bound of any de-tokenizer that uses it; for edits, it encodes and decodes the true result.""",
    limitations="The seeds change the pictures and the noise, not the model, which was trained once.",
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
    statement="""A picture of any size is cut into tiles, each with a learnt 2D position, besides the thumbnail of
    the whole.""",
    test="""The bundled model is trained further for the same number of steps on questions and boxes of pictures of
    many tiles: unchanged, without tile positions, and with the thumbnail alone.""",
    limitations="""All three continue from a model trained with tiles and positions, so that two of them must first
    adapt to what is missing. Tiles are in raster order, from which a model can infer their places if it knows the
    shape of the grid (the thumbnail shows it): positions are not the only cue.""",
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
    """A variant with `number` features; rows of `row` tokens hold about as many drawings as those of the others."""
    return Variant(
        f"{number} features",
        (Training("rebuild"), Training("regress", {"max_seq_len": row})),
        {"vision.pool": 64 // number, "bridge.queries": number},
        ("detokenizer.resampler.*", "bridge.input_resampler.*", *REINITIALISED),
        placeholders=True,
    )


TOKENS = Claim(
    number=3,
    title="More visual tokens reconstruct better, yet are harder to regress",
    statement="""Of 256, 64 and 32 tokens an image, more reconstruct better, but the language model regresses fewer
    better; the paper settles on 64.""",
    test="""64, 16 (as bundled) and 4 features: the 64 of the visual tokenizer, or their averages over 4 and 16. For
    each number, the de-tokenizer's resampler is reinitialised and trained with the bundled U-Net on pictures. Then
    the language model, with reinitialised last two blocks, output resampler and placeholders (one for each
    feature), is trained to draw from text, on about as many drawings as the others. The regression error is
    relative to the variance of the features (1: no better than the mean picture), because averaged features vary
    less.""",
    limitations="""Short trainings from trained parts. The bundled U-Net and language model were trained with 16
    features, which favours this number in all that is not reinitialised.""",
    variants=(_features(64, 520), _features(16, 256), _features(4, 192)),
    measurements=(Measurement(reconstructions, 96), Measurement(regression, 256), Measurement(drawings, 64)),
    columns=(
        Column("objects", "redrawn: objects"),
        Column("psnr", "redrawn: PSNR", DB),
        Column("draw.error", "regression error", ERROR, higher=False),
        Column("all_objects", "drawn by words: all objects"),
    ),
    comparisons=(
        Comparison("objects", "64 features", "16 features"),
        Comparison("objects", "16 features", "4 features"),
        Comparison("draw.error", "16 features", "64 features"),
        Comparison("draw.error", "4 features", "16 features"),
    ),
)

DEEP = {"stage": "language-deep-resampler"}
LAYERS = Claim(
    number=4,
    title="One cross-attention layer regresses better than several",
    statement="An output resampler of a single cross-attention layer gives better regression than a deeper one.",
    test="""The last two blocks of the language model and its output resampler are reinitialised, the latter with
    one layer or three (the further ones with an MLP each, as in a Perceiver). The whole language model is trained
    with it for the same number of steps on the same drawings.""",
    limitations="The bundled language model was trained with one layer, which its states may favour. Short trainings.",
    variants=(
        Variant("one layer", (Training("regress"),), {}, REINITIALISED),
        Variant("three layers", (Training("regress", DEEP),), {}, REINITIALISED, output_layers=3),
    ),
    measurements=(Measurement(regression, 256), Measurement(drawings, 64)),
    columns=(
        Column("draw.error", "regression error", ERROR, higher=False),
        Column("draw.cosine", "cosine", ERROR),
        Column("all_objects", "all objects"),
        Column("place", "in the right place"),
    ),
    comparisons=(
        Comparison("draw.error", "one layer", "three layers"),
        Comparison("all_objects", "one layer", "three layers"),
    ),
)
_RESAMPLER = ("detokenizer.resampler.*",)
_KEYS_VALUES = ["resampler.*", "unet.*.to_k.*", "unet.*.to_v.*"]

STAGE_1 = Claim(
    number=5,
    title="Keys and values are enough in the de-tokenizer's first stage",
    statement="""Stage 1 trains the resampler and the keys and values of a U-Net that can already draw, not the
    whole of it.""",
    test="""The paper starts from a U-Net that draws from text embeddings, not from features. The counterpart at
    this size is the bundled U-Net with a reinitialised resampler, whose outputs mean nothing to it at first. All
    three trainings start from the same weights. If the last comparison can't be told apart, keys and values are
    enough.""",
    limitations="""SDXL knows much more than the data that it is tuned on, and training all of it can destroy that
    knowledge; this U-Net knows this world alone, so the knowledge that training only keys and values protects is
    not at stake. The model is that of the second stage, without its condition.""",
    variants=(
        Variant("resampler alone", (Training("rebuild", {"trained": ["resampler.*"]}),), {}, _RESAMPLER),
        Variant("keys and values", (Training("rebuild", {"trained": _KEYS_VALUES}),), {}, _RESAMPLER),
        Variant("whole U-Net", (Training("rebuild"),), {}, _RESAMPLER),
    ),
    measurements=(Measurement(reconstructions, 96),),
    columns=(
        Column("objects", "objects recognised"),
        Column("background", "background"),
        Column("psnr", "PSNR", DB),
    ),
    comparisons=(
        Comparison("objects", "keys and values", "resampler alone"),
        Comparison("objects", "keys and values", "whole U-Net"),
    ),
)

PREDICTED_FEATURES = Claim(
    number=6,
    title="Tuned on predicted features, the de-tokenizer gets monotonous",
    statement="""Training the de-tokenizer on the features that the language model predicts, in place of the visual
    tokenizer's, makes its pictures monotonous.""",
    test="""The bundled de-tokenizer is trained further for the same number of steps on the same pictures: on their
    own features, or on those that the bundled language model predicts for their prompts. Both then decode predicted
    features of prompts that were not trained on. Monotony would show as less variety between prompts than the true
    pictures have, or as less variety between seeds. The bundled de-tokenizer is added for comparison.""",
    limitations="""Half of the pictures are random scenes without a prompt, and keep their own features in both
    variants. In this world the prompt determines the picture, so that predicted features are nearly those of one
    picture; in the paper's setting many pictures fit a prompt, and the mean of their features is far from any of
    them.""",
    variants=(
        Variant("as bundled"),
        Variant("on true features", (Training("redraw"),)),
        Variant("on predicted features", (Training("redraw", {"options.predicted_feature_ratio": 1.0}),)),
    ),
    measurements=(Measurement(drawings, 64), Measurement(variety, 24), Measurement(reconstructions, 64)),
    columns=(
        Column("all_objects", "drawn: all objects"),
        Column("place", "in the right place"),
        Column("between prompts", "variety between prompts", LEVELS),
        Column("true pictures", "of the true pictures", LEVELS),
        Column("between seeds", "between seeds", LEVELS),
        Column("objects", "redrawn: objects"),
    ),
    comparisons=tuple(
        Comparison(score, "on true features", "on predicted features")
        for score in ("between prompts", "between seeds", "all_objects")
    ),
)

ALONE = {kind: f"{kind} alone" for kind in ("question", "box", "draw", "edit")}
ONE_MODEL = Claim(
    number=7,
    title="One model for all tasks does as well as one for each",
    statement="The paper tunes a model for each application, and leaves one model with all abilities to future work.",
    test="""The last two blocks of the bundled model and its output resampler are reinitialised, so that there is
    something to learn. One model is then trained on four tasks together, four others on one task each in a quarter
    of the steps: as many steps for each task and about as many tokens. All are measured on all tasks. If nothing
    can be told apart, one model does as well.""",
    limitations="""Four tasks of more than eight; the first blocks know all of them from the start, as those of a
    pre-trained model would. For drawings and edits the regression error is measured, relative to the variance of
    the features, without decoding.""",
    variants=(
        Variant("one for all", (Training("every-task"),), {}, REINITIALISED),
        *(
            Variant(name, (Training("one-task", {"data.0.source": f"stickers:{kind}"}),), {}, REINITIALISED)
            for kind, name in ALONE.items()
        ),
    ),
    measurements=(
        Measurement(questions, 160),
        Measurement(boxes, 120),
        Measurement(regression, 256),
        Measurement(regression, 256, {"kind": "edit"}),
    ),
    columns=(
        Column("question", "questions"),
        Column("boxes", "boxes"),
        Column("draw.error", "drawings, error", ERROR, higher=False),
        Column("edit.error", "edits, error", ERROR, higher=False),
    ),
    comparisons=tuple(
        Comparison(score, "one for all", name)
        for score, name in zip(("question", "boxes", "draw.error", "edit.error"), ALONE.values(), strict=True)
    ),
)

LOSS = Claim(
    number=8,
    title="Squared error draws better than cosine",
    statement="The regression may be by mean squared error, as in the paper, or by cosine, the release's other option.",
    test="""The last two blocks and the output resampler are reinitialised; the whole language model is trained with
    it by either loss. Cosine does not determine the norm of the features, so drawings are judged a second time with
    features rescaled to the norm of true ones.""",
    limitations="""The weight of the loss is the same for both, although their gradients differ in size; AdamW
    compensates for most of the difference. The bundled language model was trained with mean squared error.""",
    variants=(
        Variant("squared error", (Training("regress"),), {}, REINITIALISED),
        Variant("cosine", (Training("regress"),), {"bridge.regression": "cosine"}, REINITIALISED),
    ),
    measurements=(Measurement(regression, 256), Measurement(drawings, 64, {"rescaled": True})),
    columns=(
        Column("draw.error", "squared error", ERROR, higher=False),
        Column("draw.cosine", "cosine", ERROR),
        Column("all_objects", "all objects"),
        Column("rescaled.all_objects", "all objects, rescaled"),
    ),
    comparisons=(
        Comparison("all_objects", "squared error", "cosine"),
        Comparison("rescaled.all_objects", "squared error", "cosine"),
        Comparison("draw.cosine", "squared error", "cosine"),
    ),
)

CLAIMS = (CONDITION, TILES, TOKENS, LAYERS, STAGE_1, PREDICTED_FEATURES, ONE_MODEL, LOSS)
