"""How long does each lesson run, and how much memory does its kernel take?

    python benchmarks/lessons.py [NOTEBOOK ...]

Each notebook runs once in a kernel of its own, as the tests run it: wrong answers, self-checks and solutions included. The
seconds are the lesser of the wall clock's and the processors'; the memory is the kernel's peak and that of its children.
Set TNV2_TILES for tiles of your own.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from lessons import NOTEBOOKS, run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS, metavar="NOTEBOOK")
    record = {}
    print(f"{'lesson':28}{'seconds':>8}{'MB':>8}")
    for path in parser.parse_args().notebooks:
        with tempfile.TemporaryDirectory() as folder:
            lesson = run(path, folder)
        record[path.stem] = {"seconds": round(lesson.seconds, 1), "mb": round(lesson.megabytes)}
        print(f"{path.stem:28}{lesson.seconds:8.1f}{lesson.megabytes:8.0f}", flush=True)
        print(*lesson.complaints, sep="\n", end="", file=sys.stderr)
    print(json.dumps(record))


if __name__ == "__main__":
    main()
