"""A bar that ends leaves no widget in a notebook: nothing, or its last line as text."""

import io

import nbformat
import pytest
from nbclient import NotebookClient

from tnv2.progress import Progress

WIDGET = "application/vnd.jupyter.widget-view+json"


def outputs(source):
    """What a notebook's cell has kept, run in a real kernel."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(book, timeout=120, allow_errors=True).execute()
    return [output.data for output in book.cells[0].outputs if output.output_type != "error" and any(output.data.values())]


def test_a_notebook_keeps_nothing_of_a_bar_that_ended():
    assert outputs("from tnv2.progress import Progress\nfor _ in Progress(range(5), 'looking', leave=False): pass") == []


@pytest.mark.parametrize("source", ["for i in Progress(range(4), 'looking'): pass",
                                    "for i in Progress(range(4), 'looking', leave=False): 1 / (2 - i)"])  # fmt: skip
def test_a_notebook_keeps_the_last_line_of_a_bar_that_stays_or_breaks(source):
    [data] = outputs(f"from tnv2.progress import Progress\n{source}")
    assert WIDGET not in data
    assert data["text/plain"].startswith("looking: ")
    assert ("100%" in data["text/plain"]) == ("leave" not in source)


def test_a_terminal_has_tqdms_own_bar():
    stream = io.StringIO()
    assert list(Progress(range(3), "looking", file=stream)) == [0, 1, 2]
    assert "looking: 100%" in stream.getvalue()
    assert list(Progress(range(3), disable=True)) == [0, 1, 2]


def test_a_notebook_says_that_torch_is_being_loaded_and_keeps_nothing_of_it():
    watched = """import tnv2.progress
start, told = tnv2.progress.Progress.__init__, []
tnv2.progress.Progress.__init__ = lambda bar, *args, **kwargs: (start(bar, *args, **kwargs), told.append(bar.desc))[0]
tnv2.load_model, tnv2.predict
assert told == ["loading PyTorch"], told"""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(watched + "\nNone")])
    NotebookClient(book, timeout=120).execute()
    assert [output.data for output in book.cells[0].outputs if any(output.data.values())] == []
