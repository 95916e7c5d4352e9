"""Fuzz: damaged and hostile files go through the kit's readers, in processes that may die of them.

For every mutant a reader gives a result, or a ValueError or FileNotFoundError that names the file and says what to do.
Anything else is a fault: another error, a message without these, a warning, a process that dies, takes over 5 seconds of
computing or 1 GB of memory, or leaves a file behind.
"""

import ast
import os
import re
import resource
import signal
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from damage import mutant

import tnv2
from tnv2.tiles.pansharpening import read_sharpened

MEMORY, SECONDS = 1 << 30, 5  # bytes resident, seconds of computing; a file that just waits has a minute
NAME = "AOI_2_Vegas_img1"
PARTNERS = {"rgb": f"RGB-PanSharpen_{NAME}.tif", "mul": f"MUL_{NAME}.tif", "footprints": f"buildings_{NAME}.geojson"}
REMEDY = re.compile(
    r"\b(Pass|Fetch|Save|Divide|Keep|Fill|Convert|Rewrite|Delete|Cut|Train|Move|Reproject|is needed|leave)\b"
)


def fuzz(folder, kind, inputs, script=__file__):
    """Return a Counter of "result", "clear error" and faults that mutants of a kind led to, and [(number, fault), ...].

    folder : with a corpus. script : what the processes run, with the folder, the kind, and the first and last number.
    """
    counts, faults, at = Counter(), [], 0
    while at < inputs:
        with TemporaryDirectory() as room:
            command = [sys.executable, str(script), str(folder), kind, str(at), str(inputs)]
            options = {"cwd": room, "env": os.environ | {"OMP_NUM_THREADS": "1"}, "stderr": subprocess.DEVNULL}
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as worker:
                for verdict in worker.stdout:
                    counts[verdict.strip().partition(":")[0]] += 1
                    if not verdict.startswith(("result", "clear error")):
                        faults.append((at, verdict.strip()))
                    at += 1
        if worker.returncode:
            ended = {-signal.SIGPROF: "hang", -signal.SIGALRM: "hang"}.get(worker.returncode, "crash")
            counts[ended] += 1
            faults.append((at, f"{ended}: exit status {worker.returncode}"))
            at += 1
    return counts, faults


def work(folder, kind, first, last):
    """Print a line for each mutant from ``first`` to ``last``: what it led to. The working folder is empty, and stays so."""
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", r".*(no known place on the Earth|ground control points|has no area)")  # results, told
    seeds = seeds_of(folder, kind)
    outcome(folder, kind, seeds[0] if seeds else ["x"])  # so that imports count for no mutant
    limit_memory()
    for number in range(first, last):
        forget_peak()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, 60)
        verdict = outcome(folder, kind, mutant(kind, number, seeds))
        if peak() > MEMORY:
            verdict = f"memory: {peak() >> 20} MB"
        if os.listdir():
            verdict = f"stray file: {os.listdir()}"
        print(" ".join(verdict.split())[:300], flush=True)
        if os.listdir():
            return  # the next mutant has an empty folder again


def outcome(folder, kind, content):
    """Return what came of reading a mutant, in a folder of its own: "result", "clear error" or what else."""
    (name, read), partners = KINDS[kind], {product: folder / file for product, file in PARTNERS.items()}
    with TemporaryDirectory(dir=folder) as room:
        path = Path(room, name.format(NAME))
        with_names(path, content) if kind == "names" else path.write_bytes(content)
        try:
            read(path, partners)
        except (ValueError, FileNotFoundError) as error:
            return "clear error" if is_clear(error, path) else f"unclear error: {type(error).__name__}: {error}"
        except BaseException as error:  # Rust's panics are no Exceptions
            return f"other error: {type(error).__name__}: {error}"
        return "result"


def seeds_of(folder, kind):
    """Return the whole files of a kind, in order."""
    return [path.read_bytes() for path in sorted((folder / kind).iterdir())]


def is_clear(error, path):
    """Return whether an error is one of the two, not of a library's own kind, names the path and a remedy, and is short."""
    text = str(error)
    return type(error) in (ValueError, FileNotFoundError) and str(path) in text and REMEDY.search(text) and len(text) < 1500


