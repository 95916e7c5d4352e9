"""Checkup: would the first notebook run here, and if not, what is to be done about it?

Every package is imported where it is needed, so that one that is missing or broken is found and not stumbled over.
"""

import os
import platform
import sys
import warnings
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..downloads import brief
from ..files import in_checkout
from . import labextensions
from .findings import INSTALL, PYTHON, Finding, WrongError, examined, quoted, report, restored, well

if TYPE_CHECKING:
    from ..instances import Probabilities
    from ..network import TernausNetV2
    from ..tiles import Tile

NAMED = ("torch", "numpy", "tifffile", "matplotlib", "ipywidgets", "anywidget")  # packages whose versions are worth a look
CROP = 256  # px
SET, UNSET = ("set", "set TNV2_TILES=") if os.name == "nt" else ("export", "unset TNV2_TILES")


def doctor() -> bool:
    """Print what is here, what is missing and what to do about it, and return whether the first notebook would run.

    It really does that notebook's steps, on a small crop: opens a tile, loads the mini network, predicts, labels, and
    builds the tuner. Nothing is downloaded. In a terminal: ``tnv2 check``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        findings = checkup()
    print(report(findings))
    return well(findings)


def checkup() -> list[Finding]:
    """Return the list of Findings, the environment's first, then those of the notebook's own steps."""
    lab = examined("JupyterLab", jupyterlab)
    tile = examined("tiles", first_tile, remedy=UNSET if own_tiles() else restored("sample_data"))
    model = examined("weights", mini, remedy=restored("weights/mini.safetensors"))
    maps = examined("prediction", prediction, model, tile)
    return [
        examined("Python", python),
        examined("packages", packages),
        lab,
        examined("widgets", widgets, lab),
        examined("kernel", kernel, lab),
        examined("device", device),
        examined("inplace-abn", inplace_abn),
        *([examined("samples", samples, remedy=restored("sample_data"))] if own_tiles() else []),
        tile,
        model,
        examined("published", published),
        maps,
        examined("tuner", tuner, tile, maps),
    ]


def python() -> Finding:
    """The Python that runs this, and where."""
    machine = f"{platform.system()} {platform.machine()}"
    return Finding("ok", "Python", f"{platform.python_version()} on {machine}, {sys.executable}")


def packages() -> Finding:
    """Whether every package that tnv2 asks for is installed, and new enough."""
    from packaging.requirements import Requirement

    bad, count = [], 0
    for asked in map(Requirement, metadata.requires("tnv2") or ()):
        if asked.marker and not asked.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            version = metadata.version(asked.name)
        except metadata.PackageNotFoundError:
            bad.append(f"{asked.name} is not installed")
        else:
            if not asked.specifier.contains(version, prereleases=True):
                bad.append(f"{asked.name} is {version}, not {asked.specifier}")
    if bad:
        raise WrongError(", ".join(bad), INSTALL)
    named = ", ".join(f"{name} {metadata.version(name)}" for name in NAMED)
    return Finding("ok", "packages", f"{named}, and {count - len(NAMED)} more")


def jupyterlab() -> Finding:
    """The JupyterLab that shows this kernel's notebooks: the server above it, or else this environment's."""
    server = labextensions.server_python()
    elsewhere = server is not None and not same_environment(server, sys.executable)
    lab = labextensions.lab_of(server) if server and elsewhere else labextensions.own_lab()
    if lab.version is None:
        raise WrongError(f"is not installed for {lab.python}", INSTALL)
    where = f", of another environment: {lab.python}" if elsewhere else ""
    return Finding("ok", "JupyterLab", f"{lab.version}{where}", result=lab)


def widgets(lab: labextensions.Lab) -> Finding:
    """Whether that JupyterLab can draw the widgets of this kernel."""
    versions = metadata.version("ipywidgets"), metadata.version("anywidget")
    troubles = labextensions.troubles(lab, *versions)
    if troubles:
        raise WrongError(
            f"{'; '.join(told for told, _ in troubles)}. Widgets will not be drawn; once put right, reload the page.",
            "\n".join(command for _, command in troubles),
        )
    manager, anywidget = (lab.extensions[name][0] for name in (labextensions.MANAGER, labextensions.ANYWIDGET))
    return Finding("ok", "widgets", f"its extensions jupyterlab-manager {manager} and anywidget {anywidget} fit this kernel")


def kernel(lab: labextensions.Lab) -> Finding:
    """Whether the notebooks' kernel is the Python that runs this."""
    version = metadata.version("ipykernel")
    if in_kernel():
        return Finding("ok", "kernel", f"ipykernel {version}, which runs this")
    if lab.kernel is None or not same_environment(lab.kernel, sys.executable):
        raise WrongError(
            f"the notebooks' kernel python3 starts {lab.kernel or 'nothing'}, not the Python above",
            f"{PYTHON} -m ipykernel install --sys-prefix",
        )
    return Finding("ok", "kernel", f"ipykernel {version}; the notebooks' kernel python3 starts the Python above")


