"""Every lesson has its form, and runs once from top to bottom, its self-checks and solutions included."""

import re

import nbformat
import pytest
from lab import ROOT
from lessons import LINK, MEGABYTES, NOTEBOOKS, SECONDS, code, faults, run

named = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@named
def test_has_the_form_of_a_lesson(path):
    assert faults(path) == []


@named
def test_runs_within_its_budget_and_checks_answers(path, tmp_path, monkeypatch):
    monkeypatch.delenv("TNV2_TILES", raising=False)
    lesson = run(path, tmp_path)
    print(f"{path.stem}: {lesson.seconds:.0f} s, {lesson.megabytes:.0f} MB")
    assert lesson.complaints == []
    assert lesson.seconds < SECONDS
    assert lesson.megabytes < (2000 if "LocalCluster" in path.read_text() else MEGABYTES)  # two workers beside the kernel


def test_first_notebook_runs_on_real_tiles(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("TNV2_TILES", str(shared / "data" / "AOI_2_Vegas"))
    lesson = run(ROOT / "notebooks" / "00_start_here.ipynb", tmp_path, {"NUMBER = 0": "NUMBER = 3"})
    assert lesson.complaints == []
    assert int(re.search(r"(\d+) buildings", lesson.printed)[1]) > 5
    assert "Match(f1=" in lesson.printed


@pytest.mark.parametrize("folder", ["AOI_2_Vegas", "crop_AOI_2_Vegas_img2144"])
def test_tuning_runs_on_real_tiles(shared, tmp_path, monkeypatch, folder):
    monkeypatch.setenv("TNV2_TILES", str(shared / "data" / folder))
    assert run(ROOT / "notebooks" / "04_tune_and_score.ipynb", tmp_path).complaints == []


def test_the_teachers_page_lists_every_lesson_and_its_links_lead_somewhere():
    page = ROOT / "notebooks" / "README.md"
    targets = [target for target in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []
    assert {target for target in targets if target.endswith(".ipynb")} == {path.name for path in NOTEBOOKS}


# The harness itself, on tiny lessons.

FIRST = "# Does it work?\n\n**Two minutes.** You will see.\n\n| word | meaning |\n|---|---|\n| *tile* | a square |"
LAST = "## What to read next\n\n- [The next lesson](next.ipynb), and [a page](https://example.org/a)."
TASK = "### Exercise {}: a sum\n\nAdd one to `start`.\n\n<details><summary>Hint</summary>\n\nIt is small.\n\n</details>"
CHECK = """
if answer_{0} is ...:
    print("Not answered yet: a number.")
elif answer_{0} == 2:
    print("Right.")
else:
    print("Too much." if answer_{0} > 2 else "Too little.")
""".strip()


def exercise(number, check=CHECK, wrong="answer_{} = 1", solution="# Solution\nanswer_{} = start + 1"):
    """Return the four cells of an exercise."""
    return [
        nbformat.v4.new_markdown_cell(TASK.format(number)),
        code(f"answer_{number} = ...  # your turn", tags=["exercise"], tnv2={"wrong": wrong.format(number)}),
        code(check.format(number), tags=["check"]),
        code(solution.format(number), tags=["solution"], jupyter={"source_hidden": True}),
    ]


@pytest.fixture
def lesson(tmp_path):
    """Writes a tiny lesson with cells of one's own and returns its path."""

    def write(*own, first=FIRST, last=LAST, exercises=(1, 2), kernel="python3"):
        parts = [each for number in exercises for each in (exercise(number) if isinstance(number, int) else number)]
        ends = [nbformat.v4.new_markdown_cell(text) for text in (first, last)]
        cells = [ends[0], code("start = 1"), *map(code, own), *parts, ends[1]]
        book = nbformat.v4.new_notebook(cells=cells)
        book.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": kernel}
        for number, cell in enumerate(cells):
            cell["id"] = str(number)
        nbformat.write(book, tmp_path / "lesson.ipynb")
        (tmp_path / "next.ipynb").touch()
        return tmp_path / "lesson.ipynb"

    return write


def test_a_lesson_that_is_well(lesson, tmp_path):
    path = lesson("print('seen')", "import subprocess, sys; big = bytearray(b'1' * 200_000_000)")
    assert faults(path) == []
    went = run(path, tmp_path)
    assert went.complaints == []
    assert went.answers == [("Not answered yet: a number.", "Too little.", "Right.")] * 2
    assert went.printed == "seen\n"
    assert 200 < went.megabytes < 600
    assert 0 < went.seconds < 60


def test_the_memory_of_child_processes_counts(lesson, tmp_path):
    child = "import time; big = bytearray(b'1' * 300_000_000); time.sleep(1)"
    path = lesson(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}], check=True)")
    assert 300 < run(path, tmp_path).megabytes < 800  # as much as the child alone


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("assert start == 3, 'not three'", "not three"),
        ("import warnings\nwarnings.warn('careful', stacklevel=1)", "careful"),
        ("import numpy as np\nnp.array([1.0]) / 0", "RuntimeWarning"),
    ],
)
def test_errors_and_warnings_end_a_run(lesson, tmp_path, cell, why):
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError, match=why):
        run(lesson(cell), tmp_path)


