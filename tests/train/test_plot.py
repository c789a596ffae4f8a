"""Curves from logs."""

import json
import sys

import pytest
from PIL import Image

from seedx.errors import SeedxError
from seedx.train.plot import panels, plot, smooth


def write(run, name):
    run.mkdir()
    records = [
        {"step": 10 * i, "loss": 2 / (i + 1), name: 1.0, "lr": 1e-3, "time": 0.0, "sample_errors": {}} for i in range(5)
    ]
    (run / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return run


def test_each_value_has_a_panel_and_each_run_a_curve(tmp_path):
    runs = [write(tmp_path / "a", "text"), write(tmp_path / "b", "image")]
    out = plot(runs, tmp_path / "curves.png")
    assert Image.open(out).width > 1000
    logs = [[json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()] for run in runs]
    assert panels(logs) == ["loss", "image", "text", "lr"]


def test_a_folder_that_is_no_run_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"has no log\.jsonl"):
        plot([tmp_path], tmp_path / "curves.png")


def test_a_file_that_is_no_image_is_an_error(tmp_path):
    with pytest.raises(SeedxError, match=r"must end in the name of an image format: .*png"):
        plot([write(tmp_path / "a", "text")], tmp_path / "curves.foo")


def test_without_matplotlib_the_error_names_the_extra(tmp_path, monkeypatch):
    run = write(tmp_path / "a", "text")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SeedxError, match=r'pip install "seedx\[plot\]"'):
        plot([run], tmp_path / "curves.png")


def test_long_curves_are_smoothed_and_short_ones_are_not():
    assert smooth([1.0, 3.0, 1.0]) == [1.0, 3.0, 1.0]
    wild = [float(i % 2) for i in range(2000)]
    assert len(smooth(wild)) == 2000 and max(smooth(wild)[20:-20]) < 0.6
