"""The language model as a GGUF file, read back by transformers' own reader and by the package gguf."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from checkpoint import mock_release
from seedx import cli
from seedx.checkpoint import gguf_file, mapped, native
from seedx.checkpoint.gguf_convert import KINDS, convert_folder
from seedx.checkpoint.hub import locate
from seedx.checkpoint.weights import read as read_weights
from seedx.errors import MissingPackageError, SeedxError

BUNDLED = locate("tiny")
CONFIG = native.read_config(BUNDLED)


@pytest.fixture(scope="module")
def weights():
    """The bundled language model's, as stored: in half precision."""
    return native.read_part(BUNDLED, "language")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("gguf")
    for kind in KINDS:
        convert_folder("tiny", root / kind, kind)
    return root


def read(file):
    """The matrices and vectors of a GGUF file in float32, and the type of each."""
    tensors = gguf.GGUFReader(file).tensors
    return {t.name: gguf.dequantize(t.data, t.tensor_type) for t in tensors}, {t.name: t.tensor_type for t in tensors}


def test_transformers_reads_the_same_weights(folders, weights):
    """Its reader undoes llama.cpp's order of rows and its names by code of its own."""
    file = folders / "f16" / native.GGUF
    sizes = load_gguf_checkpoint(file, return_tensors=False)["config"]
    model = LlamaForCausalLM(LlamaConfig(**{key: value for key, value in sizes.items() if key != "architectures"}))
    found = load_gguf_checkpoint(file, return_tensors=True, model_to_load=model)["tensors"]
    assert {f"llm.{name}" for name in found} == set(weights)
    for name, tensor in found.items():
        torch.testing.assert_close(tensor.float(), weights[f"llm.{name}"].float(), atol=0, rtol=0)


@pytest.mark.parametrize(("kind", "levels", "matrix"), [("q8_0", 127, "Q8_0"), ("q4_0", 8, "Q4_0")])
def test_values_are_within_half_a_step_of_their_block(folders, weights, kind, levels, matrix):
    values, types = read(folders / kind / native.GGUF)
    assert types["blk.3.ffn_up.weight"].name == matrix and types["token_embd.weight"].name == "Q8_0"
    assert types["output.weight"].name == "Q8_0" and types["blk.0.attn_norm.weight"].name == "F32"
    for name in ("mlp.up_proj", "mlp.down_proj", "self_attn.v_proj", "self_attn.o_proj"):
        true = weights[f"llm.model.layers.3.{name}.weight"].float().numpy().reshape(-1, 32)
        stored = values[gguf_file.gguf_name(f"llm.model.layers.3.{name}.weight")].reshape(-1, 32)
        step = np.abs(true).max(axis=1, keepdims=True) / levels
        # 4 bits have one level less on the side of the smaller extreme; scales are in half precision.
        assert (np.abs(stored - true) <= step * (0.5 if kind == "q8_0" else 1.0) + 1e-3 * np.abs(true) + 1e-6).all()


def test_rows_of_a_head_are_interleaved():
    weight = torch.arange(8.0)[:, None]
    assert gguf_file.interleaved(weight, 2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_rows_that_fit_no_block_stay_in_half_precision(tmp_path):
    """The mock release has rows of 16 values."""
    release = mock_release.make(tmp_path)
    assert cli.main(["convert", str(release), str(tmp_path / "out"), "--variant", "seed_x_i", "--gguf", "q4_0"]) == 0
    values, types = read(tmp_path / "out" / native.GGUF)
    assert types["blk.0.attn_v.weight"].name == "F16"
    official = mock_release.random_state("llm", 20 + mock_release.MODELS.index("seed_x_i"))
    np.testing.assert_allclose(
        values["blk.1.attn_v.weight"], official["model.layers.1.self_attn.v_proj.weight"], atol=2e-4
    )
    np.testing.assert_allclose(values["output.weight"], official["lm_head.weight"], atol=2e-4)
    assert not list((tmp_path / "out").glob("language*.safetensors"))


def test_a_folder_keeps_its_other_parts(folders):
    for kind in KINDS:
        assert native.read_config(folders / kind) == CONFIG
        assert not (folders / kind / "language.safetensors").exists()
        for part in ("vision", "bridge", "detokenizer", "vae"):
            assert (folders / kind / f"{part}.safetensors").samefile(BUNDLED / f"{part}.safetensors")
    sizes = [(folders / kind / native.GGUF).stat().st_size for kind in KINDS]
    assert sizes[0] > sizes[1] > sizes[2] and not list(folders.glob("*/half.gguf"))


def test_other_parts_in_another_precision(tmp_path):
    convert_folder("tiny", tmp_path / "out", "q8_0", torch.bfloat16)
    assert native.read_part(tmp_path / "out", "bridge")["tile_positions"].dtype == torch.bfloat16


def test_a_file_of_another_model_is_refused(folders, tmp_path):
    file = gguf_file.GgufFile(folders / "q8_0" / native.GGUF)
    file.check(CONFIG.language)
    for change, named in (
        ({"layers": 7}, "llama.block_count must be 7.*not 6"),
        ({"rope_theta": 5e5}, "llama.rope.freq_base must be 500000.0"),
        ({"vocab_size": 2001}, r"token_embd.weight must have shape \(2001, 256\), not \(2000, 256\)"),
    ):
        with pytest.raises(SeedxError, match=named):
            file.check(dataclasses.replace(CONFIG.language, **change))
    (tmp_path / "junk.gguf").write_bytes(b"<html>not found</html>")
    (tmp_path / "cut.gguf").write_bytes((folders / "q8_0" / native.GGUF).read_bytes()[:500_000])
    for name in ("junk.gguf", "cut.gguf"):
        with pytest.raises(SeedxError, match="can't be read as GGUF"):
            gguf_file.GgufFile(tmp_path / name)
    with pytest.raises(SeedxError, match="there is no GGUF file"):
        gguf_file.GgufFile(tmp_path / "none.gguf")


def test_an_unknown_kind_and_a_missing_package_are_said(tmp_path, monkeypatch):
    with pytest.raises(SeedxError, match=r"q8_0.*not 'q3'"):
        convert_folder("tiny", tmp_path / "out", "q3")
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingPackageError, match=r"pip install gguf"):
        convert_folder("tiny", tmp_path / "out", "q8_0")
    assert not (tmp_path / "out").exists()


def test_one_line_errors_of_the_verb(tmp_path, capsys):
    assert cli.main(["convert", "tiny", str(tmp_path / "out"), "--gguf", "q8_0", "--to", "release"]) == 2
    assert "leave out --to release" in capsys.readouterr().err
    assert cli.main(["convert", "tinny", str(tmp_path / "out"), "--gguf", "q8_0"]) == 2
    assert "unknown model 'tinny'" in capsys.readouterr().err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts mapped pages in /proc")
def test_mapped_files_are_let_go_of(tmp_path):
    def resident():
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(status["RssFile"].split()[0])

    tensor = torch.arange(16 * 1024**2, dtype=torch.int32)
    save_file({"x": tensor}, tmp_path / "x.safetensors")
    stored = read_weights(tmp_path / "x.safetensors")["x"]
    assert int(stored.sum()) == int(tensor.sum())
    full = resident()
    calls = []
    report = mapped.forgetting([tmp_path / "x.safetensors"], lambda part, size: calls.append((part, size)))
    report("vision", 10)
    assert full - resident() < 1000  # nothing yet
    report("vision", 256 * 1024**2)
    assert full - resident() > 60_000
    assert torch.equal(stored, tensor) and calls == [("vision", 10), ("vision", 256 * 1024**2)]
