import multiprocessing
import os
import sys
import time
from pathlib import Path

import cache_ranks
import pytest
import torch
from torch import Tensor
from toy import together

from processes import free_port
from seedx.config import VisionConfig
from seedx.model.vision import VisionTransformer
from seedx.tiling import normalise
from seedx.train.feature_cache.arrays import CHUNK, cached_arrays
from seedx.train.feature_cache.digest import digest, source_files
from seedx.train.feature_cache.store import STALE, FeatureCache, vision_digest

SIZES = VisionConfig(image_size=28, width=16, layers=1, heads=2, queries=16, output_dim=32)


class Counted:
    """An encoder of 4 features of width 6 that remembers how many tiles it was given at a time."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, pixels: Tensor) -> Tensor:
        self.calls.append(len(pixels))
        return pixels.float().flatten(1)[:, :24].unflatten(1, (4, 6)) / 3


def tiles(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


def entries(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def test_each_tile_is_encoded_once(tmp_path: Path) -> None:
    encode = Counted()
    cache = FeatureCache(tmp_path, encode, "m", dtype=torch.float32, batch=2)
    pixels = tiles(5)
    first = cache.features(pixels[[0, 1, 2, 0, 3]])
    assert encode.calls == [2, 2] and (cache.hits, cache.misses) == (0, 5)
    again = FeatureCache(tmp_path, encode, "m", dtype=torch.float32)
    assert torch.equal(again.features(pixels), Counted()(pixels))
    assert encode.calls == [2, 2, 1] and (again.hits, again.misses) == (4, 1)
    assert torch.equal(first, Counted()(pixels[[0, 1, 2, 0, 3]])) and len(entries(tmp_path)) == 5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_hit_and_a_miss_give_the_same_rounded_features(tmp_path: Path, dtype: torch.dtype) -> None:
    cache = FeatureCache(tmp_path, Counted(), "m", dtype=dtype)
    missed, hit = cache.features(tiles(3)), cache.features(tiles(3))
    exact = Counted()(tiles(3))
    assert (cache.hits, cache.misses) == (3, 3)
    assert torch.equal(missed, hit) and torch.equal(hit, exact.to(dtype).float()) and not torch.equal(hit, exact)


def test_features_come_in_the_pixels_precision(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, Counted(), "m")
    assert cache.features(tiles(1).bfloat16()).dtype == torch.bfloat16
    assert cache.features((tiles(1) * 50 + 128).byte()).dtype == torch.float32


def test_another_model_or_precision_has_entries_of_its_own(tmp_path: Path) -> None:
    for model, dtype in (("m", torch.float16), ("n", torch.float16), ("m", torch.float32)):
        cache = FeatureCache(tmp_path, Counted(), model, dtype=dtype)
        cache.features(tiles(2))
        assert cache.misses == 2


def test_the_digest_follows_weights_names_sizes_and_precision() -> None:
    vision = VisionTransformer(SIZES)
    base = vision_digest(vision)
    assert vision_digest(vision) == base and vision_digest(vision, "bfloat16") != base
    assert vision_digest(vision.bfloat16()) != base
    with torch.no_grad():
        vision.float().proj[0, 0] += 1
    assert vision_digest(vision) != base
    a, b = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    b.load_state_dict(a.state_dict())
    assert digest([a]) == digest([b])
    assert digest([torch.nn.Sequential(a)]) != digest([a])


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_entry_is_computed_again(tmp_path: Path, damage: str) -> None:
    encode = Counted()
    cache = FeatureCache(tmp_path, encode, "m")
    expected = cache.features(tiles(2))
    path = entries(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes({"flip": bytes(data), "cut": bytes(data[:50]), "empty": b""}[damage])
    assert torch.equal(cache.features(tiles(2)), expected)
    assert (cache.broken, cache.hits, cache.misses) == (1, 1, 3)
    assert torch.equal(cache.features(tiles(2)), expected) and encode.calls == [2, 1]


def test_a_full_disk_gives_a_warning_and_the_run_continues(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = FeatureCache(tmp_path, Counted(), "m", dtype=torch.float32, free=2**60)
    for _ in range(2):
        assert torch.equal(cache.features(tiles(2)), Counted()(tiles(2)))
    assert cache.misses == 4 and not entries(tmp_path)
    assert caplog.text.count("stores nothing more") == 1


def test_values_that_are_not_finite_are_not_stored_and_overflow_is_an_error(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, lambda pixels: Counted()(pixels) * torch.nan, "nan")
    assert cache.features(tiles(1)).isnan().all() and not entries(tmp_path)
    cache = FeatureCache(tmp_path, lambda pixels: Counted()(pixels).abs() + 1e5, "large")
    with pytest.raises(ValueError, match=r"too large for torch\.float16: cache them in float32"):
        cache.features(tiles(1))
    with pytest.raises(ValueError, match="at least one tile"):
        cache.features(tiles(0))
    with pytest.raises(ValueError, match="floating dtype"):
        FeatureCache(tmp_path, Counted(), "m", dtype=torch.int8)


def test_the_temporary_files_of_a_killed_process_are_removed_and_new_ones_are_not(tmp_path: Path) -> None:
    folder = FeatureCache(tmp_path, Counted(), "m").folder / "3f"
    folder.mkdir()
    old, new = folder / ".old.1.part", folder / ".new.2.part"
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * STALE,) * 2)
    FeatureCache(tmp_path, Counted(), "m")
    assert not old.exists() and new.exists()


def _fill(folder: Path, seeds: list[int]) -> None:
    torch.set_num_threads(1)
    cache = FeatureCache(folder, Counted(), "m", dtype=torch.float32)
    for seed in seeds:
        assert torch.equal(cache.features(tiles(2, seed)), Counted()(tiles(2, seed)))


def test_processes_share_a_folder(tmp_path: Path) -> None:
    seeds = list(range(40))
    other = multiprocessing.get_context("fork").Process(target=_fill, args=(tmp_path, seeds[::-1]))
    other.start()
    _fill(tmp_path, seeds)
    other.join()
    assert other.exitcode == 0 and len(entries(tmp_path)) == 80
    cache = FeatureCache(tmp_path, Counted(), "m", dtype=torch.float32)
    _ = [cache.features(tiles(2, seed)) for seed in seeds]
    assert (cache.hits, cache.misses, cache.broken) == (80, 0, 0)


def test_uint8_tiles_through_the_visual_tokenizer(tmp_path: Path) -> None:
    vision = VisionTransformer(SIZES).eval()
    cache = FeatureCache(tmp_path, vision, vision_digest(vision), dtype=torch.float32)
    pixels = torch.randint(0, 256, (2, 3, 28, 28), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(cache.features(pixels), vision(normalise(pixels)))
        assert torch.equal(cache.features(pixels), vision(pixels))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """worldly.scenes, which uses worldly.art but not worldly.train, and a data file."""
    folder = tmp_path / "worldly"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "scenes.py").write_text("from worldly.art import draw\n\n\ndef scene():\n    return draw(3)\n")
    (folder / "art.py").write_text('def draw(n):\n    """Draw."""\n    import json\n    return json.dumps(n)\n')
    (folder / "train.py").write_text("from worldly import scenes\n")
    (folder / "names.txt").write_text("cat")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("worldly")]:
        del sys.modules[name]


def test_the_digest_follows_the_code_and_data_files_that_make_the_samples(package: Path) -> None:
    def now() -> str:
        return digest(settings={"count": 3}, sources=["worldly.scenes"])

    files = {"worldly", "worldly.scenes", "worldly.art", "worldly/names.txt"}
    before = now()
    assert set(source_files(["worldly.scenes"])) == files and before == now()
    (package / "train.py").write_text("changed = True\n")  # nothing that makes samples
    (package / "art.py").write_text(
        'def draw(n):\n    """Draws a number."""  # as text\n    import json\n    return json.dumps(n)\n'
    )
    assert now() == before
    (package / "art.py").write_text("def draw(n):\n    return str(n + 1)\n")  # two imports away
    changed = now()
    (package / "names.txt").write_text("dog")
    assert len({before, changed, now()}) == 3
    assert digest(settings={"count": 4}, sources=["worldly.scenes"]) != now()
    with pytest.raises(ModuleNotFoundError, match="no source file of 'worldly"):
        digest(sources=["worldly.nothing"])


def test_arrays_of_another_key_are_computed_again_and_replaced(tmp_path: Path) -> None:
    computed, rows = [], cache_ranks.ROWS

    def compute(part: range) -> dict[str, Tensor]:
        computed.append(part)
        return {"row": torch.arange(part.start, part.stop)}

    first, again = (cached_arrays(tmp_path, "rows", "of older code", rows, compute) for _ in range(2))
    assert torch.equal(first["row"], torch.arange(rows)) and torch.equal(again["row"], first["row"])
    assert computed == [range(rows)]
    cached_arrays(tmp_path, "rows", "of newer code", rows, compute)
    assert len(computed) == 2 and [file.name for file in tmp_path.iterdir()] == ["rows-of newer code"]
    file = tmp_path / "rows-of newer code"
    file.write_bytes(file.read_bytes()[:-1])  # damaged
    assert torch.equal(cached_arrays(tmp_path, "rows", "of newer code", rows, compute)["row"], first["row"])
    assert len(computed) == 3


@pytest.mark.slow
def test_two_ranks_compute_a_part_each_and_have_all_of_it(tmp_path: Path) -> None:
    assert together(2, free_port(), tmp_path, target=cache_ranks.one_rank) == [0, 0]
    computed = [(tmp_path / f"rank-{rank}.txt").read_text() for rank in range(2)]
    assert computed == [str([(0, CHUNK)] * 2), str([(CHUNK, cache_ranks.ROWS)] * 2)]  # the second time it was read
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["squares-another"]
