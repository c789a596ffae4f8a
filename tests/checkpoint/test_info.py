"""What `seedx info` counts, against the release's own numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seedx.checkpoint.info import info, table
from seedx.terminal import table_text

PARAMETERS = json.loads((Path(__file__).parents[1] / "golden" / "manifest.json").read_text())["parameters"]


def test_17b_has_the_parameters_of_the_release() -> None:
    rows = {row.module: row.parameters for row in info("17b")}
    assert rows["visual tokenizer"] == PARAMETERS["visual_encoder"]
    agent = rows["input resampler"] + rows["output resampler"] + rows["tile positions"]
    assert agent == PARAMETERS["agent"]
    assert sum(rows[f"language {what}"] for what in ("embeddings", "blocks", "head")) == PARAMETERS["llm"]
    detokenizer = rows["de-tokenizer resampler"] + rows["de-tokenizer U-Net"]
    assert detokenizer == PARAMETERS["sdxl_adapter_second_stage"]
    assert rows["de-tokenizer VAE"] == PARAMETERS["sdxl_vae"]
    assert rows["total"] == sum(PARAMETERS.values())
    assert rows["de-tokenizer, other stage"] == PARAMETERS["sdxl_adapter_first_stage"]


def test_table_names_every_module_with_its_memory() -> None:
    rows = info("17b")
    lines = table_text(table(rows)).splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[1].split() == ["visual", "tokenizer", "1,935,610,624", "7.7", "GB", "3.9", "GB"]
    assert lines[-1].split()[-2:] == ["41.2", "GB"]  # bfloat16, but for the VAE


def test_unknown_model() -> None:
    with pytest.raises(ValueError, match="unknown model 'huge'"):
        info("huge")