def read_placed(path, partners):
    """Read a TIFF alone, with MUL bands and with footprints."""
    for given in ((), (partners["mul"],), (None, partners["footprints"])):
        repr(tnv2.read_tile(path, *given))


def read_csv(path, partners):
    """Read a challenge CSV as many tiles and as the footprints of one."""
    found = tnv2.read_challenge_csv(path, (40, 40))
    assert all(isinstance(name, str) and found[name].shape == (40, 40) for name in list(found)[:9])
    tnv2.read_tile(partners["rgb"], None, path)


def read_weights(path, partners):
    """Load weights; none of the corpus's networks has 100,000."""
    model = tnv2.load_model(path, device="cpu")
    assert sum(parameter.numel() for parameter in model.parameters()) < 100_000


CALLED = ("read_tile", "load_model", "predict", "read_probabilities", "label_instances", "Thresholds", "SceneMap.load")


def read_recipe(path, partners):
    """Load a recipe; its code imports the kit, sets two to four names and calls nothing but the kit."""
    code = ast.parse(str(tnv2.Recipe.load(path)))
    assert [type(line) for line in code.body] in [[ast.Import] + [ast.Assign] * count for count in (2, 3, 4)]
    calls = {ast.unparse(node.func) for node in ast.walk(code) if isinstance(node, ast.Call)}
    calls = {name.removesuffix(".rounded").split("(")[0] for name in calls}
    assert calls <= {f"tnv2.{name}" for name in CALLED}


def read_maps(path):
    """Read probability maps; what comes back is within its range."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of numbers that are next to 0
        maps = tnv2.read_probabilities(path)
    assert 0 <= maps.building.min() <= maps.building.max() <= 1


def read_names(room, partners):
    """Find tiles, whose names are those of files in one folder, and read them: empty files and odd links."""
    for files in tnv2.find_tiles(room):
        assert Path("out", f"{files.name}.tif").parent == Path("out")
        try:
            files.read()
        except (ValueError, FileNotFoundError) as error:
            if not is_clear(error, room):
                raise


KINDS = {  # of each the name of a mutant's file, and what reads it
    "RGB": ("RGB-PanSharpen_{}.tif", lambda path, partners: repr(tnv2.read_tile(path))),
    "MUL": ("MUL_{}.tif", lambda path, partners: repr(tnv2.read_tile(partners["rgb"], path))),
    "PAN": ("PAN_{}.tif", lambda path, partners: repr(read_sharpened(partners["mul"], path))),
    "georeference": ("RGB-PanSharpen_{}.tif", read_placed),
    "other RGB": ("RGB-PanSharpen_{}.tif", lambda path, partners: tnv2.true_colour(tnv2.read_tile(path))),
    "GeoJSON": ("buildings_{}.geojson", lambda path, partners: repr(tnv2.read_tile(partners["rgb"], None, path))),
    "CSV": ("{}_Building_Solutions.csv", read_csv),
    "checkpoint": ("{}.pt", read_weights),
    "safetensors": ("{}.safetensors", read_weights),
    "recipe": ("{}.json", read_recipe),
    "npy": ("{}.npy", lambda path, partners: read_maps(path)),
    "npz": ("{}.npz", lambda path, partners: read_maps(path)),
    "names": ("", read_names),
}


def with_names(room, names):
    """Put empty files of these names into a folder, and links among them that lead nowhere, in circles and to no end."""
    for number, name in enumerate(names):
        path = room / os.fsdecode(os.fsencode(name)[:255])
        target = ("/dev/zero", name, "gone", room, None, None, None)[(number + len(name)) % 7]
        if not os.path.lexists(path):
            path.touch() if target is None else path.symlink_to(target)


def limit_memory():
    """Let no mutant take the machine down; what counts is the memory that it uses."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))


def forget_peak():
    """Start measuring the peak of resident memory anew, where the system can."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def peak():
    """Return the most bytes that were resident since ``forget_peak``, or since the process began."""
    if sys.platform == "linux":
        return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
