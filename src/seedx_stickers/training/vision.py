"""Training of the visual tokenizer: every feature must tell what is in its part of the tile, and where that is.

There is no ViT to download, so it is trained here. Small heads, discarded afterwards, are shared by all places and get
no position, so each feature must carry it: those of the patches (the quickest to learn), the Q features, and the pooled
ones that drawing uses. Noise on the features makes them spend their variance on what matters, which is what a squared
error on them measures later.

Shapes:
    N images; cells, parts and letters as in `vision_tiles.py`, and 6 x 6 colours a cell
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seedx.config import VisionConfig, from_dict
from seedx.errors import SeedxError
from seedx.model.vision import POSITION_GRID, VisionTransformer, pool_features
from seedx.train.engine import components
from seedx.train.engine.trainable import apply
from seedx.train.recipe import Recipe, overridden
from seedx.train.stages.base import GeneratedDataStage
from seedx_stickers.art import OBJECTS
from seedx_stickers.scenes import TILE
from seedx_stickers.signs import LETTERS
from seedx_stickers.training.pixels import as_tile
from seedx_stickers.training.vision_picture import PictureHead, picture_loss
from seedx_stickers.training.vision_tiles import CELLS, NAMES, sample_tile

COLOURS = 6 * CELLS  # redrawn pixels along a side
READ = ("patches", "all", "pooled")  # the features that heads read
WEIGHTS = {"names": 1.0, "boxes": 4.0, "redrawn": 4.0, "placed": 1.0, "letters": 1.0}  # of the losses on each
HELD = 3.0  # weight of the penalty on changed features
LETTER_PART = 20  # a part with a letter counts as much as so many without: nearly all are without
WHOLE = "whole.safetensors"  # in a run's folder, when it has ended


@dataclass
class Labelled:
    pixels: Tensor  # (N, 3, S, S) uint8
    names: Tensor  # (N, PARTS, PARTS) index into NAMES
    corners: Tensor  # (N, PARTS, PARTS, 4) the box of the sticker under a part, in fractions of the tile
    letters: Tensor  # (N, PARTS, PARTS) 1 + index into LETTERS, 0 where none is
    noise: Tensor  # (N, Q, D) for the features, of unit deviation
    pooled_noise: Tensor  # (N, Q / pool, D)
    drawn: Tensor  # (N,) whether it is a picture such as the model draws


class Head(nn.Module):
    """Features (N, L, D), each about `cells` neighbouring cells of a row -> names (N, PARTS, PARTS, names), corners
    (N, PARTS, PARTS, 4), colours (N, 3, COLOURS, COLOURS), centres (N, CELLS, CELLS, 2)."""

    def __init__(self, dim: int, cells: int) -> None:
        super().__init__()
        self.cells = cells
        self.norm = nn.LayerNorm(dim)
        self.hidden = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(3 * dim, cells * (4 * len(NAMES) + 4 * 4 + 3 * 36 + 2))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = self.out(F.gelu(self.hidden(self.norm(features)))).unflatten(-1, (self.cells, -1))
        x = x.flatten(1, 2).unflatten(1, (CELLS, CELLS)).float()
        names, corners, colours, centres = x.split([4 * len(NAMES), 4 * 4, 3 * 36, 2], dim=-1)
        return _parts(names), _parts(corners), F.pixel_shuffle(colours.permute(0, 3, 1, 2), 6), centres


class LetterHead(nn.Module):
    """Features (N, L, D), each about `cells` neighbouring cells of a row -> letters (N, PARTS, PARTS, 1 + letters)."""

    def __init__(self, dim: int, cells: int) -> None:
        super().__init__()
        self.cells = cells
        self.norm = nn.LayerNorm(dim)
        self.hidden = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(2 * dim, cells * 4 * (1 + len(LETTERS)))

    def forward(self, features: Tensor) -> Tensor:
        x = self.out(F.gelu(self.hidden(self.norm(features)))).unflatten(-1, (self.cells, -1))
        return _parts(x.flatten(1, 2).unflatten(1, (CELLS, CELLS)).float())


def _parts(x: Tensor) -> Tensor:
    """(N, CELLS, CELLS, 4 * K) -> (N, PARTS, PARTS, K)."""
    x = x.unflatten(-1, (2, 2, -1)).permute(0, 1, 3, 2, 4, 5)
    return x.flatten(1, 2).flatten(2, 3)


class Pretrained(nn.Module):
    def __init__(self, config: VisionConfig, picture: bool = False) -> None:
        super().__init__()
        self.vision = VisionTransformer(config)
        widths = {
            "patches": (config.width, 1),
            "all": (config.output_dim, 1),
            "pooled": (config.output_dim, config.pool),
        }
        self.heads = nn.ModuleDict({name: Head(*sizes) for name, sizes in widths.items()})
        self.letters = nn.ModuleDict({name: LetterHead(*sizes) for name, sizes in widths.items()})
        see_locally(self.vision)
        self.picture = PictureHead(config.output_dim, config.pool) if picture else None

    def forward(
        self, pixels: Tensor, noise: Tensor, pooled_noise: Tensor, drawn: Tensor
    ) -> tuple[dict[str, tuple[Tensor, ...]], Tensor, Tensor | None]:
        """The heads' predictions, by name of the features, the pooled features, and the pictures that are `drawn` (N,)
        again. The noise is relative to the standard deviation of an image's features."""
        patches = self.vision.patches(pixels)
        features = self.vision.read(patches)
        noisy = {"patches": patches}
        pooled = pool_features(features, self.vision.config.pool)
        for name, x, added in (("all", features, noise), ("pooled", pooled, pooled_noise)):
            noisy[name] = x + added * x.detach().float().std(dim=(1, 2), keepdim=True)
        redrawn = self.picture(noisy["pooled"][drawn]) if self.picture else None
        return {name: (*self.heads[name](x), self.letters[name](x)) for name, x in noisy.items()}, pooled, redrawn


