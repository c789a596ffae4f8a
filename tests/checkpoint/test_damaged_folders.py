"""Model folders from elsewhere: whatever is wrong with a file is one line that names it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mock_release import LFS

from seedx import tokenizer
from seedx.checkpoint import native
from seedx.checkpoint.info import info
from seedx.checkpoint.parts import Model
from seedx.cli import main
from seedx.errors import SeedxError
from seedx.model.detokenizer import Detokenizer
from seedx.model.seedx import SeedX
from small import SMALL, TOKENIZER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    detokenizer = Detokenizer(SMALL.detokenizer, SMALL.vision.output_dim)
    native.save(Model(SMALL, SeedX(SMALL), detokenizer, tokenizer.load(TOKENIZER)), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["vision.safetensors", "config.json", "tokenizer.model", "added_tokens.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: the download is not complete"),
        (LFS.encode(), "is a Git LFS pointer, not the file itself: the download is not complete"),
        (b"<!DOCTYPE html><title>Log in</title>", "is a web page, not the file"),
    ],
)
def test_a_file_that_is_something_else_is_named(folder: Path, name: str, content: bytes, message: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(SeedxError, match=f"{name} {message}"):
        native.load(folder)


@pytest.mark.parametrize(
    ("keep", "message"),
    [(-1, r"is truncated: [\d,]+ of [\d,]+ bytes"), (100, "is truncated within its header"), (3, "is not in the for")],
)
def test_truncated_weights(folder: Path, keep: int, message: str) -> None:
    file = folder / "language.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(SeedxError, match=rf"language\.safetensors {message}"):
        native.load(folder)


@pytest.mark.parametrize("header", [b"[]", b"{", b'{"a": 1}', b'{"a": {"data_offsets": "x"}}', b"\xff\xfe"])
def test_headers_that_are_none(folder: Path, header: bytes) -> None:
    file = folder / "language.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(100))
    with pytest.raises(SeedxError, match=r"language\.safetensors"):
        native.load(folder)


@pytest.mark.parametrize("content", ["[]", "1", '"text"', "null", "{", "[" * 100_000, '{"language": []}'])
def test_a_config_that_is_none(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(SeedxError, match=r"config\.json") as caught:
        native.load(folder)
    assert len(str(caught.value)) < 400


def set_in(section: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config[section].update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in("language", "layers", 10_000_000), "'language.layers' must be at most 1,000, not 10000000"),
        (set_in("vision", "layers", 10_000_000), "'vision.layers' must be at most 1,000"),
        (set_in("detokenizer", "depth", 10_000_000), "'detokenizer.depth' must be at most 1,000"),
        (
            lambda config: config["detokenizer"]["unet"].update(layers_per_block=10_000_000),
            "'detokenizer.unet.layers_per_block' must be at most 1,000",
        ),
        (set_in("language", "hidden_size", 10**300), "'language.hidden_size' must be at most 10,000,000"),
        (set_in("language", "heads", 0), "'language.heads' must be at least 1, not 0"),
        (set_in("language", "hidden_size", -16), "'language.hidden_size' must be at least 1"),
        (set_in("language", "layers", 1.5), "'language.layers' must be a whole number, not 1.5"),
        (set_in("language", "layers", "2"), "'language.layers' must be a whole number, not '2'"),
        (set_in("language", "layers", True), "'language.layers' must be a whole number, not True"),
        (set_in("language", "rope_theta", float("nan")), "'language.rope_theta' must be finite"),
        (set_in("detokenizer", "context_dims", [1]), "'detokenizer.context_dims' must be"),
        (set_in("language", "heads", 3), "language.hidden_size 16 must be a multiple of its 3 heads"),
        (set_in("tiling", "grids", "1x1"), "'tiling.grids' must be"),
        (set_in("language", "hidden", 16), "unknown setting 'language.hidden'"),
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_built(
    folder: Path, change: Callable[[dict[str, Any]], None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))

    def build(*_: object) -> None:
        raise AssertionError("modules were built")

    monkeypatch.setattr(native, "build", build)
    with pytest.raises(SeedxError, match=message):
        native.load(folder)
    with pytest.raises(SeedxError, match=message):
        info(folder)


def test_sizes_that_fit_no_module_are_one_line(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["detokenizer"]["unet"]["up_block_types"] = ["CrossAttnUpBlock2D"]  # and two on the way down
    (folder / "config.json").write_text(json.dumps(config))
    for read in (native.load, info):
        with pytest.raises(
            SeedxError, match=r"no model can be built of the sizes in config\.json: ValueError: Must pro"
        ):
            read(folder)


def test_no_message_repeats_a_long_name(folder: Path) -> None:
    long = "x " * 20_000
    for name, values in (
        ("special_tokens_map.json", {"pad_token": long}),
        ("added_tokens.json", {long: "many"}),
        ("config.json", {long: 1}),
        ("config.json", json.loads((folder / "config.json").read_text()) | {"detokenizer": {"vae": {"class": long}}}),
    ):
        before = (folder / name).read_text()
        (folder / name).write_text(json.dumps(values))
        with pytest.raises(SeedxError) as caught:
            native.load(folder)
        assert len(str(caught.value)) < 500
        (folder / name).write_text(before)


def test_a_header_of_words_is_not_repeated(folder: Path) -> None:
    header = json.dumps({"a": {"dtype": "x " * 20_000, "shape": [1], "data_offsets": [0, 4]}}).encode()
    file = folder / "language.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(SeedxError, match="can't be read as weights") as caught:
        native.load(folder)
    assert len(str(caught.value)) < 500


def test_a_share_may_be_zero_and_written_as_a_whole_number(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["bridge"]["text_weight"] = config["detokenizer"]["image_guidance"] = 0
    (folder / "config.json").write_text(json.dumps(config))
    assert native.read_config(folder).bridge.text_weight == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.model", "no model of sentencepiece"),
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "[]"),
        ("tokenizer.json", '{"added_tokens": 1, "model": {}}'),
        ("added_tokens.json", "[]"),
        ("added_tokens.json", '{"<img>": "many"}'),
        ("added_tokens.json", '{"<img>": -1}'),
        ("special_tokens_map.json", "[]"),
        ("special_tokens_map.json", '{"pad_token": "<nothing>"}'),
    ],
)
def test_a_broken_tokenizer(folder: Path, name: str, content: str, capfd: pytest.CaptureFixture[str]) -> None:
    if name == "tokenizer.json":
        (folder / "tokenizer.model").unlink()
    (folder / name).write_text(content)
    with pytest.raises(SeedxError, match=r"tokenizer|added_tokens|special_tokens"):
        native.load(folder)
    assert main(["chat", "hello", "--model", str(folder)]) == 2
    assert len(capfd.readouterr().err.strip().splitlines()) == 1


def test_indices_that_are_none(folder: Path) -> None:
    (folder / "language.safetensors").unlink()
    index = folder / "language.safetensors.index.json"
    for content, message in (
        ("[]", "must hold a JSON object"),
        ("{}", "is no index of shards"),
        ('{"weight_map": {"a": 1}}', "is no index of shards"),
        ('{"weight_map": {"a": "../other.safetensors"}}', "in another folder"),
    ):
        index.write_text(content)
        with pytest.raises(SeedxError, match=message):
            native.load(folder)


def test_a_pickle_that_is_no_weights(tmp_path: Path) -> None:
    from seedx.checkpoint import weights

    torch.save([1, 2], tmp_path / "list.bin")
    with pytest.raises(SeedxError, match="no dictionary of names and tensors"):
        weights.read(tmp_path / "list.bin")
    (tmp_path / "text.bin").write_text("hello")
    with pytest.raises(SeedxError, match="is no file of torch weights"):
        weights.read(tmp_path / "text.bin")
    torch.save({"a": torch.zeros(1000)}, tmp_path / "plain.bin")
    with zipfile.ZipFile(tmp_path / "plain.bin") as plain, zipfile.ZipFile(tmp_path / "bomb.bin", "w", 8) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(SeedxError, match="is compressed, as torch writes no weights"):
        weights.read(tmp_path / "bomb.bin")
    torch.save({"a": torch.ones(2)}, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    assert weights.read(tmp_path / "old.bin")["a"].tolist() == [1, 1]
