"""A language model and its contexts as llama.cpp has them: GGUF weights, and cells that hold keys and values.

A context has `cells` for the tokens of all its sequences together; which are whose is llama.cpp's own business. A
sequence is known by a number below `SEQUENCES`. Several are read in one batch, a token as its embedding at its
position. Contexts are of fixed size, so a larger one is a new one (`Context.grown`).

Shapes:
    T tokens of a batch, N tokens whose results are asked for, D width of the language model, V vocabulary
"""

from __future__ import annotations

import ctypes
import os
import tempfile
import warnings
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from seedx.checkpoint import llama_cpp
from seedx.checkpoint.adapters import sampled_places
from seedx.checkpoint.gguf_file import GgufFile, write_lora
from seedx.config import LanguageConfig
from seedx.errors import SeedxError, SeedxWarning
from seedx.model.lora import Updates

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]

SEQUENCES = 256  # the most that llama.cpp can tell apart
BATCH = 512  # tokens in one pass; a longer prompt is read in several
GROWTH = 256  # cells


class LlamaModel:
    """The weights of a GGUF file in llama.cpp.

    Args:
        config: the sizes that it must have.
        threads: of the CPU; None: as many as torch uses.
        repack: copy quantised weights in an order that is faster to compute with. The copy stands beside the mapped
            file, so it takes about twice the memory.
        gpu: run on a GPU, if llama.cpp was built for one.

    Raises:
        SeedxError: the file is not of this model, or llama.cpp can't load it.
        MissingPackageError: llama-cpp-python or gguf is not installed.
    """

    def __init__(
        self,
        file: Path,
        config: LanguageConfig,
        *,
        threads: int | None = None,
        repack: bool = True,
        gpu: bool = False,
    ) -> None:
        self.api = api = llama_cpp.package()
        self.config, self.threads = config, threads or torch.get_num_threads()
        if not isinstance(self.threads, int) or self.threads < 1:
            raise SeedxError(f"threads is a whole number of at least 1, not {threads!r}")
        self.file = GgufFile(file)
        self.file.check(config)
        settings = api.llama_model_default_params()
        settings.n_gpu_layers = -1 if gpu else 0
        settings.use_extra_bufts = repack and not _crashes_repacked(api)
        self.pointer = api.llama_model_load_from_file(os.fsencode(file), settings)
        if not self.pointer:
            raise SeedxError(f"llama.cpp can't load {file}{llama_cpp.last_words()}")
        weakref.finalize(self, api.llama_model_free, self.pointer)
        self._idle: list[Context] = []
        self.adapters: dict[str, Any] = {}  # llama.cpp's, by name; they live as long as the model

    def add_adapter(self, name: str, updates: Updates) -> None:
        """Load LoRA of the language model, for `Context.use`.

        Raises:
            SeedxError: it changes what this model does not have, or layers of other sizes.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "lora.gguf"
            write_lora(file, self.config, updates)
            adapter = self.api.llama_adapter_lora_init(self.pointer, os.fsencode(file))
        if not adapter:
            raise SeedxError(f"the adapter {name!r} does not fit this model{llama_cpp.last_words()}")
        self.adapters[name] = adapter

    def sampled(self) -> list[float]:
        """The values of the embeddings that an adapter is compared by."""
        places = sampled_places(self.config.vocab_size * self.config.hidden_size).numpy()
        rows, columns = np.divmod(places, self.config.hidden_size)
        values: list[float] = self.file.embeddings(rows)[np.arange(len(rows)), columns].tolist()
        return values

    def context(self, cells: int) -> Context:
        """An empty context of at least so many cells: one that was given back, or a new one."""
        found = self._idle.pop() if self._idle else None
        return found if found is not None and found.cells >= cells else Context(self, cells)

    def give_back(self, context: Context) -> None:
        """An empty context, for the next reply. A very large one is freed instead."""
        if not self._idle and context.cells <= max(self.config.context, GROWTH):
            self._idle.append(context)


def _crashes_repacked(api: Any) -> bool:
    """llama.cpp built for Intel's AMX by some compilers crashes on repacked weights (its pull request 26954)."""
    if b"AMX_INT8 = 1" not in api.llama_print_system_info():
        return False
    warnings.warn(
        "llama.cpp was built with AMX, which can crash on repacked weights: they stay as they are, which is slower; "
        "`make llama` builds it without",
        SeedxWarning,
        stacklevel=2,
    )
    return True