@torch.no_grad()
def see_locally(vision: VisionTransformer) -> None:
    """Start with positions that tell patches apart, and with every query looking at the patches of its own place.

    From random weights an attention pool begins as the mean of the whole tile, and learns last what belongs where.
    """
    pool, width = vision.pool, vision.config.width
    frequencies, phases = torch.randn(2, width), 2 * math.pi * torch.rand(width)

    def code(side: int) -> Tensor:
        """(side², width): places of a unit deviation whose likeness fades over one cell."""
        line = (torch.arange(side) + 0.5) * CELLS / side
        places = torch.stack([line.repeat(side), line.repeat_interleave(side)], dim=1)
        return math.sqrt(2) * torch.cos(places @ frequencies + phases)

    vision.positions.copy_(code(POSITION_GRID))
    dim = vision.config.output_dim
    if isinstance(pool.kv_proj, nn.Linear):  # wider features: the patches are in their first channels
        pool.kv_proj.weight.copy_(torch.eye(dim, width))
    pool.query.copy_(F.pad(code(CELLS), (0, dim - width)))
    turned = nn.init.orthogonal_(torch.empty(dim, dim))
    pool.attn.in_proj_weight[:dim] = turned
    pool.attn.in_proj_weight[dim : 2 * dim] = turned


@dataclass(frozen=True)
class Options:
    """
    Attributes:
        noise: standard deviation of the noise on the features, relative to their own.
        signs: fraction of tiles with printed words.
        hold: penalise changes of the pooled features of pictures such as the model draws, from those of the folder's
            visual tokenizer: a de-tokenizer trained on these can then be used as it is.
        picture: weight of redrawing the whole tile from the pooled features; 0: leave that out.
        looks: fraction of the other tiles in other looks (`varied.py`).
        drawings: fraction of the tiles that are drawings as text asks for.
    """

    noise: float = 0.25
    signs: float = 0.0
    hold: bool = False
    picture: float = 0.0
    looks: float = 0.0
    drawings: float = 0.0


