"""The kit as a person without a checkout gets it: one wheel, an empty environment, an empty folder."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

import nbformat
import pytest
from conftest import unavailable
from lab import ROOT, answers, wait_for
from lessons import NOTEBOOKS

OWN = ("JUPYTER", "JPY", "TNV2_", "PYTHON", "VIRTUAL_ENV", "CONDA")  # of this environment, and not of the empty one
SCREEN = 24  # lines


def clean():
    """This process's environment without its variables for Python and Jupyter."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OWN)}


def run(*command, timeout=120):
    """Run a command and return what it prints."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "encoding": "utf-8"}
    ran = subprocess.run(list(map(str, command)), env=clean(), timeout=timeout, **options)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The folder of commands of an environment that has the wheel and what it asks for; gigabytes, removed at the end."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, timeout=300)
    [wheel] = folder.glob("tnv2-*.whl")
    venv.create(folder / "environment", with_pip=True)
    found = folder / "environment" / ("Scripts" if os.name == "nt" else "bin")
    try:
        run(found / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel, timeout=1200)
    except AssertionError as error:
        unavailable(f"the wheel's packages cannot be installed: {error}")
    yield found
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_commands_say_what_they_are(commands, empty):
    assert re.fullmatch(r"tnv2 \d+\.\d+\.\d+\s*", run(commands / "tnv2", "--version"))
    told = run(commands / "tnv2", "--help").splitlines()
    assert len(told) <= SCREEN
    assert all(any(line.strip().startswith(command) for line in told) for command in ("tnv2 check ", "tnv2 lab "))
    told = run(commands / "tnv2", "check", timeout=300)
    assert "would run." in told
    assert str(ROOT) not in told
    assert "git checkout" not in told
    with pytest.raises(AssertionError, match="check takes no options, and came with --port 80"):
        run(commands / "tnv2", "check", "--port", "80")
    assert not list(empty.iterdir())


def test_the_lessons_are_copied_and_jupyterlab_opens_the_first(commands, empty):
    (empty / "tnv2-lessons").mkdir()
    (empty / "tnv2-lessons" / "README.md").write_text("mine", encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token=known"]
    with (empty / "log").open("w", encoding="utf-8") as log:
        lab = subprocess.Popen([commands / "tnv2", "lab", *options], env=clean(), stdout=log, stderr=subprocess.STDOUT)
        try:
            page = f"http://localhost:{port}/lab/tree/tnv2-lessons/00_start_here.ipynb?token="  # which is not printed
            wait_for(lambda: page in (empty / "log").read_text(encoding="utf-8"), 60)
            wait_for(lambda: answers(f"{page}known"), 30)
            with urllib.request.urlopen(f"http://localhost:{port}/api/kernelspecs?token=known") as reply:
                assert b'"python3"' in reply.read()
        finally:
            lab.send_signal(signal.SIGTERM)
            lab.wait(20)
    copied = {path.name for path in (empty / "tnv2-lessons").iterdir()}
    assert copied == {path.name for path in NOTEBOOKS} | {"README.md"}
    assert (empty / "tnv2-lessons" / "README.md").read_text(encoding="utf-8") == "mine"
    first = (empty / "tnv2-lessons" / "00_start_here.ipynb").read_bytes()
    assert first == (ROOT / "notebooks" / "00_start_here.ipynb").read_bytes()


def test_the_first_lesson_runs_there(commands, empty):
    shutil.copy(ROOT / "notebooks" / "00_start_here.ipynb", empty)
    run(commands / "jupyter-execute", "--inplace", "00_start_here.ipynb", timeout=300)
    book = nbformat.read(empty / "00_start_here.ipynb", as_version=4)
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("widget-view" in kind for output in outputs for kind in output.get("data", ())), "no tuner"
    told = run(commands / "python", "-c", "import tnv2; print(tnv2.__file__)")
    assert Path(told.strip()).is_relative_to(commands.parent)
