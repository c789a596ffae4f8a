"""Rows 5 to 8: what is trained, on what, and by which loss."""

from __future__ import annotations

from seedx_stickers.claims.claim import Claim, Column, Comparison, Measurement, Training, Variant
from seedx_stickers.claims.drawing import drawings, regression, variety
from seedx_stickers.claims.reading import boxes, questions
from seedx_stickers.claims.redrawing import reconstructions
from seedx_stickers.claims.rows import CONDITION, DB, ERROR, FORGOTTEN, LAYERS, TILES, TOKENS

LEVELS = "{:.1f}"
_RESAMPLER = ("detokenizer.resampler.*",)
_KEYS_VALUES = ["resampler.*", "unet.*.to_k.*", "unet.*.to_v.*"]

STAGE_1 = Claim(
    number=5,
    title="Keys and values are enough in the de-tokenizer's first stage",
    says="Stage 1 trains the resampler and the keys and values of a U-Net that can already draw, not the whole of it.",
    test="""What the paper begins with is a U-Net that draws, but from another language than the features. Its like
    at this size is the bundled U-Net with a resampler begun anew: what the resampler says means nothing to the
    U-Net then. All three trainings begin with the same weights. If the last comparison can't be told apart, keys
    and values are enough.""",
    cut="""SDXL knows much more than any data that it is tuned on, and training all of it can spoil that; this U-Net
    knows this world alone, so what keys and values are meant to save is not at stake. The noise is predicted by the
    model of the second stage, whose condition is left out.""",
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

REGRESSED = Claim(
    number=6,
    title="Tuned on regressed features, the de-tokenizer gets monotonous",
    says="""Training the de-tokenizer on what the language model regresses, in place of the visual tokenizer's
    features, makes its pictures monotonous.""",
    test="""The bundled de-tokenizer goes on for the same steps on the same pictures: on their own features, or on
    those that the bundled language model regresses for the words that ask for them. Both then draw what the
    language model regresses, for words that were not trained on. Monotony would show as less variety between
    prompts than the true pictures have, or between seeds. As it is bundled, the de-tokenizer is there to compare
    with.""",
    cut="""Half of the pictures are scenes at random, which no words ask for, and keep their own features in both.
    In this world words determine the picture, so that regressed features are nearly those of one picture; in the
    paper's, many pictures fit the words, and the mean of their features is far from any of them.""",
    variants=(
        Variant("as bundled"),
        Variant("on true features", (Training("redraw"),)),
        Variant("on regressed features", (Training("redraw", {"options.predicted_feature_ratio": 1.0}),)),
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
        Comparison(score, "on true features", "on regressed features")
        for score in ("between prompts", "between seeds", "all_objects")
    ),
)

ALONE = {kind: f"{kind} alone" for kind in ("question", "box", "draw", "edit")}
ONE_MODEL = Claim(
    number=7,
    title="One model for all tasks does as well as one for each",
    says="The paper tunes a model for each application, and leaves one model with all abilities to future work.",
    test="""The bundled model's last two blocks and its output resampler begin anew, so that there is something to
    learn. One model then learns four tasks together, four others one each, in a quarter of the steps: as many steps
    a task and about as many tokens. Every one is measured on all. If nothing can be told apart, one model does as
    well.""",
    cut="""Four tasks of eight and more; the first blocks know all of them from the start, as a pre-trained model
    would. For drawings and edits the error of regression is measured, relative to the features' variance, without
    drawing.""",
    variants=(
        Variant("one for all", (Training("every-task"),), {}, FORGOTTEN),
        *(
            Variant(name, (Training("one-task", {"data.0.source": f"stickers:{kind}"}),), {}, FORGOTTEN)
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
    says="The regression may be by mean squared error, as in the paper, or by cosine, the release's other option.",
    test="""The last two blocks and the output resampler begin anew; the whole language model is trained with it by
    either loss. Cosine leaves the features' length open, so its drawings are judged a second time with every
    feature at the length that true ones have.""",
    cut="""The weight of the loss is the same for both, although their gradients differ in size; the optimiser
    (AdamW) makes up for most of it where nothing else is learnt. The bundled language model learnt by mean squared
    error.""",
    variants=(
        Variant("squared error", (Training("regress"),), {}, FORGOTTEN),
        Variant("cosine", (Training("regress"),), {"bridge.regression": "cosine"}, FORGOTTEN),
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

CLAIMS = (CONDITION, TILES, TOKENS, LAYERS, STAGE_1, REGRESSED, ONE_MODEL, LOSS)
