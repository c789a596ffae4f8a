"""A checkpoint from elsewhere: nothing that it holds is run."""

import json
import os
import pickle
import shutil

import pytest
import torch
from test_checkpointing import Run, same
from torch.distributed.checkpoint.filesystem import _StorageInfo

from seedx.errors import SeedxError
from seedx.train.engine import checkpoint_files
from seedx.train.engine.checkpoint_reader import CheckpointReader
from seedx.train.engine.checkpointing import load_weights


class Planted:
    """Pickled, it is a call of `mkdir` by whoever loads it."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def planted(run, change, name=".metadata"):
    """A run whose checkpoint has another table of tensors, or other file, and the checksums to go with it."""
    folder = run / "checkpoints"
    saved = checkpoint_files.path(folder, 1)
    file = saved / name
    file.write_bytes(change(file.read_bytes()) if callable(change) else change)
    part = checkpoint_files.part_path(folder, 1)
    saved.rename(part)
    (part / checkpoint_files.MANIFEST).unlink()
    checkpoint_files.commit(part, 1, None, checkpoint_files.checksums(part, 0))
    return saved


@pytest.fixture
def trained(tmp_path):
    run = Run(tmp_path / "run")
    run.step(0)
    run.save(1)
    return run, tmp_path / "run"


def test_code_in_a_checkpoint_is_not_run(trained, tmp_path):
    run, folder = trained
    saved = planted(folder, lambda content: pickle.dumps(Planted(tmp_path / "run by the checkpoint")))
    for load in (lambda: run.saver.resume(run.state), lambda: load_weights(saved, run.model, average=False)):
        with pytest.raises(SeedxError, match=r"\.metadata names posix\.mkdir, which no checkpoint needs"):
            load()
    assert not (tmp_path / "run by the checkpoint").exists()
    pickle.loads((saved / ".metadata").read_bytes())
    assert (tmp_path / "run by the checkpoint").exists()  # what was planted works where pickle is used


@pytest.mark.parametrize(
    "name", [("builtins", "eval"), ("torch", "load"), ("torch.distributed.checkpoint.metadata", "os")]
)
def test_only_what_a_table_of_tensors_needs_is_found(trained, name):
    _, folder = trained
    module, attribute = name
    call = f"c{module}\n{attribute}\n.".encode()
    saved = planted(folder, lambda content: call)
    with pytest.raises(SeedxError, match="which no checkpoint needs"):
        CheckpointReader(saved).read_metadata()


@pytest.mark.parametrize("change", [lambda c: c[: len(c) // 2], lambda c: b"", lambda c: pickle.dumps({"a": 1})])
def test_a_broken_table_is_one_error(trained, change):
    run, folder = trained
    planted(folder, change)
    with pytest.raises(SeedxError, match=r"\.metadata is (damaged|no table)"):
        run.saver.resume(run.state)


def test_a_table_can_not_name_files_of_other_folders(trained, tmp_path):
    run, folder = trained

    def elsewhere(content):
        metadata = pickle.loads(content)
        for index, entry in metadata.storage_data.items():
            metadata.storage_data[index] = _StorageInfo("../../secret", entry.offset, entry.length)
        return pickle.dumps(metadata)

    planted(folder, elsewhere)
    with pytest.raises(SeedxError, match="which is not one of its folder"):
        run.saver.resume(run.state)


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x02}q\x00.", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", b"PK\x03\x04", b"hello"]
)
def test_a_broken_rest_is_one_error(trained, content):
    run, folder = trained
    planted(folder, content, checkpoint_files.REST)
    with pytest.raises(SeedxError, match=r"rest\.pt (is|can't be read)") as caught:
        run.saver.resume(run.state)
    assert len(str(caught.value).splitlines()) == 1


def test_a_table_that_is_missing_is_one_error(trained):
    _, folder = trained
    saved = checkpoint_files.path(folder / "checkpoints", 1)
    (saved / ".metadata").unlink()
    with pytest.raises(SeedxError, match=r"\.metadata can't be read"):
        CheckpointReader(saved).read_metadata()


def wrong_table(change):
    def changed(content):
        metadata = pickle.loads(content)
        name = "optim/2.weight/exp_avg"
        change(metadata, metadata.state_dict_metadata[name], metadata.storage_data[_index(metadata, name)])
        return pickle.dumps(metadata)

    return changed


def _index(metadata, name):
    return next(index for index in metadata.storage_data if index.fqn == name)


def resize(entry, *size):
    entry.size = torch.Size(size)
    entry.chunks[0].sizes = torch.Size(size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table, entry, place: resize(entry, 2**20, 2**20), "that fits no parameter"),  # 4 TB in memory
        (lambda table, entry, place: setattr(entry, "size", torch.Size([8, 9])), "its entry 'optim/2.weight/exp_avg'"),
        (lambda table, entry, place: setattr(entry, "size", "large"), "its entry 'optim/2.weight/exp_avg'"),
        (lambda table, entry, place: entry.chunks.clear(), "its entry 'optim/2.weight/exp_avg'"),
        (lambda table, entry, place: setattr(entry.properties, "dtype", "float"), "its entry 'optim/2.weight/exp_avg'"),
        (lambda table, entry, place: table.storage_data.clear(), "does not say where"),
        (lambda table, entry, place: setattr(place, "offset", 10**12), "does not have the bytes of a tensor"),
        (lambda table, entry, place: setattr(place, "length", -1), "does not have the bytes of a tensor"),
        (lambda table, entry, place: setattr(place, "relative_path", "none"), "none is not there"),
        (lambda table, entry, place: table.state_dict_metadata.update({"optim/x/y": entry}), "does not say where"),
    ],
)
def test_a_table_of_the_right_types_with_wrong_values_is_one_error(trained, change, message):
    run, folder = trained
    planted(folder, wrong_table(change))
    with pytest.raises(SeedxError, match=message):
        run.saver.resume(run.state)


@pytest.mark.parametrize("manifest", ["[]", '{"files": 3}', '{"files": {"../../../run.lock": {}}}', "[" * 100_000])
def test_a_manifest_that_is_none_is_a_broken_checkpoint(trained, manifest):
    run, folder = trained
    (checkpoint_files.path(folder / "checkpoints", 1) / checkpoint_files.MANIFEST).write_text(manifest)
    with pytest.raises(SeedxError, match="is broken"):
        run.saver.resume(run.state)


def test_a_score_that_is_none_keeps_nothing(trained):
    run, folder = trained
    file = checkpoint_files.path(folder / "checkpoints", 1) / checkpoint_files.MANIFEST
    file.write_text(json.dumps(json.loads(file.read_text()) | {"score": "best"}))
    for step in (2, 3):
        run.save(step, score=0.5)
    assert checkpoint_files.steps(folder / "checkpoints") == [2, 3]


def test_checkpoints_that_torch_wrote_still_load(trained, tmp_path):
    run, folder = trained
    shutil.copytree(folder, tmp_path / "copy")
    again = Run(tmp_path / "copy")
    assert again.saver.resume(again.state) == 1
    assert same(again.weights(), run.weights())
