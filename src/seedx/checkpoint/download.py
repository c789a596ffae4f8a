"""What lies in a downloaded tree: the files of each part of the released models, at any depth of nesting.

A part is found by the name of its folder or file (`layouts.py`), and read in whatever form it has: safetensors or .bin,
in shards or whole. Nothing is loaded; but every file is looked at from outside, so that a half-done download is named.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from seedx.checkpoint import weights
from seedx.checkpoint.layouts import (
    PARTS,
    STAGES,
    about,
    found_as,
    has_language,
    needs_of,
    normal,
    source_of,
    stage_of,
    variant_of,
)
from seedx.damage import damage
from seedx.errors import SeedxError

QWEN_PREFIX = "transformer.visual."  # of the visual tokenizer's weights in Qwen-VL-Chat
_PLACEHOLDER, _TILE = "<img_00000>", "<patch>"  # a tokenizer with SEED-X's tokens has both, SEED-Story's the first


@dataclass(frozen=True)
class Part:
    """A part that was found.

    Attributes:
        place: its folder, or its file.
        files: of its weights, in order; none for a tokenizer.
        problem: why it can't be used; empty if nothing can be seen from outside.
        rank: the lower, the more it is preferred to others of its name.
    """

    name: str
    place: Path
    files: tuple[Path, ...] = ()
    problem: str = ""
    rank: int = 0

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.stat().st_size for file in self.files)


@dataclass(frozen=True)
class Selection:
    """The parts of one model.

    Attributes:
        variant: a name of `LAYOUTS`; None where neither the user nor the folder's name says which one it is.
        needs: what it can't be converted without.
    """

    variant: str | None
    parts: dict[str, Part]
    needs: tuple[str, ...]

    @property
    def usable(self) -> dict[str, Part]:
        """The parts that are whole."""
        return {name: part for name, part in self.parts.items() if not part.problem}

    def problems(self) -> list[str]:
        """What is needed and missing or damaged, a line each."""
        found = []
        for name in self.needs:
            if name not in self.parts:
                found.append(f"no {about(name, self.variant)}: get it from {source_of(name, self.variant)}")
            elif problem := self.parts[name].problem:
                found.append(f"{about(name, self.variant)}: {problem}")
        return found


@dataclass(frozen=True)
class Download:
    """
    Attributes:
        shared: the candidates of each part that all models share.
        models: by folder: agent and llm.
    """

    root: Path
    shared: dict[str, list[Part]] = field(default_factory=dict)
    models: dict[Path, dict[str, Part]] = field(default_factory=dict)

    def select(self, variant: str | None = None) -> Selection:
        """The parts of one model: of `variant`, or of the only one that is here.

        Raises:
            SeedxError: there are several to choose from, or no such model.
        """
        if variant is None and not self.models and any(stage in self.shared for stage in STAGES):
            variant = "detokenizer"
        parts: dict[str, Part] = {}
        if has_language(variant):
            folder = self._folder(variant)
            variant = variant or variant_of(folder.name)
            parts |= self.models.get(folder, {})
        for name in PARTS:
            if name not in parts and (candidates := self.shared.get(found_as(name, variant))):
                parts[name] = _preferred(candidates, self.root)
        return complete(Selection(variant, parts, _needs(variant, parts)))

    def _folder(self, variant: str | None) -> Path:
        if not self.models:
            here = f"{self.root} has no folder with agent/ and llm/, the language side of a model"
            raise SeedxError(f"{here}: get one from {source_of('llm', variant)}, or give the folder above")
        fitting = [folder for folder in self.models if variant is None or variant_of(folder.name) == variant]
        if not fitting and len(unknown := [each for each in self.models if not variant_of(each.name)]) == 1:
            fitting = unknown  # its name says nothing, and the user says what it is
        if len(fitting) == 1:
            return fitting[0]
        names = ", ".join(variant_of(each.name) or str(each.relative_to(self.root)) for each in self.models)
        if fitting and variant:
            places = ", ".join(str(each) for each in fitting)
            raise SeedxError(f"{self.root} has several {variant}: {places}; give a folder with one")
        if fitting:
            raise SeedxError(f"{self.root} has several models: choose by --variant from {names}")
        raise SeedxError(f"{self.root} has no {variant}; it has {names}. Get it from {source_of('llm', variant)}")


def survey(root: str | Path) -> Download:
    """Look through a folder.

    Raises:
        SeedxError: it is no folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise SeedxError(f"{str(root)!r} is no folder; give the one that the release was downloaded to")
    found = Download(root)
    for folder, files in _folders(root):
        for part in (*_parts_of(folder, files), *_story_parts_of(folder, files)):
            if part.name in ("agent", "llm"):
                found.models.setdefault(folder.parent, {})[part.name] = part
            else:
                found.shared.setdefault(part.name, []).append(part)
    return found


