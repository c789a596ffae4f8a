"""`seedx verify --model`: what it checks of a converted model, and what it finds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from seedx.cli import main
from seedx.verify.model_probes import picture
from seedx.verify.model_report import fingerprint, is_released


def test_a_sound_model_passes_and_its_report_has_the_numbers(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    assert main(["verify", "--model", str(tiny_folder), "--steps", "1", "--report", str(file)]) == 0
    assert "14 of 14 pass; at most" in capsys.readouterr().out
    report = json.loads(file.read_text())
    vision = load_file(Path(tiny_folder) / "vision.safetensors")
    assert report["parts"]["vision"]["weights"] == sum(tensor.numel() for tensor in vision.values())
    assert report["parts"]["vision"]["tensors"]["proj"][1] == pytest.approx(float(vision["proj"].norm()), rel=1e-5)
    assert report["outputs"]["visual tokenizer"]["shape"] == [1, 64, 256]
    assert {check["name"] for check in report["checks"]} >= {"answer", "drawing", "U-Net", "weights of vae"}
    assert report["machine"]["peak_memory"] > 0 and len(report["outputs"]["drawing"]["pixels_8x8"]) == 8 * 8 * 3 * 2


def test_weights_that_are_not_finite_fail_and_are_named(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Path(shutil.copytree(tiny_folder, tmp_path / "broken"))
    state = load_file(broken / "vision.safetensors")
    state["proj"][0, 0] = torch.nan
    save_file(state, broken / "vision.safetensors")
    assert main(["verify", "--model", str(broken), "--steps", "1", "--json"]) == 1
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["weights of vision"]["detail"].startswith("1 weights are not finite")
    assert not checks["visual tokenizer"]["passed"] and checks["weights of language"]["passed"]


def test_fingerprints() -> None:
    state = {"a": torch.tensor([3.0, 4.0]), "b": torch.tensor([[0.0]])}
    found = fingerprint(state)
    assert (found["weights"], found["norm"], found["not_finite"], found["all_zero"]) == (3, 5.0, 0, ["b"])
    assert found["mean"] == pytest.approx(7 / 3) and found["tensors"]["a"] == [3.5, 5.0]
    assert fingerprint({"b": state["b"], "a": state["a"]})["shapes"] == found["shapes"]
    assert fingerprint({"a": state["a"], "b": torch.zeros(1)})["shapes"] != found["shapes"]
    assert not is_released("vision", state)


def test_the_picture_is_fixed() -> None:
    assert picture().size == (640, 400) and picture().getpixel((320, 200)) == (220, 30, 30)


def test_cases_or_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify"]) == 2
    assert "give a folder of golden cases, or a model" in capsys.readouterr().err
