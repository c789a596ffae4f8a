"""Multimodal pre-training and instruction tuning: the language model, both resamplers and the tile positions.

Both stages are the same code on other mixtures. The visual tokenizer is frozen.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seedx.batch import Batch
from seedx.checkpoint import part_state
from seedx.collate import Encoded, collate, pack
from seedx.config import PRESETS, Config
from seedx.messages import Image, Message
from seedx.model.seedx import SeedX
from seedx.prompt import prepare
from seedx.stickers import tasks
from seedx.stickers.scenes import render
from seedx.stickers.tasks.documents import DOCUMENTS
from seedx.tiling import tile_image
from seedx.tokenizer import Tokenizer, load, train_tokenizer
from seedx.train.recipe import Recipe

ROW = 256  # tokens of a packed row


class LanguageStage:
    """
    Options:
        mixture: weights of the kinds of `tasks`, and of those of `DOCUMENTS`.
        start: whether to go on from the parts that an earlier stage wrote.
    """

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.config = recipe, PRESETS[recipe.preset]
        self.tokenizer = tokenizer(folder, self.config)
        self.mixture: dict[str, float] = recipe.options["mixture"]
        self.model = SeedX(self.config)
        self.model.vision.load_state_dict(load_file(folder / "vision.safetensors"))
        if recipe.options.get("start"):
            self.model.language.load_state_dict(load_file(folder / "language.safetensors"))
            self.model.load_state_dict({**self.model.state_dict(), **load_file(folder / "bridge.safetensors")})
        else:
            self.model.input_resampler.init_local()
            self.model.output_resampler.init_local()
            self.model.language.init_ordinal_rows(self.tokenizer.specials.loc(0), 224)

    def batch(self, step: int) -> Batch:
        """As many conversations as fill `recipe.batch` rows."""
        rng = random.Random(f"{self.recipe.name}/{self.recipe.seed}/{step}")
        room = self.recipe.batch * ROW
        documents: list[Encoded] = []
        while True:
            document = self.document(rng)
            room -= len(document)
            if room < 0:
                break
            documents.append(document)
        rows = pack(sorted(documents, key=len, reverse=True), ROW)
        batch = collate(rows, self.tokenizer.specials.pad, ROW)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            for name in ("tiles", "targets"):
                pixels = getattr(batch, name)
                if pixels is not None:
                    setattr(batch, name, self.model.vision(pixels))
        return batch

    def document(self, rng: random.Random) -> Encoded:
        kind = rng.choices(list(self.mixture), list(self.mixture.values()))[0]
        messages = DOCUMENTS[kind](rng) if kind in DOCUMENTS else tasks.mixture(rng, {kind: 1.0}).messages
        encoded = prepare([self.tiled(message) for message in messages], self.tokenizer, self.config, max_length=ROW)
        return encoded if encoded is not None else self.document(rng)

    def tiled(self, message: Message) -> Message:
        """The message with its scenes as tiles."""
        return Message(
            message.role,
            tuple(
                Image(tile_image(render(part.image), self.config.tiling)) if isinstance(part, Image) else part
                for part in message.content
            ),
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        losses = self.model(batch)
        used = (batch.input_ids != self.tokenizer.specials.pad).sum()
        return {"loss": losses.total, "text": losses.text, "image": losses.image, "tokens": used.float()}

    def save(self, model: nn.Module, folder: Path) -> None:
        assert isinstance(model, SeedX)
        folder.mkdir(parents=True, exist_ok=True)
        for part, module in (("language", model.language), ("bridge", model)):
            state = {name: tensor.contiguous() for name, tensor in part_state(part, module).items()}
            save_file(state, folder / f"{part}.safetensors")


def tokenizer(folder: Path, config: Config) -> Tokenizer:
    """The model's tokenizer; learnt on the tasks' words if the folder has none yet."""
    if not (folder / "tokenizer.json").exists():
        train_tokenizer(tasks.texts(20000, seed=1), config.language.vocab_size).save(folder)
    return load(folder)