def _folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder, links followed, without hidden ones; in the order of names."""
    seen: set[str] = set()
    for place, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield Path(place), sorted(files)


def _parts_of(folder: Path, files: list[str]) -> Iterator[Part]:
    name = normal(folder.name)
    for file in files:
        if file in ("qwen_vit_G.pt", "qwen_vit_G.bin", "qwen_vit_G.safetensors"):
            yield _part("visual_encoder", folder / file, [folder / file])
    if name in ("agent", "llm", "visual_encoder", *STAGES):
        yield from _module(name, folder)
    elif name in ("unet", "vae"):
        yield from _module(name, folder, 0 if (folder.parent / "model_index.json").is_file() else 1)
    elif "qwen" in name and "config.json" in files:
        yield from _module("visual_encoder", folder, 2, QWEN_PREFIX)
    if {"tokenizer.model", "tokenizer.json"} & {*files}:
        yield from _tokenizer(folder)


def _story_parts_of(folder: Path, files: list[str]) -> Iterator[Part]:
    """Those of SEED-Story that have names of their own."""
    name, above = normal(folder.name), normal(folder.parent.name)
    if name == "george_sft":
        yield from _module("agent", folder)
    elif "detokenizer_george_adapted" in (name, above):
        yield from _module(found_as("first_stage", "seed_story"), folder)
    elif name.startswith("llama_2_7b") and "config.json" in files:
        yield from _module(found_as("llm", "seed_story"), folder)


def _module(name: str, folder: Path, rank: int = 0, prefix: str = "") -> Iterator[Part]:
    """The weights of a folder; with a prefix, of the shards only those that hold such names."""
    try:
        files = weights.find_module(folder)
        if prefix:
            files = with_prefix(files, prefix)
    except SeedxError as error:
        yield Part(name, folder, problem=str(error), rank=rank)
        return
    config_tells = name in ("unet", found_as("llm", "seed_story")) and (folder / "config.json").is_file()
    if files or config_tells:  # a config alone tells sizes
        yield _part(name, folder, files, rank)
    elif name in ("agent", "llm"):
        yield Part(name, folder, problem=f"{folder} holds no weights: the download is not complete", rank=rank)


def with_prefix(files: list[Path], prefix: str) -> list[Path]:
    """Of the shards of a module, those that hold names with a prefix."""
    if not files:
        return []
    index = next(iter(files[0].parent.glob(f"*{files[0].suffix}.index.json")), None)
    if index is None:
        return files
    weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    here = {shard for key, shard in weight_map.items() if key.startswith(prefix)}
    return [file for file in files if file.name in here]


def _tokenizer(folder: Path) -> Iterator[Part]:
    """A tokenizer with SEED-X's tokens or SEED-Story's. A tokenizer.model without a list of tokens counts as SEED-X's
    if its folder is named so."""
    added, whole = folder / "added_tokens.json", folder / "tokenizer.json"
    lists = [file.read_text(encoding="utf-8", errors="replace") for file in (added, whole) if file.is_file()]
    if any(_PLACEHOLDER in text for text in lists) or (not lists and "tokenizer" in normal(folder.name)):
        story = bool(lists) and not any(_TILE in text for text in lists)
        main = [file for file in (folder / "tokenizer.model", whole) if file.is_file()][:1]
        name = found_as("tokenizer", "seed_story" if story else None)
        yield _part(name, folder, main, 0 if "tokenizer" in normal(folder.name) else 1)


def _part(name: str, place: Path, files: Iterable[Path], rank: int = 0) -> Part:
    files = tuple(files)
    broken = [f"{file} {found}" for file in files if (found := damage(file))]
    more = f" (and {len(broken) - 1} more files)" if len(broken) > 1 else ""
    return Part(name, place, files, f"{broken[0]}{more}" if broken else "", rank)


def _preferred(candidates: list[Part], root: Path) -> Part:
    """
    Raises:
        SeedxError: several are as good.
    """
    whole = [part for part in candidates if not part.problem] or candidates
    best = [part for part in whole if part.rank == min(each.rank for each in whole)]
    if len({_content(part) for part in best}) > 1:
        places = ", ".join(str(part.place.relative_to(root)) for part in best)
        raise SeedxError(f"{root} has several {best[0].name}: {places}; give a folder with one")
    return best[0]


def _content(part: Part) -> tuple[tuple[str, int], ...]:
    """Copies of the same files have the same names and sizes."""
    return tuple((file.name, file.stat().st_size) for file in part.files)


def _needs(variant: str | None, parts: dict[str, Part]) -> tuple[str, ...]:
    """What a model can't be converted without. Of one that is not known, or without a language model, either stage of
    the de-tokenizer will do."""
    if variant and has_language(variant):
        return (*needs_of(variant), stage_of(variant))
    here = [stage for stage in reversed(STAGES) if stage in parts]
    usable = [stage for stage in here if not parts[stage].problem]
    stage = (*usable, *here, STAGES[1])[0]
    return (*needs_of(variant), stage)


def complete(selection: Selection) -> Selection:
    """The selection, of which `llm` need not have weights if the agent's file has the language model, too."""
    agent, llm = selection.parts.get("agent"), selection.parts.get("llm")
    if agent is None or agent.problem or (llm and llm.files):
        return selection
    if not any(_is_base(name) for name in weights.read(*agent.files)):
        if llm and not llm.problem and "llm" in selection.needs:  # a config without weights
            llm = dataclasses.replace(llm, problem=f"{llm.place} holds no weights: the download is not complete")
            return dataclasses.replace(selection, parts=selection.parts | {"llm": llm})
        return selection
    parts = selection.parts | ({"llm": Part("llm", llm.place)} if llm else {})
    return Selection(selection.variant, parts, tuple(part for part in selection.needs if part != "llm"))


def _is_base(name: str) -> bool:
    """Whether an agent's file holds a layer of the language model, and not only what LoRA adds to it."""
    return name.startswith("llm.") and "_proj." in name and ".lora_" not in name
