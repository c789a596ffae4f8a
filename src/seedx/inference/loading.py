"""What `seedx.load` does: find a model, load it, and give it to an engine.

An option of loading has one home here: its name and type in `LoadOptions`, its default and its use in `load_engine`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict, cast, get_args

import torch

from seedx.checkpoint import native, weights
from seedx.checkpoint.adapters import Adapters, read_adapters
from seedx.checkpoint.hub import Hub, locate
from seedx.checkpoint.placement import Dtype, Memory, Placement, placement
from seedx.engines.compiled import check_compilable
from seedx.engines.llama_context import LlamaModel
from seedx.errors import SeedxError
from seedx.images import MAX_PIXELS
from seedx.inference.engine import Engine
from seedx.inference.settings import CacheName, EngineName

NEARLY_QUANTISED = (
    0.1  # as `adapters.NEARLY`; 4 bits change some hundredths of a weight's norm, another model all of it
)


class LoadOptions(TypedDict, total=False):
    """How a model is loaded.

    Attributes:
        device: where it runs: "cpu" (the default), "cuda", "cuda:1", "mps".
        dtype: of the weights; None: float32 on the CPU, bfloat16 elsewhere and where `memory` is "cpu".
        memory: a mode, "full" (the default), "24gb", "12gb" or "cpu"; or choices of one's own: see
            `seedx.checkpoint.placement`.
        max_pixels: pictures with more are refused before they are decoded; None: `images.MAX_PIXELS`.
        progress: show a bar on stderr when drawing takes longer than a second.
        adapter: folders of adapters that stay apart from the model (`checkpoint/adapters.py`). One folder: every
            request has it that names no other. Several, in a list (named by their folders) or {name: folder}: a request
            names one, by the option `adapter`.
        revision: of a hub id: a branch, tag or commit; None: the main branch.
        cache_dir: where downloads are kept; None: the cache of huggingface_hub.
        local_files_only: use what was downloaded before, without the network.
        engine: who runs the language model: "torch", or "llama_cpp", which needs it as a GGUF file and the extra
            `seedx[llama]`. None: torch where the model has weights for it.
        gguf: a GGUF file of this model's language model; None: `language.gguf` in its folder.
        threads: of llama.cpp; None: as many as torch uses.
        repack: llama.cpp keeps quantised weights a second time, in an order that is faster. False halves its memory.
        cache: of the language model in torch. "static": passes of one token a row keep their shapes and memory, which
            stays when a reply has ended; "dynamic", the default: they read no more than there is.
        compile: torch compiles these passes (on a GPU as CUDA graphs; the cache is then static) and the U-Net, when
            they first run.
    """

    device: str | torch.device
    dtype: torch.dtype | None
    memory: Memory | Placement | None
    max_pixels: int | None
    progress: bool
    adapter: Adapters | None
    revision: str | None
    cache_dir: str | Path | None
    local_files_only: bool
    engine: EngineName | None
    gguf: str | Path | None
    threads: int | None
    repack: bool
    cache: CacheName
    compile: bool


def load_engine(
    name: str | Path = "tiny",
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    memory: Memory | Placement | None = None,
    max_pixels: int | None = None,
    progress: bool = False,
    adapter: Adapters | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    engine: EngineName | None = None,
    gguf: str | Path | None = None,
    threads: int | None = None,
    repack: bool = True,
    cache: CacheName = "dynamic",
    compile: bool = False,
) -> Engine:
    """A loaded model, ready to reply. The options are those of `LoadOptions`.

    Args:
        name: "tiny" (bundled), a folder, or a hub id "organisation/name".

    Raises:
        SeedxError: no such model, weights that do not fit its config.json, a device that is not there, an adapter that
            is none or another model's, no GGUF file for llama.cpp, or what can't be compiled.
        MissingPackageError: what the engine needs is not installed.
    """
    precision = cast("Dtype | None", str(dtype).removeprefix("torch.") if dtype else None)
    where = placement(memory, None if device is None else str(device), precision)
    for place in {where.device, *where.devices.values()}:
        check_device(place)
    if cache not in get_args(CacheName):
        raise SeedxError(f"cache is {', '.join(get_args(CacheName))}, not {cache!r}")
    if compile:
        check_compilable(where, adapter is not None)
    folder = locate(name, Hub(revision, cache_dir, local_files_only))
    adapters = {} if adapter is None else read_adapters(adapter)
    default = next(iter(adapters)) if isinstance(adapter, str | Path) else None
    file = _gguf(folder, engine, gguf)
    model = native.load(folder, language=file is None, placement=where)
    llama = None
    if file is not None:
        gpu = torch.device(where.device).type != "cpu"
        llama = LlamaModel(file, model.config.language, threads=threads, repack=repack, gpu=gpu)
        for each in adapters.values():
            if "language" in each.parts:
                each.check_sampled("language", llama.sampled(), NEARLY_QUANTISED)
                llama.add_adapter(each.name, each.parts["language"])
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    return Engine(
        model,
        max_pixels=limit,
        progress=progress,
        llama=llama,
        adapters=adapters,
        adapter=default,
        static=cache == "static",
        compiled=compile,
    )


def _gguf(folder: Path, engine: EngineName | None, gguf: str | Path | None) -> Path | None:
    """The file that llama.cpp runs; None for torch.

    Raises:
        SeedxError: an unknown engine, one that does not go with the file, or no file.
    """
    if engine is not None and engine not in get_args(EngineName):
        raise SeedxError(f"engine is {', '.join(get_args(EngineName))}, not {engine!r}")
    if gguf is not None and engine == "torch":
        raise SeedxError("a GGUF file is run by the engine llama_cpp, not torch")
    own = folder / native.GGUF
    for_torch = bool(weights.find(folder, "language")) or not own.is_file()
    if engine == "torch" and not for_torch:
        raise SeedxError(
            f"{folder} has its language model as GGUF, which the engine llama_cpp runs; for torch, convert the model "
            "without --gguf"
        )
    if engine == "torch" or (engine is None and gguf is None and for_torch):
        return None
    if gguf is None and not own.is_file():
        raise SeedxError(
            f"{folder} has no {native.GGUF} for llama.cpp: make a folder that has by `seedx convert {folder} OUT "
            "--gguf q8_0`, or give a file of the same language model by gguf= (--gguf)"
        )
    return own if gguf is None else Path(gguf)


def check_device(device: str | torch.device) -> None:
    """
    Raises:
        SeedxError: torch knows no such device here.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SeedxError(f"torch can't use the device {str(device)!r} here: {str(error).splitlines()[0]}") from error
