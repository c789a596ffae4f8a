"""`seedx verify`: finds the cases, and fails where it should. That all cases pass is tested case by case elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from seedx.cli import main
from seedx.verify import kind, verify

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def folder(tmp_path):
    """A folder with one case, under another name."""
    for suffix in (".json", ".safetensors"):
        shutil.copy(GOLDEN / f"b_resampler{suffix}", tmp_path / f"b_other{suffix}")
    return tmp_path


def test_a_right_case_passes(folder, capsys):
    (result,) = verify(folder)
    assert result.passed and result.name == "b_other" and 0 < result.error < 5e-5 and result.checks == 15
    assert main(["verify", str(folder)]) == 0
    assert "1 of 1 pass" in capsys.readouterr().out


def test_a_wrong_number_fails(folder, capsys):
    file = folder / "b_other.safetensors"
    tensors = load_file(file)
    tensors["out/no_kv_proj/y"][0, 0, 0] += 2e-4
    save_file(tensors, file)
    assert main(["verify", str(folder), "--json"]) == 1
    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert not case["passed"] and case["worst"] == "no_kv_proj/y" and 1e-4 < case["error"] < 3e-4


def test_a_broken_case_fails_and_says_why(folder, capsys):
    (folder / "b_other.safetensors").unlink()
    assert main(["verify", str(folder)]) == 1
    assert "FAIL at FileNotFoundError" in capsys.readouterr().out


def test_the_manifest_beside_the_folder_is_checked_too(folder):
    inner = folder / "public"
    inner.mkdir()
    for file in folder.glob("b_other*"):
        file.rename(inner / file.name)
    manifest = json.loads((GOLDEN / "manifest.json").read_text(encoding="utf-8"))
    manifest["models"]["llm"]["keys"]["model.norm.weight"] = [5119]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    _, result = verify(inner)
    assert result.name == "manifest" and not result.passed and result.worst.startswith("llm/") and result.error == 2


def test_kinds():
    assert kind("f_any_res_pixels") is not kind("f_any_res") is kind("f_small")
    assert kind("e_small_sampling_2") is kind("e_sampling")
    assert kind("a_anything") is kind("a_vit_256_patches")
    with pytest.raises(ValueError, match="'apple' is a case of unknown kind"):
        kind("apple")


def test_folders_that_hold_no_cases(tmp_path):
    with pytest.raises(ValueError, match="expected a folder of golden cases"):
        verify(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no golden case"):
        verify(tmp_path)


def padded_by_unknown(output):
    """A row's output with <unk>, 0, in the place of the padding, 3. Two numbers are the shape of ids."""
    ids = output.get("input_ids")
    if isinstance(ids, list) and len(ids) > 2:
        rows = [[0 if each == 3 else each for each in row] for row in (ids if isinstance(ids[0], list) else [ids])]
        return output | {"input_ids": rows if isinstance(ids[0], list) else rows[0]}
    return output


@pytest.mark.parametrize("file", ["special_tokens_map.json", "tokenizer_config.json"])
def test_encoding_cases_pass_with_the_padding_that_the_tokenizer_folder_names(tmp_path, file):
    for name in ("tokenizer", "images"):
        shutil.copytree(GOLDEN / name, tmp_path / name)
    case = json.loads((GOLDEN / "g_data_encoding.json").read_text(encoding="utf-8"))
    case["rows"] = [row | {"output": padded_by_unknown(row["output"])} for row in case["rows"]]
    (tmp_path / "g_data_encoding.json").write_text(json.dumps(case))
    (result,) = verify(tmp_path)
    assert not result.passed  # the folder still says <pad>
    for other in ("special_tokens_map.json", "tokenizer_config.json"):
        (tmp_path / "tokenizer" / other).unlink()
    (tmp_path / "tokenizer" / file).write_text(json.dumps({"pad_token": {"content": "<unk>"}}))
    (result,) = verify(tmp_path)
    assert result.passed and result.checks == 67, result.worst


def test_a_case_of_unknown_kind_does_not_hide_the_others(folder):
    (folder / "z_new.json").write_text("{}")
    right, unknown = verify(folder)
    assert right.passed and not unknown.passed and "'z_new' is a case of unknown kind" in unknown.worst
