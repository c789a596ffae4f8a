"""A config.json of an earlier version is read as long as its retired settings have the values that are left."""

import json

import pytest

from seedx.checkpoint import native
from seedx.config import TINY
from seedx.deprecated import without_retired
from seedx.errors import SeedxError


def config_with(folder, output_layers):
    native.write_config(TINY, folder)
    stored = json.loads((folder / "config.json").read_text())
    stored["bridge"]["output_layers"] = output_layers
    (folder / "config.json").write_text(json.dumps(stored))
    return folder


def test_a_retired_setting_is_ignored_with_its_only_value(tmp_path):
    assert native.read_config(config_with(tmp_path, 1)).bridge == TINY.bridge


def test_another_value_of_a_retired_setting_is_an_error(tmp_path):
    with pytest.raises(SeedxError, match=r"'bridge\.output_layers' of .* only 1 is supported"):
        native.read_config(config_with(tmp_path, 3))


def test_other_settings_and_the_argument_stay():
    settings = {"bridge": {"output_layers": 1, "queries": 4}, "name": "x"}
    assert without_retired(settings) == {"bridge": {"queries": 4}, "name": "x"}
    assert settings["bridge"]["output_layers"] == 1
    assert without_retired({"bridge": None}) == {"bridge": None}