def in_kernel() -> bool:
    """Return whether a notebook's kernel runs this."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def device() -> Finding:
    """Where the network will run, and how precisely."""
    import torch

    from ..network import best_precision, chosen_device

    chosen = chosen_device("auto")
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    precision = str(best_precision(chosen)).removeprefix("torch.")
    unseen = "; torch is the CUDA build, but sees no GPU" if torch.version.cuda and chosen.type == "cpu" else ""
    return Finding("ok", "device", f"{name}, {precision}{unseen}")


def inplace_abn() -> Finding:
    """Whether the optional package is built, and for this torch."""
    try:
        import inplace_abn

        return Finding("ok", "inplace-abn", f"{inplace_abn.__version__}, built for this torch")
    except ModuleNotFoundError:
        told = "not built; the kit's own ABN computes the same"
    except Exception as error:
        told = f"does not import ({brief(error)}); the kit's own ABN computes the same"
    needs, pip = "ninja setuptools setuptools-scm wheel", f"{PYTHON} -m pip install"
    build = f"{pip} {needs} && {pip} --no-build-isolation inplace-abn"
    return Finding("optional", "inplace-abn", told, "make inplace-abn" if in_checkout() else build)


def samples() -> Finding:
    """Whether the kit's own tiles can be read."""
    from ..tiles import sample_tiles

    return Finding("ok", "samples", f"{len(sample_tiles())} synthetic tiles, all readable")


def first_tile() -> Finding:
    """The tile that the first notebook opens."""
    from ..tiles import find_tiles, sample_tiles

    if not own_tiles():
        tiles = sample_tiles()
        return Finding("ok", "tiles", f"the kit's {len(tiles)} synthetic ones are readable", result=tiles[0])
    if not in_kernel() and not Path(own_tiles()).expanduser().is_absolute():
        raise WrongError(
            f"TNV2_TILES={own_tiles()} is relative, and a notebook would look for it from its own folder",
            f"{SET} TNV2_TILES={quoted(os.path.abspath(own_tiles()))}",
        )
    files = find_tiles()
    tile = files[0].read()
    return Finding("ok", "tiles", f"{len(files)} in TNV2_TILES={own_tiles()}; {tile.name} is readable", result=tile)


def own_tiles() -> str:
    """Return the folder that TNV2_TILES names, "" where it is not set."""
    return os.environ.get("TNV2_TILES", "")


def mini() -> Finding:
    """The network in the box."""
    from ..network import load_model, place_of

    model = load_model("mini")
    megabytes = place_of("mini").stat().st_size / 1e6
    return Finding("ok", "weights", f"mini, {megabytes:.1f} MB, SHA-256 {model.origin['sha256'][:16]}...", result=model)


def published() -> Finding:
    """The authors' weights, which are downloaded on demand."""
    from ..network import place_of

    path = place_of("published")
    if path.is_file():
        return Finding("ok", "published", f"{path.name}, {path.stat().st_size / 1e6:.0f} MB, not opened here")
    first = "" if find_spec("gdown") else f"{PYTHON} -m pip install gdown && "
    remedy = f"""{first}{PYTHON} -c "import tnv2; tnv2.load_model('published')\""""
    return Finding("optional", "published", "the authors' weights, 269 MB, are not downloaded", remedy)


def prediction(model: "TernausNetV2", tile: "Tile") -> Finding:
    """The network's maps of a crop of the tile, and the buildings in them."""
    from ..instances import label_instances
    from ..network import predict

    crop = cropped(tile)
    maps = predict(model, crop)
    count = label_instances(maps, model.thresholds).max()
    size = f"{crop.shape[0]} x {crop.shape[1]} px"
    return Finding("ok", "prediction", f"{count} buildings in a crop of {size} of {tile.name}", result=maps)


def tuner(tile: "Tile", maps: "Probabilities") -> Finding:
    """The tuner over them, and what the first notebook draws with."""
    import matplotlib.pyplot  # noqa: F401

    from ..widgets import ThresholdTuner

    built = ThresholdTuner(cropped(tile), maps)
    built.close()
    return Finding("ok", "tuner", "built; matplotlib is there for the other pictures")


def cropped(tile: "Tile") -> "Tile":
    """Return the upper left corner of a Tile."""
    part = slice(0, CROP), slice(0, CROP)
    bands = {name: None if (array := getattr(tile, name)) is None else array[part] for name in ("rgb", "mul", "truth")}
    return tile.replace(**bands)


def same_environment(python: str, other: str) -> bool:
    """Return whether two Pythons are of one environment; links are not followed, or all would be the system's."""
    return Path(os.path.abspath(python)).parent == Path(os.path.abspath(other)).parent
