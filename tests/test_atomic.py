"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from seedx.atomic import _HOST, replacing_file, replacing_folder


def test_a_file_is_replaced_or_kept(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for text in ("one", "two"):
        with replacing_file(file) as aside:
            aside.write_text(text)
            assert not file.exists() or file.read_text() == "one"
        assert file.read_text() == text
    with pytest.raises(RuntimeError, match="broken"), replacing_file(file) as aside:
        aside.write_text("half")
        raise RuntimeError("broken")
    assert file.read_text() == "two" and list(tmp_path.iterdir()) == [file]


def test_a_folder_is_replaced_or_kept(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for name in ("one", "two"):
        with replacing_folder(folder) as aside:
            (aside / name).touch()
        assert [file.name for file in folder.iterdir()] == [name]
    with pytest.raises(RuntimeError, match="broken"), replacing_folder(folder) as aside:
        (aside / "half").touch()
        raise RuntimeError("broken")
    assert [file.name for file in folder.iterdir()] == ["two"] and list(tmp_path.iterdir()) == [folder]


def test_what_others_made_stays(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    for other in (tmp_path / "model.old", tmp_path / "model.partial", folder):
        other.mkdir()
        (other / "notes").write_text("mine")
    with replacing_folder(folder, ours=lambda name: name == "one") as aside:
        (aside / "one").touch()
    for other in (tmp_path / "model.old", tmp_path / "model.partial", folder):
        assert (other / "notes").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_full_disk_keeps_the_old_file_and_names_it(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_text("old")
    with pytest.raises(OSError) as caught, replacing_file(file) as aside:
        assert aside.suffix == ".png"  # Pillow chooses the format by it
        raise OSError(28, "No space left on device", str(aside))
    assert caught.value.filename == str(file)
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_links_stay_and_devices_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with replacing_file(tmp_path / "link") as aside:
        aside.write_text("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"
    with replacing_file(Path("/dev/null")) as aside:
        assert aside == Path("/dev/null")


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_the_next_save_removes_what_a_killed_one_left(tmp_path: Path, gone: int) -> None:
    left = [tmp_path / f".a.png.{_HOST}.{gone}.part.png", tmp_path / f".model.{_HOST}.{gone}.x_1y.part"]
    left[0].write_text("half")
    (left[1] / "model").mkdir(parents=True)
    (left[1] / "model" / "half").touch()
    with replacing_file(tmp_path / "a.png") as aside:
        assert not left[0].exists() and left[1].exists()
        aside.touch()
    with replacing_folder(tmp_path / "model") as folder:
        (folder / "whole").touch()
    assert {file.name for file in tmp_path.iterdir()} == {"a.png", "model"}


def test_what_others_write_aside_stays(tmp_path: Path, gone: int) -> None:
    kept = [
        f".model.{_HOST}.{os.getppid()}.abc.part",  # a process that runs
        f".model.other-{_HOST}.{gone}.abc.part",  # a process of another machine, of which nothing is known
        f".models.{_HOST}.{gone}.abc.part",  # of another name
        f".model.{_HOST}.{gone}.abc.part.txt",
        f".model.{gone}.part",
        f"model.{_HOST}.{gone}.abc.part",
    ]
    for name in kept:
        (tmp_path / name).mkdir()
    before = (
        tmp_path / f".model.{_HOST}.{gone}.old1.part"
    )  # killed between two renames: all that is left of the old one
    (before / "model.old").mkdir(parents=True)
    with replacing_folder(tmp_path / "model") as folder:
        (folder / "whole").touch()
    assert {file.name for file in tmp_path.iterdir()} == {"model", before.name, *kept}
