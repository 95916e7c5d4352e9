"""Lessons: a notebook's form, and one run of it in a real kernel with its exercises answered wrongly and rightly."""

import ast
import re
import threading
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from lab import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LINES = 10  # of a code cell at most, blank ones not counted
SECONDS, MEGABYTES = 120, 1500  # that a lesson may take
ABSOLUTE = re.compile(r"(?<![\w:/.~])(/(home|Users|root|tmp|mnt|work|data|opt|usr|var|srv|content)/\w|[A-Z]:\\+\w)|~/\w")
SLOW_DISK = "Creating scratch directories is taking a surprisingly long time"  # Dask's, where a disk is busy for a second
LINK = re.compile(r"\]\(([^)\s#]+)[^)]*\)")


@dataclass(frozen=True)
class Run:
    """One run of a lesson.

    printed : what its own cells printed. complaints : what was printed to stderr, and checks that did not help.
    answers : what each exercise's check printed: [(before an answer, at a wrong one, at the solution), ...].
    seconds : the lesser of the wall clock's and the processors', since a busy machine stretches the first alone.
    megabytes : peak resident memory of the kernel, and what its child processes add to it.
    """

    printed: str
    complaints: list
    answers: list
    seconds: float
    megabytes: float


def run(notebook, folder, replacements=None, warned=None):
    """Return the Run of a notebook (its path) in ``folder``; an error or a warning in a cell raises CellExecutionError.

    replacements : {text: other text} for its sources. After each check come the exercise's wrong answer and the check
    again, after the solution the check again. warned : a regular expression of warnings that are printed to stderr, as they
    would be for a reader, and so are among the complaints.
    """
    from nbclient import NotebookClient

    book = nbformat.read(notebook, as_version=4)
    for text, other in (replacements or {}).items():
        assert any(text in cell.source for cell in book.cells), f"{text!r} is not in {notebook}"
        for cell in book.cells:
            cell.source = cell.source.replace(text, other)
    strict, calm = (code(f"import warnings\nwarnings.simplefilter({how!r})") for how in ("error", "ignore"))
    strict.source += f"\nwarnings.filterwarnings('ignore', {SLOW_DISK!r})"
    if warned:
        strict.source += f"\nwarnings.filterwarnings('default', {warned!r})"
    book.cells = [strict, *rehearsed(book.cells), calm]  # calm, or ipykernel stumbles over itself while it shuts down
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # jupyter_client's own, while it starts the kernel
        client = NotebookClient(book, timeout=600, resources={"metadata": {"path": str(folder)}})
        start = time.monotonic()
        with client.setup_kernel(), cost(client.km.provisioner.pid) as spent:
            for index, cell in enumerate(book.cells):
                client.execute_cell(cell, index)
            wall = time.monotonic() - start
    answers = asked(book.cells)
    seconds = min(wall, sum(seconds for seconds, _ in spent.values()))
    printed = "".join(told(cell) for cell in book.cells if "rehearsal" not in cell.metadata)
    return Run(printed, [*grumbles(book.cells), *unhelpful(answers)], answers, seconds, sum(mb for _, mb in spent.values()))


def code(source, **metadata):
    """Return a code cell."""
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def rehearsed(cells):
    """Yield the cells with each exercise's wrong answer, and its check a second and a third time."""
    wrong, check = "", ""
    for cell in cells:
        if "check" in tags(cell):
            cell.metadata["rehearsal"] = "blank"
        yield cell
        if "exercise" in tags(cell):
            wrong = cell.metadata["tnv2"]["wrong"]
        elif "check" in tags(cell):
            check = cell.source
            yield code(wrong, rehearsal="answer")
            yield code(check, rehearsal="wrong")
        elif "solution" in tags(cell):
            yield code(check, rehearsal="right")


def asked(cells):
    """Return what the checks printed, [(blank, wrong, right), ...]."""
    by_turn = {
        turn: [told(cell).strip() for cell in cells if cell.metadata.get("rehearsal") == turn]
        for turn in ("blank", "wrong", "right")
    }
    return list(zip(*by_turn.values(), strict=True))


def told(cell):
    """Return what a cell printed."""
    return "".join(output.text for output in cell.get("outputs", []) if output.get("name") == "stdout")


def grumbles(cells):
    """Yield what cells printed to stderr."""
    for cell in cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                yield f"stderr of the cell {cell.source[:60]!r}: {output.text}"


def unhelpful(answers):
    """Yield which check printed what it must not."""
    for number, (blank, wrong, right) in enumerate(answers, 1):
        if not blank.startswith("Not answered yet"):
            yield f"exercise {number}: its check does not see that there is no answer yet: {blank!r}"
        if not wrong or wrong.startswith(("Right", "Not answered yet")):
            yield f"exercise {number}: its check takes the wrong answer, or is silent: {wrong!r}"
        if not right.startswith("Right"):
            yield f"exercise {number}: its check does not take the solution: {right!r}"
        for line in (blank, wrong, right):
            if "\n" in line:
                yield f"exercise {number}: its check prints more than a line: {line!r}"


@contextmanager
def cost(pid):
    """Yield {process: (seconds, peak megabytes)} of a process and its children, filled until the block ends."""
    spent, kernel = {}, psutil.Process(pid)

    def look():
        for process in [kernel, *kernel.children(recursive=True)]:
            try:
                times = process.cpu_times()
                memory = peak(process) if process.pid == pid else share(process)
                spent[process.pid] = times.user + times.system, max(memory, spent.get(process.pid, (0, 0))[1])
            except (psutil.Error, OSError):  # it has just ended
                pass

    with watching(look, 0.2):
        yield spent


