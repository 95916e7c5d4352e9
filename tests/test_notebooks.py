"""Every notebook runs from top to bottom, on the sample tiles and on real ones."""

import re
import warnings

import nbformat
import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def executed(notebook, folder):
    """Run a notebook in a real kernel; an error or a warning in a cell fails it."""
    from nbclient import NotebookClient

    notebook.cells.insert(0, nbformat.v4.new_code_cell("import warnings\nwarnings.simplefilter('error')"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # jupyter_client's own, while it starts the kernel
        client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}})
        return client.execute()


def printed(notebook):
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    return "".join(output.text for output in outputs if output.output_type == "stream")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_on_sample_tiles(path, tmp_path):
    notebook = executed(nbformat.read(path, as_version=4), tmp_path)
    assert int(re.search(r"(\d+) buildings", printed(notebook))[1]) > 5


def test_first_notebook_runs_on_real_tiles(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("TNV2_TILES", str(shared / "data" / "AOI_2_Vegas"))
    notebook = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
    line = next(cell for cell in notebook.cells if "NUMBER = 0" in cell.source)
    line.source = line.source.replace("NUMBER = 0", "NUMBER = 3")
    text = printed(executed(notebook, tmp_path))
    assert int(re.search(r"(\d+) buildings", text)[1]) > 5
    assert "Match(f1=" in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stored_without_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
