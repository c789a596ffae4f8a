"""Weights on disk: shards and their index, what is read lazily, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seedx.checkpoint import weights
from seedx.errors import SeedxError

STATE = {f"layer.{i}": torch.full((10,), float(i)) for i in range(5)}  # 40 bytes each
SHARDS = [f"language-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
INDEX = "language.safetensors.index.json"


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_shards_and_their_index(tmp_path: Path) -> None:
    weights.write(tmp_path, "language", STATE, shard_bytes=80)
    assert names(tmp_path) == [*SHARDS, INDEX]
    index = json.loads((tmp_path / INDEX).read_text())
    assert index["metadata"] == {"total_size": 200}
    assert index["weight_map"] == {f"layer.{i}": SHARDS[i // 2] for i in range(5)}
    for file in SHARDS:
        assert load_file(tmp_path / file).keys() == {key for key, at in index["weight_map"].items() if at == file}
    assert weights.find(tmp_path, "language") == [tmp_path / name for name in SHARDS]
    assert same(weights.read(*weights.find(tmp_path, "language")), STATE)


def test_one_shard_has_no_index(tmp_path: Path) -> None:
    weights.write(tmp_path, "language", STATE)
    assert names(tmp_path) == ["language.safetensors"]
    with safe_open(tmp_path / "language.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_index_has_the_sizes_as_stored(tmp_path: Path) -> None:
    weights.write(tmp_path, "language", STATE | {"steps": torch.arange(3)}, torch.float16, shard_bytes=60)
    index = json.loads((tmp_path / INDEX).read_text())
    assert index["metadata"] == {"total_size": 5 * 20 + 3 * 8}
    stored = weights.read(*weights.find(tmp_path, "language"))
    assert stored["layer.1"].dtype == torch.float16 and stored["steps"].dtype == torch.int64


def test_huggingface_hub_reads_it(tmp_path: Path) -> None:
    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.ParameterList(torch.zeros(10) for _ in range(5))

    model = Layers()
    weights.write(tmp_path, "language", STATE, shard_bytes=80)
    huggingface_hub.load_torch_model(model, tmp_path, filename_pattern="language{suffix}.safetensors", strict=True)
    assert same(dict(model.state_dict()), STATE)


def test_transformers_reads_it(tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
    llama = LlamaForCausalLM(config)
    config.save_pretrained(tmp_path)
    weights.write(tmp_path, "model", llama.state_dict(), shard_bytes=1000)
    assert "model.safetensors.index.json" in names(tmp_path)
    assert same(LlamaForCausalLM.from_pretrained(tmp_path).state_dict(), llama.state_dict())


def test_what_was_there_before_goes(tmp_path: Path) -> None:
    (tmp_path / "language-extra.safetensors").write_bytes(b"")
    save_file(STATE, tmp_path / "language-00001.safetensors")
    weights.write(tmp_path, "language", STATE, shard_bytes=80)
    assert names(tmp_path) == [*SHARDS, "language-extra.safetensors", INDEX]
    weights.write(tmp_path, "language", STATE)
    assert names(tmp_path) == ["language-extra.safetensors", "language.safetensors"]
    weights.write(tmp_path, "language", STATE, shard_bytes=80)
    assert names(tmp_path) == [*SHARDS, "language-extra.safetensors", INDEX]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights.write(tmp_path, "language", STATE)

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OSError, match="no space"):
        weights.write(tmp_path, "language", STATE, shard_bytes=80)
    assert same(weights.read(*weights.find(tmp_path, "language")), STATE)


def test_one_shard_is_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    seen: list[int] = []
    monkeypatch.setattr(weights, "save_file", lambda shard, file, _: _record(shard, file, sizes))
    weights.write(tmp_path, "language", STATE, torch.float64, shard_bytes=160, progress=seen.append)
    assert sizes == [160, 160, 80] and seen == [80] * 5


def _record(shard: dict[str, Tensor], file: Path, sizes: list[int]) -> None:
    sizes.append(sum(tensor.nbytes for tensor in shard.values()))
    file.touch()


def test_what_is_read_is_mapped(tmp_path: Path) -> None:
    """Memory that belongs to no file does not grow by what is read."""
    large = {"weight": torch.ones(16, 1024, 1024)}  # 64 MiB
    save_file(large, tmp_path / "model.safetensors")
    torch.save(large, tmp_path / "pytorch_model.bin")
    before = anonymous()
    for file in tmp_path.iterdir():
        tensors = weights.read(file)
        assert tensors["weight"].sum() == 16 * 1024**2
        assert anonymous() - before < 16


def anonymous() -> int:
    """Of this process, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon"))) // 1024


def test_pickled_shards_with_an_index(tmp_path: Path) -> None:
    files = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    for file, keys in zip(files, (list(STATE)[:2], list(STATE)[2:]), strict=True):
        torch.save({key: STATE[key] for key in keys}, tmp_path / file)
    weight_map = {key: files[i > 1] for i, key in enumerate(STATE)}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert same(weights.read(*weights.find(tmp_path, "pytorch_model")), STATE)
    assert weights.find(tmp_path, "*model*") == [tmp_path / file for file in files]


def test_no_weights(tmp_path: Path) -> None:
    assert weights.find(tmp_path, "language") == []


def test_the_same_tensor_in_two_shards(tmp_path: Path) -> None:
    for number in (1, 2):
        save_file({"layer.0": torch.ones(1)}, tmp_path / f"language-0000{number}.safetensors")
    with pytest.raises(SeedxError, match=r"language-00002.safetensors holds 'layer\.0', and so does another shard"):
        weights.read(*weights.find(tmp_path, "language"))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"a": torch.ones(2)}, r"x: 'b' and 1 more are missing"),
        ({"a": torch.ones(2), "b": torch.ones(1)}, r"x: 'c' is missing"),
        ({"a": torch.ones(3)}, r"x: 'a' must have shape \(2,\), not \(3,\)"),
        ({"d": torch.ones(3)}, r"x: 'd' is not a weight of this model"),
    ],
)
def test_check(tensors: dict[str, Tensor], message: str) -> None:
    expected = {name: torch.ones(size, device="meta") for name, size in (("a", 2), ("b", 1), ("c", 1))}
    with pytest.raises(SeedxError, match=message):
        weights.check(tensors, expected, "x")
