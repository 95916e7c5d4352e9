"""Do damaged and hostile files break a reader?

    python benchmarks/fuzz.py [--inputs 10000] [--readers RGB CSV ...] [--again RGB 1234]

Each reader is given as many mutants of small whole files. It may give a result, or a clear error: a ValueError or
FileNotFoundError that names the file and says what to do. Anything else is a fault; ``--again`` makes that mutant once more,
keeps it, and shows where it leads.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from corpus import write_corpus  # noqa: E402
from damage import mutant  # noqa: E402
from fuzz import KINDS, NAME, PARTNERS, fuzz, seeds_of, with_names  # noqa: E402


def again(folder, kind, number):
    """Read one mutant in this process, from a file that is kept."""
    name, read = KINDS[kind]
    path, content = Path(name.format(NAME)).absolute(), mutant(kind, number, seeds_of(folder, kind))
    with_names(path, content) if kind == "names" else path.write_bytes(content)
    print(f"{path}: {content if kind == 'names' else f'{len(content)} bytes'}")
    read(path, {product: folder / file for product, file in PARTNERS.items()})
    print("result")


def table(folder, kinds, inputs):
    """Print what came of the mutants of each kind, and as the last line all of it as JSON."""
    print(f"{'reader':14} {'inputs':>8} {'results':>8} {'clear errors':>13} {'faults':>7} {'seconds':>8}")
    record = {}
    for kind in kinds:
        start = time.perf_counter()
        counts, faults = fuzz(folder, kind, inputs)
        row = (counts.total(), counts["result"], counts["clear error"], len(faults))
        print("{:14} {:8} {:8} {:13} {:7} {:8.0f}".format(kind, *row, time.perf_counter() - start), flush=True)
        for number, fault in faults:
            print(f"    {number}: {fault}")
        record[kind] = dict(zip(("inputs", "results", "clear_errors", "faults"), row, strict=True))
    print(json.dumps(record | {"faults": sum(row["faults"] for row in record.values())}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000, help="mutants a reader")
    parser.add_argument("--readers", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--again", nargs=2, metavar=("READER", "NUMBER"), help="read one mutant once more")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        write_corpus(Path(folder))
        if arguments.again:
            again(Path(folder), arguments.again[0], int(arguments.again[1]))
        else:
            table(Path(folder), arguments.readers, arguments.inputs)


if __name__ == "__main__":
    main()
