import multiprocessing
import os
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from seedx.config import VisionConfig
from seedx.model.vision import VisionTransformer
from seedx.tiling import normalise
from seedx.train.feature_cache.store import STALE, FeatureCache, module_digest, vision_digest

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
    assert module_digest(a) == module_digest(b)
    assert module_digest(torch.nn.Sequential(a)) != module_digest(a)


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


def test_a_full_disk_is_told_and_the_run_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = FeatureCache(tmp_path, Counted(), "m", dtype=torch.float32, free=2**60)
    for _ in range(2):
        assert torch.equal(cache.features(tiles(2)), Counted()(tiles(2)))
    assert cache.misses == 4 and not entries(tmp_path)
    assert caplog.text.count("stores nothing more") == 1


def test_what_is_not_finite_is_not_kept_and_what_overflows_is_refused(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, lambda pixels: Counted()(pixels) * torch.nan, "nan")
    assert cache.features(tiles(1)).isnan().all() and not entries(tmp_path)
    cache = FeatureCache(tmp_path, lambda pixels: Counted()(pixels).abs() + 1e5, "large")
    with pytest.raises(ValueError, match=r"too large for torch\.float16: keep float32"):
        cache.features(tiles(1))
    with pytest.raises(ValueError, match="at least one tile"):
        cache.features(tiles(0))
    with pytest.raises(ValueError, match="floating dtype"):
        FeatureCache(tmp_path, Counted(), "m", dtype=torch.int8)


def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path: Path) -> None:
    aside = FeatureCache(tmp_path, Counted(), "m").aside
    old, new = aside / "old", aside / "new"
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
