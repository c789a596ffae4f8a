"""A checkpoint from elsewhere: nothing that it holds is run."""

import os
import pickle
import shutil

import pytest
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


def planted(run, change):
    """A run whose checkpoint has another table of tensors, and the checksums to go with it."""
    folder = run / "checkpoints"
    saved = checkpoint_files.path(folder, 1)
    file = saved / ".metadata"
    file.write_bytes(change(file.read_bytes()))
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


def test_checkpoints_that_torch_wrote_still_load(trained, tmp_path):
    run, folder = trained
    shutil.copytree(folder, tmp_path / "copy")
    again = Run(tmp_path / "copy")
    assert again.saver.resume(again.state) == 1
    assert same(again.weights(), run.weights())