@contextmanager
def watching(look, every):
    """Call ``look()`` every so many seconds while the block lasts, and once at its end."""
    done = threading.Event()

    def watch():
        while not done.wait(every):
            look()
        look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def share(process):
    """Return a process's present memory in MB, pages that several processes share counted in parts, as PSS does.

    Workers that a kernel starts map the same libraries; added up by resident memory, these would count several times.
    """
    rollup = Path("/proc", str(process.pid), "smaps_rollup")
    if rollup.is_file():
        return int(re.search(r"^Pss:\s+(\d+) kB", rollup.read_text() + "\nPss: 0 kB", re.MULTILINE)[1]) / 1e3
    return process.memory_info().rss / 1e6


def peak(process):
    """Return a process's highest resident memory so far in MB; the present one where the system does not keep it."""
    status = Path("/proc", str(process.pid), "status")
    if status.is_file():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text() + "VmHWM: 0 kB")[1]) / 1e3
    return process.memory_info().rss / 1e6


def faults(path):
    """Return what is wrong with a lesson's form, a line each."""
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    return [*stored(path, book), *framed(book), *linked(path, book), *written(book), *exercised(book)]


def stored(path, book):
    """Yield what makes a notebook differ from how it is to be stored."""
    if nbformat.writes(book).rstrip("\n") + "\n" != path.read_text(encoding="utf-8"):
        yield "JupyterLab would store it in another order or layout; nbformat.read and nbformat.write it once"
    if book.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "its kernel is not python3"
    for cell in book.cells:
        if cell.get("outputs") or cell.get("execution_count"):
            yield f"the cell {cell.source[:40]!r} is stored with its output"


def framed(book):
    """Yield what the first and the last cell lack."""
    first, last = book.cells[0], book.cells[-1]
    if first.cell_type != "markdown" or not re.match(r"# .*\?\n", first.source):
        yield "its first cell does not begin with a question"
    if not re.search(r"\*\*[^*]*(minutes?|hours?)\b[^*]*\*\*", first.source):
        yield "its first cell does not say how long it takes"
    if not re.search(r"^\| word \| meaning \|$", first.source, re.MULTILINE):
        yield "its first cell has no table of words"
    if last.cell_type != "markdown" or "## What to read next" not in last.source:
        yield "its last cell does not say what to read next"


def linked(path, book):
    """Yield links to files that are not there, and paths that are only on one computer."""
    for cell in book.cells:
        for target in LINK.findall(cell.source) if cell.cell_type == "markdown" else ():
            if not re.match(r"\w+:", target) and not (path.parent / target).exists():
                yield f"it links to {target}, which is not there"
            if target.startswith(".."):
                yield f"it links to {target}, which is not there where the lessons are copied to"
        if place := ABSOLUTE.search(cell.source):
            yield f"it has an absolute path, {place[0]!r}"


def written(book):
    """Yield code that is too much for a cell."""
    for cell in (cell for cell in book.cells if cell.cell_type == "code"):
        start = repr(cell.source[:40])
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if len(lines) > LINES:
            yield f"the cell {start} has {len(lines)} lines"
        for node in ast.walk(ast.parse(re.sub(r"^%.*$", "", cell.source, flags=re.MULTILINE))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield f"the cell {start} defines {node.name}"
            if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
                yield f"the cell {start} uses the private name {node.attr}"


def exercised(book):
    """Yield what is wrong with the exercises: two or three, four cells each."""
    tagged = [(tag, at) for at, cell in enumerate(book.cells) for tag in tags(cell)]
    starts = [at for tag, at in tagged if tag == "exercise"]
    if not 2 <= len(starts) <= 3:
        yield f"it has {len(starts)} exercises, not two or three"
    if [tag for tag, _ in tagged] != ["exercise", "check", "solution"] * len(starts):
        yield f"its tags are not exercise, check and solution in turn: {[tag for tag, _ in tagged]}"
    for number, at in enumerate(starts, 1):
        task, blank, check, solution = (book.cells + [code("")] * 3)[at - 1 : at + 3]
        hint = r"### Exercise \d+: .*<details><summary>Hint</summary>.*</details>"
        rules = {
            f"begin with a task, '### Exercise {number}: ...'": f"### Exercise {number}: " in task.source,
            "fold a hint": task.cell_type == "markdown" and re.search(hint, task.source, re.DOTALL),
            "leave ... to be filled in": "..." in blank.source and len(blank.source.splitlines()) <= 4,
            "bring a wrong answer": blank.metadata.get("tnv2", {}).get("wrong"),
            "check next": "check" in tags(check),
            "bring the solution last, folded": solution.metadata.get("jupyter", {}).get("source_hidden") is True,
            "begin the solution with '# Solution'": solution.source.startswith("# Solution"),
        }
        yield from (f"exercise {number} does not {rule}" for rule, kept in rules.items() if not kept)
    answered = {"exercise", "solution"}
    given = set().union(*(names(cell, ast.Store) for cell in book.cells if answered & set(tags(cell))))
    others = [cell for cell in book.cells if cell.cell_type == "code" and not tags(cell)]
    for cell in others:
        for name in names(cell, ast.Load) & given - set().union(*(names(other, ast.Store) for other in others)):
            yield f"the cell {cell.source[:40]!r} needs {name}, which only an exercise's answer makes"


def tags(cell):
    """Return a cell's tags."""
    return cell.metadata.get("tags", [])


def names(cell, context):
    """Return the names that a code cell reads (ast.Load) or sets (ast.Store)."""
    tree = ast.parse(re.sub(r"^%.*$", "", cell.source, flags=re.MULTILINE))
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, context)}
