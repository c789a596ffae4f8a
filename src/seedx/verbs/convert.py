"""`seedx convert`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seedx.errors import SeedxError
from seedx.verbs.output import file_errors

if TYPE_CHECKING:
    from seedx.checkpoint.convert import Converted
    from seedx.config import Config

Variant = Literal["seed_x", "seed_x_i", "seed_x_edit", "seed_story", "detokenizer"]
Gguf = Literal["f16", "q8_0", "q4_0", "q6_k", "q5_k_m", "q4_k_m"]


def convert(
    model: str,
    out: Path | None = None,
    /,
    *,
    variant: Variant | None = None,
    dry_run: bool = False,
    to: Literal["seedx", "release", "peft"] = "seedx",
    finetuned: Path | None = None,
    keep_adapter: bool = False,
    sizes: str | None = None,
    dtype: Literal["float32", "float16", "bfloat16"] | None = None,
    gguf: Gguf | None = None,
) -> int:
    """Convert the release's files to a model folder that --model takes, or back; or a model to GGUF for llama.cpp.

    Args:
        model: the model to convert. With --to seedx: the folder that the release was downloaded to, nested in any way.
            With --to release or peft: "tiny", a model folder, or a hub id. With --gguf: any of these.
        out: folder to write; not needed with --dry-run.
        variant: which of the released models; by default the only one that is there.
        dry_run: list what was found for each part, and where to get what is missing; write nothing.
        to: the layout to write: seedx, a model folder of this library; release, the names and files of the release;
            peft, the same with the language model in peft's names, to be tuned further by the release's code.
        finetuned: a pytorch_model.bin that fine-tuning with the release's code wrote, in place of the model's agent.
        keep_adapter: LoRA of --finetuned is not merged but written to OUT/adapters/finetuned, for --adapter.
        sizes: a preset (17b) or a config.json with the sizes of the model; by default the files tell.
        dtype: precision to store; by default that of the files read.
        gguf: store the language model as GGUF, for --engine llama_cpp: f16, or 8, 6, 5 or 4 bits a weight. Those with a
            k are made by llama.cpp, from f16 on the disk.
    """
    if dry_run:
        return _list(model, variant, finetuned)
    if out is None:
        raise SeedxError("give the folder to write: seedx convert MODEL OUT")
    import torch

    from seedx.checkpoint import gguf_convert, native, release_writer
    from seedx.checkpoint.convert import convert as from_release

    precision = getattr(torch, dtype) if dtype else None
    with file_errors(), progress_bar() as progress:
        if gguf and to != "seedx":
            raise SeedxError(f"--gguf writes a model folder of this library: leave out --to {to}")
        if gguf and (not Path(model).is_dir() or native.is_model(Path(model))):
            gguf_convert.convert_folder(model, out, gguf, precision, progress)
            print(f"{out}: the language model as GGUF ({gguf}); try `seedx chat --model {out}`")
            return 0
        if to != "seedx":
            release_writer.write_release(model, out, precision, progress, peft=to == "peft")
            print(f"{out}: in the layout of the release" + (", the language model in peft's names" * (to == "peft")))
            return 0
        made = from_release(
            model,
            out,
            _sizes(sizes),
            precision,
            progress,
            variant=variant,
            finetuned=finetuned,
            keep_adapter=keep_adapter,
            gguf=gguf,
        )
    _report(made, out)
    return 0


def _report(made: Converted, out: Path) -> None:
    """Say what was written, and what was left out."""
    shared = f" (shared with a model beside it: {', '.join(made.linked)})" if made.linked else ""
    verb = {"detokenizer": "reconstruct IMAGE", "seed_story": 'story "TEXT" --image IMAGE'}.get(
        made.variant or "", "chat"
    )
    print(f"{out}: {made.variant}{shared}; try" if made.variant else f"{out}: try", f"`seedx {verb} --model {out}`")
    for problem in made.damaged:
        print(f"seedx: left out, since it is not needed: {problem}", file=sys.stderr)


def _list(model: str, variant: str | None, finetuned: Path | None) -> int:
    """Print the parts. Exit code 1 if the model can't be converted."""
    from seedx.checkpoint.convert import select
    from seedx.checkpoint.layouts import PARTS, about, source_of
    from seedx.terminal import new_table, print_table

    with file_errors():
        selection = select(Path(model), variant, finetuned)
        table = new_table("part", "GB", "where", words=["where"])
        for name in PARTS:
            part = selection.parts.get(name)
            if part:
                where = part.problem or str(part.place)
            else:
                word = "missing" if name in selection.needs else "not here, not needed"
                where = f"{word}: get it from {source_of(name, selection.variant)}"
            bad = part.problem != "" if part else name in selection.needs
            size = f"{part.size / 1e9:.2f}" if part and part.files and not bad else ""
            table.add_row(about(name, selection.variant), size, where, style="red" if bad else None)
    print_table(table)
    problems = selection.problems()
    ready = f"{len(problems)} of the parts are missing or damaged" if problems else "everything needed is here"
    print(f"{selection.variant or 'a model whose folder does not say which one it is'}: {ready}")
    return 1 if problems else 0


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[str, int], None]]:
    """A bar of bytes, to be called with the part of the model and the bytes that were read of it."""
    from tqdm import tqdm

    with tqdm(unit="B", unit_scale=True, disable=not sys.stderr.isatty()) as bar:

        def show(part: str, size: int) -> None:
            bar.set_description(part)
            bar.update(size)

        yield show


def _sizes(name: str | None) -> Config | None:
    from seedx.checkpoint.native import read_config
    from seedx.config import PRESETS

    if name is None:
        return None
    if name in PRESETS:
        return PRESETS[name]
    if Path(name).name == "config.json":
        return read_config(Path(name).parent)
    raise SeedxError(f"--sizes takes a preset ({', '.join(PRESETS)}) or a file config.json, not {name!r}")
