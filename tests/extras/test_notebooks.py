"""The notebooks run from the first cell to the last, and are stored without outputs."""

from pathlib import Path

import nbclient
import nbformat
import pytest

SHORTER = {  # fewer pairs and steps
    "tune_on_your_pictures": [
        ("STEPS = 40\n", "STEPS = 2\n"),
        ("log_every=10", "log_every=1"),
        ('"edits", "edits", 100', '"edits", "edits", 20'),
        ('"held-out", "held-out", 4', '"held-out", "held-out", 1'),
    ]
}
FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def cells(file):
    return [cell for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert [file.stem for file in NOTEBOOKS] == ["first_steps", "tune_on_your_pictures"]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_outputs_are_not_stored(file):
    for cell in cells(file):
        assert not cell.outputs and cell.execution_count is None, f"clear the outputs of {file.name}"


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_it_runs(file):
    notebook = nbformat.read(file, as_version=4)
    for before, after in SHORTER.get(file.stem, ()):
        (cell,) = (cell for cell in notebook.cells if before in cell.source)
        cell.source = cell.source.replace(before, after)
    client = nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(FOLDER)}})
    client.execute()  # raises CellExecutionError with the cell and its traceback