def test_what_a_run_is_complained_of(lesson, tmp_path):
    path = lesson(
        "import sys\nprint('psst', file=sys.stderr)",
        exercises=[
            exercise(1, check="print('Right.')"),
            exercise(2, wrong="answer_{} = 2"),
            exercise(3, solution="# Solution\nanswer_{} = 7"),
        ],
    )
    complaints = run(path, tmp_path).complaints
    assert len(complaints) == 5
    expected = ["psst", "exercise 1: its check does not see", "exercise 1: its check takes", "exercise 2: its check takes"]
    for complaint, why in zip(complaints, [*expected, "exercise 3: its check does not take"], strict=True):
        assert why in complaint


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ({"first": FIRST.replace("?", ".")}, "question"),
        ({"first": FIRST.replace("**", "")}, "how long"),
        ({"first": FIRST.replace("| word", "| term")}, "table of words"),
        ({"last": "## Next\n\n[The next](next.ipynb)"}, "read next"),
        ({"last": LAST.replace("next.ipynb", "gone.ipynb")}, "gone.ipynb"),
        ({"kernel": "conda-env"}, "kernel"),
        ({"own": "path = '/home/me/tiles'"}, "absolute path"),
        ({"own": "path = 'C:\\\\Users'"}, "absolute path"),
        ({"own": "def double(x):\n    return 2 * x"}, "defines double"),
        ({"own": "class Thing:\n    pass"}, "defines Thing"),
        ({"own": "start._hidden"}, "private name _hidden"),
        ({"own": "\n".join("start = 1" for _ in range(11))}, "11 lines"),
        ({"own": "answer_2 + 1"}, "needs answer_2, which only an exercise's answer makes"),
        ({"exercises": [1]}, "1 exercises"),
        ({"exercises": [1, 2, 3, 4]}, "4 exercises"),
        ({"exercises": [1, 3]}, "'### Exercise 2"),
        ({"exercises": [1, exercise(2)[:3]]}, "exercise, check and solution in turn"),
        ({"exercises": [1, [each for at in (0, 2, 1, 3) for each in [exercise(2)[at]]]]}, "in turn"),
        ({"exercises": [1, exercise(2, wrong="")]}, "a wrong answer"),
        ({"exercises": [1, exercise(2, solution="answer_2 = 2")]}, "'# Solution'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_faults_of_form_are_named(lesson, bad, expected):
    bad = dict(bad)
    found = faults(lesson(*([bad.pop("own")] if "own" in bad else []), **bad))
    assert found
    assert any(expected in fault for fault in found), found


def test_outputs_and_another_layout_of_the_file_are_named(lesson):
    path = lesson()
    book = nbformat.read(path, as_version=4)
    book.cells[1].outputs = [nbformat.v4.new_output("stream", text="1")]
    nbformat.write(book, path)
    assert any("stored with its output" in fault for fault in faults(path))
    path = lesson()
    path.write_text(path.read_text().replace("\n ", "\n  "))
    assert any("another order or layout" in fault for fault in faults(path))
