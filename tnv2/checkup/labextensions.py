"""Lab extensions: what the JupyterLab in front of a kernel has to draw widgets with.

The file imports nothing of the kit, so that the Python of another environment can run it: it then prints its Lab as JSON.
JupyterLab's own functions for this would take two seconds to import.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

MANAGER, ANYWIDGET = "@jupyter-widgets/jupyterlab-manager", "anywidget"
SERVER = re.compile(r"jupyter(lab|-lab|-labhub|-notebook|-server|hub-singleuser)(\.py|\.exe|-script\.py)?$")


@dataclass(frozen=True)
class Lab:
    """A JupyterLab and its extensions.

    python : the Python that runs it. version : of JupyterLab, None where it is not installed. folders : where it looks.
    extensions : {name: [version, folder, whether the script that a page loads is there]}, the first of a name in
        ``folders``. disabled : names of extensions, or of their plugins, that are turned off.
    kernel : the Python that the notebooks' kernel ``python3`` starts, None without such a kernel.
    """

    python: str
    version: str | None
    folders: list[str]
    extensions: dict[str, list[Any]]
    disabled: list[str]
    kernel: str | None


def own_lab() -> Lab:
    """Return the Lab of the Python that runs this; raises what a broken installation leads to."""
    from jupyter_core.paths import jupyter_config_path, jupyter_path

    try:
        version = metadata.version("jupyterlab")
    except metadata.PackageNotFoundError:
        version = None
    folders = jupyter_path("labextensions")
    return Lab(sys.executable, version, folders, extensions(folders), disabled(jupyter_config_path()), kernel_python())


def extensions(folders: list[str]) -> dict[str, list[Any]]:
    """Return {name: [version, folder, whether its script is there]} of what is installed; the first of a name counts."""
    found: dict[str, list[Any]] = {}
    for folder in folders:
        for path in sorted([*Path(folder).glob("[!@]*/package.json"), *Path(folder).glob("@*/*/package.json")]):
            package = json.loads(path.read_text(encoding="utf-8"))
            script = package.get("jupyterlab", {}).get("_build", {}).get("load", "-")
            found.setdefault(package["name"], [package["version"], str(path.parent), (path.parent / script).is_file()])
    return found


def disabled(folders: list[str]) -> list[str]:
    """Return the names that JupyterLab's configuration turns off; the first of the ``folders`` has the last word."""
    application = Path(os.environ.get("JUPYTERLAB_DIR") or Path(sys.prefix, "share", "jupyter", "lab"), "settings")
    files = [application / "page_config.json"]
    for folder in reversed(folders):
        own = Path(folder, "labconfig")
        files += [*sorted(own.glob("page_config.d/*.json")), own / "page_config.json"]
    off: dict[str, bool] = {}
    for path in files:
        if path.is_file() and path.stat().st_size:
            names = json.loads(path.read_text(encoding="utf-8")).get("disabledExtensions", {})
            off |= names if isinstance(names, dict) else dict.fromkeys(names, True)
    return [name for name, is_off in off.items() if is_off]


def kernel_python() -> str | None:
    """Return the Python that the kernel ``python3`` starts, None where there is no such kernel."""
    from jupyter_client.kernelspec import NoSuchKernel, get_kernel_spec

    try:
        first = get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return None
    return sys.executable if re.fullmatch(r"python[\d.]*", first) else first  # as jupyter_client starts it


def server_python() -> str | None:
    """Return the Python of the Jupyter server above this process, None where none can be seen."""
    import psutil

    for process in psutil.Process().parents():
        try:
            command = process.cmdline()[:4]
        except psutil.Error:
            return None
        if command and Path(command[0]).is_absolute() and any(SERVER.search(part) for part in command[1:]):
            return command[0]
    return None


def lab_of(python: str) -> Lab:
    """Return the Lab of another environment, whose Python is started to say it; raises RuntimeError where it cannot."""
    source = Path(__file__).read_text(encoding="utf-8")
    asked = subprocess.run([python, "-c", source], capture_output=True, text=True, timeout=60, cwd=Path(python).parent)
    if asked.returncode:
        raise RuntimeError(f"JupyterLab's Python, {python}, could not say what it has: {asked.stderr.strip()[-150:]}")
    return Lab(**json.loads(asked.stdout))


def troubles(lab: Lab, ipywidgets: str, anywidget: str) -> list[tuple[str, str]]:
    """Return [(what is wrong, the command against it), ...] for what keeps a kernel's widgets from being drawn.

    lab : a Lab with a version. ipywidgets, anywidget : the versions that the kernel has, "8.1.9".
    """
    from packaging.version import Version

    pip = f"{shlex.quote(lab.python)} -m pip install"
    if Version(lab.version or "0") < Version("4"):
        return [(f"JupyterLab {lab.version} is too old for these widgets, which need 4", f'{pip} "jupyterlab>=4.4"')]
    install, fitting = f"{pip} --force-reinstall --no-deps", Version(anywidget).release[:2]
    return [
        *trouble(lab, MANAGER, f"ipywidgets {ipywidgets}", (5,), f'{install} "jupyterlab_widgets>=3"'),
        *trouble(lab, ANYWIDGET, f"anywidget {anywidget}", fitting, f"{install} anywidget=={anywidget}"),
    ]


def trouble(lab: Lab, name: str, kernels: str, version: tuple[int, ...], install: str) -> list[tuple[str, str]]:
    """Return what is wrong with one extension as ``troubles`` does.

    kernels : the kernel's package that it serves. version : the numbers that its own must begin with.
    install : the command that puts the right one in.
    """
    from packaging.version import Version

    if name not in lab.extensions:
        return [(f"JupyterLab has no extension {name} in {lab.folders[0]} or elsewhere", install)]
    has, folder, whole = lab.extensions[name]
    if any(off == name or off.startswith(f"{name}:") for off in lab.disabled):
        return [(f"the extension {name} is turned off", f"{shlex.quote(lab.python)} -m jupyter labextension enable {name}")]
    if not whole:
        return [(f"the extension {name} in {folder} lacks its script", install)]
    if Version(has).release[: len(version)] != version:
        needs = ".".join(map(str, version))
        return [(f"the extension {name} in {folder} is {has}; the kernel's {kernels} needs {needs}", install)]
    return []


if __name__ == "__main__":
    print(json.dumps(asdict(own_lab())))
