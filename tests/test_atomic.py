"""Files and folders appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from seedx.atomic import replacing_file, replacing_folder


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
