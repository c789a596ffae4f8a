"""Models in the form of the optional engines, made once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import seedx
from extras import smollm2 as known
from seedx.checkpoint import gguf_file
from seedx.checkpoint.gguf_convert import convert_folder
from seedx.engines.llama_context import LlamaModel
from seedx.model.language import Language

KINDS = ("f16", "q8_0", "q4_0")


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """The bundled model with its language model as GGUF, a folder for each of `KINDS`."""
    root = tmp_path_factory.mktemp("gguf")
    for kind in KINDS:
        convert_folder("tiny", root / kind, kind)
    return root


@pytest.fixture(scope="session")
def by_torch():
    return seedx.load("tiny")


@pytest.fixture(scope="session")
def by_llama(folders):
    return seedx.load(folders / "f16")


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory):
    """SmolLM2-135M in half precision: `language` in torch, in float32; `f16` and `q8_0` in llama.cpp; `prompts`."""
    root = tmp_path_factory.mktemp("smollm2")
    config, weights, prompts = known.read()
    language = Language(config).eval().requires_grad_(False)
    language.load_state_dict(weights, strict=False, assign=True)
    language.llm.tie_weights()
    made = {}
    for kind in ("f16", "q8_0"):
        gguf_file.write(root / f"{kind}.gguf", config, weights, kind)
        made[kind] = LlamaModel(root / f"{kind}.gguf", config)
    return SimpleNamespace(language=language, prompts=prompts, **made)
