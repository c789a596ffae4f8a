"""The release's files -> a native folder."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from seedx import tokenizer
from seedx.checkpoint import gguf_convert, mapped, native, peft_names, weights
from seedx.checkpoint.adapters import SAMPLED, write_adapter
from seedx.checkpoint.base.vision import visual_only
from seedx.checkpoint.download import Part, Selection, complete, survey
from seedx.checkpoint.gguf_convert import Kind
from seedx.checkpoint.layouts import LAYOUTS, STAGES, has_language, stage_of
from seedx.checkpoint.parts import build, modules, part_state
from seedx.checkpoint.peft_names import Merged
from seedx.checkpoint.release import from_release
from seedx.checkpoint.shared_parts import origin, take, write_record
from seedx.checkpoint.sizes import sizes_of
from seedx.config import Config
from seedx.damage import damage
from seedx.errors import SeedxError
from seedx.model.lora import Update

Progress = Callable[[str, int], None]

OURS = {"visual_encoder": "vision", "agent": "bridge", "llm": "language", "vae": "vae"}  # the release's part -> ours
_AGENT_LANGUAGE = "llm."  # of the language model's names in the file of a fine-tuned model


@dataclass(frozen=True)
class Converted:
    """
    Attributes:
        variant: a name of `LAYOUTS`; None if neither the folder nor the caller said which one it is.
        linked: parts that a model beside the folder had, which take no further space.
        damaged: parts that were left out, since they are damaged and the model does not need them; why, a line each.
    """

    variant: str | None
    linked: tuple[str, ...]
    damaged: tuple[str, ...]


def convert(
    source: str | Path,
    target: str | Path,
    sizes: Config | None = None,
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
    *,
    variant: str | None = None,
    finetuned: str | Path | None = None,
    keep_adapter: bool = False,
    gguf: Kind | None = None,
) -> Converted:
    """Convert the release's files to a folder for `native.load`, one shard at a time.

    Args:
        source: a folder in which the release was downloaded, nested in any way (see `layouts.py`). What the
            de-tokenizer's file lacks of the U-Net is taken from SDXL's `unet`. Both stages are kept if they are there.
        sizes: None: as the files tell.
        dtype: of the stored weights; None: as in the files.
        progress: called for each tensor, or each part that is linked, with its part and its size in bytes.
        variant: which of the released models, a name of `LAYOUTS`; None: the only one.
        finetuned: a pytorch_model.bin that fine-tuning with the release's code wrote, in place of the model's `agent`.
            LoRA in peft's names is merged.
        keep_adapter: LoRA of that file is not merged but written as an adapter to adapters/finetuned in `target`; what
            else was tuned (embeddings, norms, head, resamplers) is part of the model.
        gguf: the language model is stored as a GGUF file of this kind; see `gguf_convert.write_language`.

    Raises:
        SeedxError: there is a choice of models, a part is missing or damaged, or a weight is missing, unknown or of
            another shape.
    """
    source, target = Path(source), Path(target)
    selection = check(select(source, variant, finetuned))
    if sizes is None and selection.variant is None:
        raise SeedxError(f"no name of a folder says which model {source} is: give --variant {'|'.join(LAYOUTS)}")
    files = Files(selection.usable, language=has_language(selection.variant))
    words = tokenizer.load(selection.parts["tokenizer"].place) if files.language else None
    stage = main_stage(selection, sizes)
    if sizes is None:
        assert selection.variant is not None
        specials = words.specials if words else None
        sizes = sizes_of(files.official(), files.parts, specials, selection.variant, stage == STAGES[1])
    lora = files.take_lora() if keep_adapter else {}
    detokenizer = dataclasses.replace(sizes.detokenizer, condition=stage == STAGES[1])
    config = dataclasses.replace(sizes, variant=selection.variant or sizes.variant, detokenizer=detokenizer)
    if words and words.vocab_size > config.language.vocab_size:
        raise SeedxError(f"the tokenizer has {words.vocab_size} ids, the model {config.language.vocab_size}")
    report = mapped.forgetting([file for part in selection.usable.values() for file in part.files], progress)
    with native.replacing(target) as aside:
        native.write_config(config, aside)
        if words:
            words.save(aside)
        linked = _write_parts(files, config, stage, aside, target, dtype, report, gguf)
        write_record(aside, selection.variant, files.origins(stage, dtype))
    if lora:
        llm = files.official()["llm"]
        write_adapter(target / "adapters" / "finetuned", "language", lora, llm[SAMPLED["language"]])
    damaged = tuple(part.problem for part in selection.parts.values() if part.problem)
    return Converted(selection.variant, tuple(linked), damaged)


def select(source: Path, variant: str | None = None, finetuned: str | Path | None = None) -> Selection:
    """The parts of one model below `source`; see `convert`.

    Raises:
        SeedxError: there is a choice of models, or an unknown variant.
    """
    if variant is not None and variant not in LAYOUTS:
        raise SeedxError(f"unknown variant {variant!r}: choose from {', '.join(LAYOUTS)}")
    selection = survey(source).select(variant)
    if finetuned is None:
        return selection
    file = Path(finetuned)
    if not file.is_file():
        raise SeedxError(f"--finetuned takes the file of a fine-tuned model, and {str(file)!r} is none")
    problem = damage(file)
    agent = Part("agent", file, (file,), f"{file} {problem}" if problem else "")
    return complete(Selection(selection.variant, selection.parts | {"agent": agent}, selection.needs))


def check(selection: Selection) -> Selection:
    """
    Raises:
        SeedxError: a part is missing or damaged.
    """
    if problems := selection.problems():
        more = f" (and {len(problems) - 1} more: --dry-run lists all)" if len(problems) > 1 else ""
        raise SeedxError(problems[0] + more)
    return selection


def main_stage(selection: Selection, sizes: Config | None) -> str:
    """The stage of the de-tokenizer that the model draws by."""
    if selection.variant and has_language(selection.variant):
        return stage_of(selection.variant)
    if sizes is not None:
        return STAGES[sizes.detokenizer.condition]
    return next(stage for stage in reversed(STAGES) if stage in selection.usable)


class Files:
    """The weights of the selected parts, mapped from the disk, LoRA taken apart from what it changes.

    Args:
        language: whether the model has a language model.
    """

    def __init__(self, parts: Mapping[str, Part], language: bool = True) -> None:
        self.parts, self.language = parts, language
        self.updates: dict[str, Update] = {}
        self._official = {"vae": weights.read(*parts["vae"].files)}
        self._official["visual_encoder"] = visual_only(weights.read(*parts["visual_encoder"].files))
        if language:
            self._official["agent"] = weights.read(*parts["agent"].files)
            self._official["llm"] = self._language()
        for stage in self.stages:
            self._official[stage] = self._whole(stage)

    @property
    def stages(self) -> list[str]:
        return [stage for stage in STAGES if stage in self.parts]

    def official(self) -> dict[str, dict[str, Tensor]]:
        """Each part under the release's names; the language model without LoRA's changes."""
        return self._official

    def ours(self, part: str) -> Mapping[str, Tensor]:
        """A part under our names, LoRA merged."""
        state = from_release(part, self._official[part])
        return Merged(state, from_release("llm", self.updates)) if part == "llm" and self.updates else state

    def take_lora(self) -> dict[str, Update]:
        """LoRA's changes, which are then not merged.

        Raises:
            SeedxError: there are none.
        """
        if not self.updates:
            raise SeedxError("there is no LoRA to keep: give --finetuned a pytorch_model.bin with LoRA in peft's names")
        Merged(self._official["llm"], self.updates)  # checks that they fit
        taken, self.updates = self.updates, {}
        return taken

    def origins(self, main: str, dtype: torch.dtype | None) -> dict[str, dict[str, object]]:
        """By our names, what the parts are made from that models share."""
        made = {part: [*self.parts[part].files] for part in ("visual_encoder", "vae")}
        unet = self.parts.get("unet")
        made |= {stage: [*self.parts[stage].files, *(unet.files if unet else ())] for stage in self.stages}
        return {stored_as(part, main): origin(part, files, dtype) for part, files in made.items()}

    def _language(self) -> dict[str, Tensor]:
        """The language model, of which a fine-tuned agent may hold a part, all, or LoRA's changes."""
        base = weights.read(*self.parts["llm"].files) if "llm" in self.parts else {}
        agent = self._official["agent"]
        tuned = {name: tensor for name, tensor in agent.items() if name.startswith(_AGENT_LANGUAGE)}
        self._official["agent"] = {name: tensor for name, tensor in agent.items() if name not in tuned}
        plain, self.updates = peft_names.from_peft({k.removeprefix(_AGENT_LANGUAGE): t for k, t in tuned.items()})
        return {k: t for k, t in peft_names.from_peft(base)[0].items() if k not in plain} | plain

    def _whole(self, stage: str) -> dict[str, Tensor]:
        """The de-tokenizer's own weights, and those of SDXL's U-Net that its training left as they were."""
        own = weights.read(*self.parts[stage].files)
        if "unet" not in self.parts:
            return own
        unet = {f"unet.{name}": tensor for name, tensor in weights.read(*self.parts["unet"].files).items()}
        return own | {name: tensor for name, tensor in unet.items() if name not in own}


def stored_as(part: str, main: str) -> str:
    """The name of a part in a model folder: the stage that the model draws by is its "detokenizer"."""
    return "detokenizer" if part == main else OURS.get(part, part)


def _write_parts(
    files: Files,
    config: Config,
    main: str,
    aside: Path,
    target: Path,
    dtype: torch.dtype | None,
    progress: Progress,
    gguf: Kind | None,
) -> list[str]:
    """Returns the parts that were linked."""
    expected, origins, linked = modules(*build(config)), files.origins(main, dtype), []
    for part in files.official():
        name = stored_as(part, main)
        module = native.other_stage(config) if name in STAGES else expected[name]
        state = files.ours(part)
        base = state.base if isinstance(state, Merged) else state
        weights.check(base, part_state("detokenizer" if part in STAGES else name, module), part)
        if name in origins and (size := take(name, origins[name], aside, target)):
            linked.append(name)
            progress(name, size)
        elif name == "language" and gguf:
            gguf_convert.write_language(aside, config.language, state, gguf, progress)
        else:
            weights.write(aside, name, state, dtype, progress=functools.partial(progress, name))
    return linked
