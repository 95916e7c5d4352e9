"""How strong are the tests of the core? Would they notice if a line of it were wrong?

    python benchmarks/mutants.py [--mutants 80] [--seconds 60] [--only scoring] [--list]

A mutant is the core with one thing changed: a comparison, a number, a True or False, an ``and`` or ``or``, a plus or minus.
Each meets the test file of its module's name, and nothing else, for at most a minute, or three times what the tests take
without a mutant. One that fails a test or runs out of time is killed; one that passes all of them survived: a test is
missing, or the mutant does the same as the original. Those that were read and found to be the same are in SAME, with the
reason, and count for nothing. Mutants are drawn evenly over all that can be made, the same ones each time; ``--mutants 0``
takes all. What a message says is not changed, nor types, nor how thick a picture's lines are.

It works in a copy, one process at a time, takes about ten seconds a mutant, and is run by hand. Tests of how many seconds
something takes are left out, since other work beside this would fail them.
"""

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
CORE = (*sorted((ROOT / "tnv2" / "instances").glob("[a-z]*.py")),)
CORE += tuple(ROOT / "tnv2" / "polygons" / f"{name}.py" for name in ("outlines", "borders", "simple"))
CORE += tuple(ROOT / "tnv2" / name for name in ("tiles/georeference.py", "cities/seams.py"))
NAMES = {"depths": "labels", "borders": "outlines", "simple": "outlines"}  # whose tests are in a file of another name
COMPARISONS = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}  # fmt: skip
LEFT_OUT = {"strict", "stacklevel"}  # keywords: checks of the code itself
LEFT_OUT |= {
    "figsize",
    "bbox_to_anchor",
    "ncols",
    "frameon",
    "linewidth",
    "linewidths",
    "markersize",
    "zorder",
}  # of pictures
SUMS = {ast.Add: ("+", "-"), ast.Sub: ("-", "+")}
AT_ONCE = """from hypothesis import Phase, settings

settings.register_profile("at once", phases=(Phase.explicit, Phase.generate))  # no search for a smaller example
settings.load_profile("at once")
"""
SAME = {  # (module, what the changed line has then): why it does what the original does
    ("depths", "if begin <= width:"): "what begins behind the last column is taken off again before it is looked at",
    ("edits", "1 if end_column >= column"): "no step goes that way then",
    ("edits", "np.s_[:0, :0], np.zeros((0, 1), bool)"): "nobody looks at the body of no building",
    ("edits", "int(rows[-1]) + 2"): "a window with an empty row more holds the same",
    ("scoring", "<= 3 * flat.size"): "both ways number alike",
    ("search", "np.isfinite(precision - recall)"): "rates are from 0 to 1 or not a number",
    ("seams", "matrix[:3, :2]"): "the third row is 0 there",
}


def mutants_of(path):
    """Return a list of (line number, source) of a file's mutants, in the order of the file."""
    source = path.read_text(encoding="utf-8")
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = sorted(set(changes(ast.parse(source), source.encode(), lambda line, column: starts[line - 1] + column)))
    return [
        (source.encode()[:start].count(b"\n") + 1, (source.encode()[:start] + new + source.encode()[end:]).decode())
        for start, end, new in found
    ]


def changes(node, source, at):
    """Yield (start, end, new bytes) of each change in a syntax tree."""

    def between(left, right, old, new):
        """The change of an operator that stands between two nodes, perhaps beside parentheses."""
        start, end = at(left.end_lineno, left.end_col_offset), at(right.lineno, right.col_offset)
        place = source.find(old.encode(), start, end)
        return (place, place + len(old), new.encode())

    if isinstance(node, ast.Compare):
        for left, operator, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
            yield between(left, right, *COMPARISONS[type(operator)])
    elif isinstance(node, ast.BoolOp):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield between(left, right, old, new)
    elif isinstance(node, ast.BinOp) and type(node.op) in SUMS:
        yield between(node.left, node.right, *SUMS[type(node.op)])
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        new = not node.value if isinstance(node.value, bool) else node.value + 1
        yield at(node.lineno, node.col_offset), at(node.end_lineno, node.end_col_offset), repr(new).encode()
    for child in parts_of(node):
        yield from changes(child, source, at)