class Context:
    """Cells for keys and values, and what is read into them."""

    def __init__(self, model: LlamaModel, cells: int) -> None:
        self.model, self._api = model, model.api
        api, self.cells = model.api, -(-cells // GROWTH) * GROWTH
        settings = api.llama_context_default_params()
        settings.n_ctx = self.cells
        settings.n_batch = settings.n_ubatch = BATCH
        settings.n_seq_max = SEQUENCES
        settings.kv_unified = True
        settings.pooling_type = api.LLAMA_POOLING_TYPE_NONE
        settings.n_threads = settings.n_threads_batch = model.threads
        settings.no_perf = True
        self._pointer = api.llama_init_from_model(model.pointer, settings)
        if not self._pointer:
            raise SeedxError(
                f"llama.cpp has no context of {self.cells} tokens{llama_cpp.last_words()}: is there enough memory?"
            )
        self._free = weakref.finalize(self, api.llama_free, self._pointer)
        self._memory = api.llama_get_memory(self._pointer)
        self._batch = _Batch(api, model.config.hidden_size)
        self._adapter: str | None = None

    def read(
        self,
        sequences: Sequence[int],
        positions: Sequence[int],
        embeds: Floats,
        wanted: Sequence[bool],
        states: bool,
    ) -> tuple[Floats, Floats]:
        """Read tokens: sequence and position (T,) and embedding (T, D) of each.

        Args:
            wanted: (T,) the N tokens whose results are asked for. With `states` all T must be.
            states: also give final states; the output head then runs for every token.

        Returns:
            final states (N, D) after the last norm, empty without `states`; logits (N, V).

        Raises:
            SeedxError: the cells do not suffice.
        """
        config, api = self.model.config, self._api
        assert not states or all(wanted)
        found_states = np.empty((sum(wanted) if states else 0, config.hidden_size), np.float32)
        found_logits = np.empty((sum(wanted), config.vocab_size), np.float32)
        api.llama_set_embeddings(self._pointer, states)
        done = 0
        for start in range(0, len(embeds), BATCH):
            part = slice(start, start + BATCH)
            self._batch.fill(sequences[part], positions[part], embeds[part], wanted[part])
            self._check(api.llama_decode(self._pointer, self._batch.struct))
            for at in (place for place, asked in enumerate(wanted[part]) if asked):
                found_logits[done] = _row(api.llama_get_logits_ith(self._pointer, at), config.vocab_size)
                if states:
                    found_states[done] = _row(api.llama_get_embeddings_ith(self._pointer, at), config.hidden_size)
                done += 1
        return found_states, found_logits

    def use(self, adapter: str | None) -> None:
        """Tokens that are read from now on are read with an adapter, or without one."""
        if adapter == self._adapter:
            return
        self._adapter = adapter
        pointers = [] if adapter is None else [self.model.adapters[adapter]]
        kind = self._api.llama_adapter_lora_p_ctypes
        scales = (ctypes.c_float * len(pointers))(*[1.0 for _ in pointers])
        self._api.llama_set_adapters_lora(self._pointer, (kind * len(pointers))(*pointers), len(pointers), scales)

    def rewind(self, sequence: int, length: int) -> None:
        """Forget a sequence's tokens from position `length` on."""
        self._api.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def saved(self, sequence: int) -> npt.NDArray[np.uint8]:
        """A sequence as bytes, for `restore` here or in another context of the same model."""
        data = np.empty(self._api.llama_state_seq_get_size(self._pointer, sequence), np.uint8)
        size = self._api.llama_state_seq_get_data(self._pointer, _bytes(data), len(data), sequence)
        assert size == len(data)
        return data

    def restore(self, sequence: int, data: npt.NDArray[np.uint8]) -> None:
        size = self._api.llama_state_seq_set_data(self._pointer, _bytes(data), len(data), sequence)
        if not size:
            raise SeedxError(f"llama.cpp can't put back what a conversation has read{llama_cpp.last_words()}")

    def grown(self, sequences: Sequence[int], cells: int) -> Context:
        """A larger context with the same sequences, in the place of this one, which is freed before."""
        kept = {sequence: self.saved(sequence) for sequence in sequences}
        self._free()
        larger = Context(self.model, max(cells, 2 * self.cells))
        for sequence, data in kept.items():
            larger.restore(sequence, data)
        return larger

    def _check(self, code: int) -> None:
        if code == 1:
            raise SeedxError(f"the context of {self.cells} tokens is full: answer fewer requests at a time")
        if code:
            raise RuntimeError(f"llama.cpp stopped with code {code}{llama_cpp.last_words()}")


class _Batch:
    """llama.cpp's batch of embeddings, on arrays of ours."""

    def __init__(self, api: Any, width: int) -> None:
        self._embeds = np.empty((BATCH, width), np.float32)
        self._positions, self._sequences, self._counts = (np.empty(BATCH, np.int32) for _ in range(3))
        self._wanted = np.empty(BATCH, np.int8)
        self._counts[:] = 1
        integers = ctypes.POINTER(ctypes.c_int32)
        each = [self._sequences[i:].ctypes.data_as(integers) for i in range(BATCH)]
        self._pointers = (integers * BATCH)(*each)
        self.struct = api.llama_batch(
            0,
            None,
            self._embeds.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
            self._positions.ctypes.data_as(integers),
            self._counts.ctypes.data_as(integers),
            ctypes.cast(self._pointers, ctypes.POINTER(integers)),
            self._wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )

    def fill(self, sequences: Any, positions: Any, embeds: Floats, wanted: Any) -> None:
        count = self.struct.n_tokens = len(embeds)
        self._embeds[:count], self._positions[:count] = embeds, positions
        self._sequences[:count], self._wanted[:count] = sequences, wanted


def _row(pointer: Any, length: int) -> Floats:
    """The values at a pointer, without the types that `as_array` makes each time."""
    values: Any = ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float * length)).contents
    row: Floats = np.frombuffer(values, np.float32)
    return row


def _bytes(data: npt.NDArray[np.uint8]) -> Any:
    return data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