class VisionStage(GeneratedDataStage):
    def __init__(self, recipe: Recipe, folder: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.options: Options = from_dict(Options, recipe.options, "options.")
        weights = {f"{which}.{name}": weight for which in READ for name, weight in WEIGHTS.items()}
        source = components.source(recipe, folder, runs=True)
        self.model = Pretrained(source.config.vision, self.options.picture > 0)
        if self.options.picture:
            weights["pooled.picture"] = self.options.picture
        self.before: VisionTransformer | None = None
        if source.run:
            read_run(self.model, source.run)
        elif source.find("vision"):
            components.read(self.model.vision, source.folder, "vision")
        if self.options.hold:
            self.before = VisionTransformer(self.model.vision.config).requires_grad_(False)
            components.read(self.before, source.folder, "vision")
            weights["pooled.held"] = HELD
        self.weights = overridden(weights, recipe.losses, "loss")
        if recipe.trained:
            apply(self.model, recipe.trained)

    def batch(self, step: int) -> Labelled:
        return self.rows(step, 0, self.recipe.global_batch_size)

    def rows(self, step: int, start: int, end: int) -> Labelled:
        stream = f"vision/{self.recipe.seed}/{step}"
        shares = self.options.signs, self.options.looks, self.options.drawings
        tiles = (sample_tile(random.Random(f"{stream}/{row}"), *shares) for row in range(start, end))
        pixels, names, corners, letters, drawn = (
            torch.from_numpy(np.stack(column)) for column in zip(*tiles, strict=True)
        )
        config = self.model.vision.config
        size = self.recipe.global_batch_size
        noise, pooled = (
            self.options.noise * torch.randn(size, count, config.output_dim)[start:end]
            for count in (config.queries, config.pooled)
        )
        return Labelled(pixels.permute(0, 3, 1, 2), names, corners, letters, noise, pooled, drawn)

    def counts(self, batch: Labelled) -> dict[str, int]:
        things, printed = int((batch.names < len(OBJECTS)).sum()), int((batch.letters > 0).sum())
        each = {
            "names": batch.names.numel() + things,  # a thing's part counts twice: most parts are ground
            "boxes": 4 * things,
            "redrawn": 3 * COLOURS**2 * len(batch.pixels),
            "placed": 2 * CELLS**2 * len(batch.pixels),
            "letters": batch.letters.numel() + (LETTER_PART - 1) * printed,
            "right": things,
            "read": printed,
        }
        counts = {f"{which}.{name}": count for which in READ for name, count in each.items()}
        if self.before is not None:
            counts["pooled.held"] = int(batch.drawn.sum()) * batch.pooled_noise[0].numel()
        if self.options.picture:
            counts["pooled.picture"] = batch.pixels.numel()
            counts["picture.error"] = int(batch.drawn.sum()) * batch.pixels[0].numel()
        return counts | {"samples": len(batch.pixels)}

    def losses(self, batch: Labelled) -> dict[str, Tensor]:
        pixels = batch.pixels.float() / 127.5 - 1
        colours = F.avg_pool2d(pixels, TILE // COLOURS)
        things, printed = batch.names < len(OBJECTS), batch.letters > 0
        losses: dict[str, Tensor] = {}
        read, pooled, redrawn = self.model(as_tile(pixels), batch.noise, batch.pooled_noise, batch.drawn)
        if self.before is not None:
            with torch.no_grad():
                before = self.before.to(pixels.device)(as_tile(pixels[batch.drawn]))
            before = pool_features(before, self.before.config.pool)
            losses["pooled.held"] = (pooled[batch.drawn] - before).float().square().sum()
        if redrawn is not None:
            losses["pooled.picture"] = picture_loss(redrawn, pixels[batch.drawn])
            losses["picture.error"] = (redrawn - pixels[batch.drawn]).detach().square().sum()
        for which, (names, corners, drawn, centres, letters) in read.items():
            named = F.cross_entropy(names.flatten(0, 2), batch.names.flatten(), reduction="none")
            spelt = F.cross_entropy(letters.flatten(0, 2), batch.letters.flatten(), reduction="none")
            each = {
                "names": (named * (1.0 + things.flatten().float())).sum(),
                "boxes": (corners - batch.corners)[things].abs().sum(),
                "redrawn": (drawn - colours).square().sum(),
                "placed": (centres - cell_centres(centres.device)).abs().sum(),
                "letters": (spelt * (1.0 + (LETTER_PART - 1) * printed.flatten().float())).sum(),
                "right": (names.argmax(-1) == batch.names)[things].float().sum(),
                "read": (letters.argmax(-1) == batch.letters)[printed].float().sum(),
            }
            losses |= {f"{which}.{name}": value for name, value in each.items()}
        return losses

    @torch.no_grad()
    def save(self, model: nn.Module, folder: Path) -> None:
        """Features are scaled to a unit deviation, unless held: the regression loss is a squared error on them."""
        assert isinstance(model, Pretrained)
        run = folder / "runs" / self.recipe.name
        run.mkdir(parents=True, exist_ok=True)
        save_file(model.state_dict(), run / WHOLE)
        if not self.options.hold:
            torch.manual_seed(self.recipe.seed)
            pixels = self.batch(0).pixels.float() / 127.5 - 1
            model.vision.proj.div_(model.vision(as_tile(pixels)).std())
        components.write(model.vision, folder, "vision")


def cell_centres(device: torch.device) -> Tensor:
    """(CELLS, CELLS, 2): x and y of each cell in 0..1."""
    line = (torch.arange(CELLS, device=device) + 0.5) / CELLS
    return torch.stack([line.expand(CELLS, -1), line[:, None].expand(-1, CELLS)], dim=-1)


def read_run(model: Pretrained, run: Path) -> None:
    """Load the final weights of an earlier run, heads included.

    Raises:
        SeedxError: it is not complete.
    """
    if not (run / WHOLE).is_file():
        raise SeedxError(f"{run} has no {WHOLE} to start from: train its recipe to the end first")
    model.load_state_dict(load_file(run / WHOLE))
