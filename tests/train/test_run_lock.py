"""One process trains in a run's folder at a time; what is left of one that is gone is taken over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seedx.data.shard_reader import Data
from seedx.errors import SeedxError
from seedx.train import run as runs
from seedx.train.engine.run_lock import STALE, run_lock
from seedx.train.recipe import Recipe


def left(run: Path, **holder: object) -> Path:
    run.mkdir(exist_ok=True)
    file = run / "run.lock"
    file.write_text(json.dumps(holder))
    return file


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lock_names_its_process_and_goes_with_it(tmp_path: Path) -> None:
    with run_lock(tmp_path / "run"):
        held = json.loads((tmp_path / "run/run.lock").read_text())
        assert held == {"host": os.uname().nodename, "pid": os.getpid()}
    assert not list((tmp_path / "run").iterdir())
    with pytest.raises(RuntimeError), run_lock(tmp_path / "run"):
        raise RuntimeError
    assert not list((tmp_path / "run").iterdir())


def test_a_run_in_use_is_refused(tmp_path: Path) -> None:
    file = left(tmp_path / "run", host=os.uname().nodename, pid=os.getppid())
    with pytest.raises(SeedxError, match=f"is in use: process {os.getppid()} on "), run_lock(tmp_path / "run"):
        pass
    assert file.exists()
    file = left(tmp_path / "run", host="another", pid=gone())  # it was touched just now
    with pytest.raises(SeedxError, match="on another trains there"), run_lock(tmp_path / "run"):
        pass


@pytest.mark.parametrize("holder", ["gone", "silent", "torn"])
def test_a_stale_lock_is_taken_over_with_a_warning(
    holder: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host, pid = (os.uname().nodename, gone()) if holder == "gone" else ("another", 1)
    file = left(tmp_path / "run", host=host, pid=pid)
    if holder != "gone":
        file.write_text("{" if holder == "torn" else file.read_text())
        os.utime(file, (0, file.stat().st_mtime - STALE - 1))
    with run_lock(tmp_path / "run"):
        assert json.loads(file.read_text())["pid"] == os.getpid()
    assert "taken over" in caplog.text


def test_a_shard_that_changed_since_the_checkpoint_is_named_at_resume(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text("{}\n")
    recipe = Recipe("toy", "language", data=(Data(f"{tmp_path}/*.jsonl"), Data("stickers:boxes")))
    run = tmp_path / "run"
    (run / "checkpoints/step-00000001").mkdir(parents=True)
    runs.note_changed_shards(recipe, run)
    runs.note_changed_shards(recipe, run)
    assert not caplog.text
    (tmp_path / "b.jsonl").write_text("{}\n{}\n")
    runs.note_changed_shards(recipe, run)
    assert f"the data changed since the last checkpoint: {tmp_path}/b.jsonl;" in caplog.text