def parts_of(node):
    """Return the nodes below one that do something: no types, no messages, no looks of pictures."""
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return []
    if isinstance(node, ast.keyword) and node.arg in LEFT_OUT:
        return []
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn":
        return []
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return []
    types = [getattr(node, name, None) for name in ("annotation", "returns")]
    return [child for child in ast.iter_child_nodes(node) if child not in types]


def evenly(mutants, count):
    """Return ``count`` of a list, evenly over it; all for 0."""
    count = min(count or len(mutants), len(mutants))
    return [mutants[(2 * k + 1) * len(mutants) // (2 * count)] for k in range(count)]


def copied(folder):
    """Copy into a folder what the tests need, its Python files as files, and return where to find it."""
    left_out = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("tnv2", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "conftest.py").write_text(AT_ONCE)
    for name in ("sample_data", "weights", "notebooks", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def verdict(folder, test, seconds):
    """Return "survived", "killed" or "out of time": what a test file says of the copy in ``folder``."""
    paths = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": str(folder / "numba")}
    paths["TNV2_SHARED"] = os.environ.get("TNV2_SHARED", str(ROOT.parent / "shared"))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", "not seconds", test]
    try:
        done = subprocess.run(command, cwd=folder, env=os.environ | paths, timeout=seconds, capture_output=True, check=False)
    except subprocess.TimeoutExpired:
        return "out of time"
    if done.returncode in (3, 4, 5):  # pytest's own trouble; 2 is a module that cannot be imported, others are crashes
        raise RuntimeError(done.stdout.decode() + done.stderr.decode())
    return "killed" if done.returncode else "survived"


def test_of(path):
    """Return the test file of a module, from the root."""
    return f"tests/{path.parent.name}/test_{NAMES.get(path.stem, path.stem)}.py"


def measured(chosen, seconds):
    """Return [(path, line number, changed line, verdict), ...] of (path, line number, source) mutants, each printed."""
    found = []
    with TemporaryDirectory() as name:
        folder = copied(Path(name))
        allowed: dict[str, float] = {}
        for path, number, source in chosen:
            test, start = test_of(path), time.perf_counter()
            if test not in allowed:
                if verdict(folder, test, 20 * seconds) != "survived":
                    raise RuntimeError(f"{test} fails without a mutant. Mend that first.")
                allowed[test] = max(seconds, 3 * (time.perf_counter() - start))
                print(f"{time.perf_counter() - start:6.1f} s  without one  {test}", flush=True)
            place = folder / path.relative_to(ROOT)
            place.write_text(source, encoding="utf-8")
            line, start = source.splitlines()[number - 1].strip(), time.perf_counter()
            said = verdict(folder, test, allowed[test])
            shutil.copy(path, place)
            same = any(path.stem == module and part in line for module, part in SAME)
            said = "the same" if said == "survived" and same else said
            found.append((path, number, line, said))
            print(f"{time.perf_counter() - start:6.1f} s  {said:12} {path.stem}:{number}: {line}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=80, help="how many; 0 for all")
    parser.add_argument("--seconds", type=float, default=60, help="that a mutant's tests may take")
    parser.add_argument("--only", action="append", help="a module's name, scoring say; may be given several times")
    parser.add_argument("--list", action="store_true", help="print the mutants and run none")
    arguments = parser.parse_args()
    core = [path for path in CORE if not arguments.only or path.stem in arguments.only]
    every = [(path, *mutant) for path in core for mutant in mutants_of(path)]
    chosen = evenly(every, arguments.mutants)
    if arguments.list:
        for path, number, source in chosen:
            print(f"{path.stem}:{number}: {source.splitlines()[number - 1].strip()}")
        return
    found = measured(chosen, arguments.seconds)
    kinds = ("killed", "out of time", "survived", "the same")
    print("\n" + f"{'':16}" + "".join(f"{kind:>13}" for kind in kinds))
    for path in core:
        counts = Counter(said for where, *_, said in found if where == path)
        print(f"{path.stem:16}" + "".join(f"{counts[kind]:13}" for kind in kinds))
    counts = Counter(said for *_, said in found)
    meant = len(found) - counts["the same"]
    record = {"possible": len(every), "mutants": len(found)} | {kind.replace(" ", "_"): counts[kind] for kind in kinds}
    print(json.dumps(record | {"killed_share": round((counts["killed"] + counts["out of time"]) / max(meant, 1), 3)}))


if __name__ == "__main__":
    main()
