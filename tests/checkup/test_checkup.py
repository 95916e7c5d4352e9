"""The checkup says what is wrong in really broken environments, what to do, and by its exit status whether it is well."""

import json
import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from lab import ROOT

from tnv2.checkup.checkup import doctor, first_tile
from tnv2.checkup.findings import WrongError

JUPYTER = ("JUPYTER", "JPY", "TNV2_TILES", "PYTHONPATH", "VIRTUAL_ENV", "CONDA")


def checked(folder, *command, package=ROOT, **environment):
    """Run the checkup in a home of its own and return (exit status, {topic: (mark, what is told)})."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(JUPYTER)}
    own = {"HOME": str(folder), "PYTHONPATH": str(package), **environment}
    command = command or (sys.executable, "-m", "tnv2")
    run = subprocess.run(command, env=kept | own, cwd=folder, capture_output=True, text=True, timeout=300)
    assert not run.stderr, run.stderr
    lines = run.stdout.splitlines()
    assert 10 < len(lines) <= 24, run.stdout
    assert all(len(line) <= 100 for line in lines[1:-1] if "/" not in line)
    told = {}
    for line in lines[1:-1]:
        if line[:1].strip():
            topic = line[10:22].strip()
            told[topic] = line[:10].strip(), line[22:]
        else:
            told[topic] = told[topic][0], f"{told[topic][1]} {line.strip()}"
    assert ("would run." in lines[-1]) == (run.returncode == 0)
    return run.returncode, told


def wrong(told):
    return {topic for topic, (mark, _) in told.items() if mark == "WRONG"}


def not_tried(told):
    return {topic for topic, (mark, _) in told.items() if mark == "not tried"}


@pytest.fixture
def environment(tmp_path):
    """The Python of an environment with all the packages of this one, and with nothing in its share/jupyter."""
    folder = tmp_path / "environment"
    venv.create(folder, symlinks=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "these.pth").write_text("\n".join(path for path in site.getsitepackages() if Path(path).is_dir()))
    return str(folder / "bin" / "python")


@pytest.fixture
def copy(tmp_path):
    """A copy of the kit to break."""
    for name in ("tnv2", "weights", "sample_data"):
        shutil.copytree(ROOT / name, tmp_path / "copy" / name)
    return tmp_path / "copy"


def test_all_is_well_here(capsys):
    assert doctor() is True
    lines = capsys.readouterr().out.splitlines()
    assert {line[:10].strip() for line in lines[1:-1]} <= {"ok", "optional", ""}
    assert "would run" in lines[-1]


HIDDEN = """
import runpy, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
runpy.run_module("tnv2", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        ("anywidget", {"tuner"}),
        ("torch", {"device", "weights", "published"}),
        ("jupyter_core", {"JupyterLab"}),
    ],
)
def test_a_package_that_does_not_import(tmp_path, hidden, expected):
    status, told = checked(tmp_path, sys.executable, "-c", HIDDEN.format(names={hidden}))
    assert status == 1
    assert expected <= wrong(told)
    for topic in expected:
        assert "pip install -c constraints.txt -e ." in told[topic][1]
        assert hidden in told[topic][1]


def test_weights_and_tiles_that_are_cut_short_or_missing(tmp_path, copy):
    weights = copy / "weights" / "mini.safetensors"
    [rgb] = copy.glob("sample_data/*/RGB-PanSharpen/*img3.tif")
    for path in (weights, rgb):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    status, told = checked(tmp_path, package=copy)
    assert (status, wrong(told), not_tried(told)) == (1, {"weights", "tiles"}, {"prediction", "tuner"})
    assert "weights/mini.safetensors is not a whole safetensors file" in told["weights"][1]
    assert rgb.name in told["tiles"][1]
    shutil.rmtree(copy / "weights")
    shutil.rmtree(copy / "sample_data")
    status, told = checked(tmp_path, package=copy)
    assert (status, wrong(told), not_tried(told)) == (1, {"weights", "tiles"}, {"prediction", "tuner"})
    assert told["weights"][1].endswith("-> git checkout -- weights/mini.safetensors")
    assert told["tiles"][1].endswith("-> git checkout -- sample_data")


def test_the_folder_of_tiles_that_a_person_set(tmp_path):
    (tmp_path / "empty").mkdir()
    status, told = checked(tmp_path, TNV2_TILES=str(tmp_path / "empty"))
    assert (status, wrong(told), not_tried(told)) == (1, {"tiles"}, {"prediction", "tuner"})
    assert "holds no RGB tile" in told["tiles"][1]
    assert told["tiles"][1].endswith("-> unset TNV2_TILES")
    assert told["samples"][0] == "ok"
    status, told = checked(tmp_path, TNV2_TILES=str(ROOT / "sample_data"))
    assert status == 0
    assert told["tiles"][1].startswith("4 in TNV2_TILES=")


def test_a_relative_folder_is_refused_because_a_notebook_would_look_elsewhere(monkeypatch):
    monkeypatch.setenv("TNV2_TILES", "sample_data")
    with pytest.raises(WrongError, match="relative") as caught:
        first_tile()
    assert caught.value.remedy == f"export TNV2_TILES={Path('sample_data').resolve()}"


def put_extension(environment, name, version):
    """Install a lab extension of a name and version into an environment."""
    folder = Path(environment).parents[1] / "share" / "jupyter" / "labextensions" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "entry.js").touch()
    package = {"name": name, "version": version, "jupyterlab": {"_build": {"load": "entry.js"}}}
    (folder / "package.json").write_text(json.dumps(package))


def test_an_environment_whose_jupyterlab_lacks_the_extensions(tmp_path, environment):
    status, told = checked(tmp_path, environment, "-m", "tnv2")
    assert (status, wrong(told)) == (1, {"widgets"})
    assert "no extension @jupyter-widgets/jupyterlab-manager" in told["widgets"][1]
    assert "no extension anywidget" in told["widgets"][1]
    assert f"-> {environment} -m pip install" in told["widgets"][1]
    assert told["tuner"][0] == "ok"


def test_an_extension_of_another_version_and_a_kernel_of_another_python(tmp_path, environment):
    put_extension(environment, "@jupyter-widgets/jupyterlab-manager", "5.0.16")
    put_extension(environment, "anywidget", "0.9.18")
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = ["/usr/bin/python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))
    status, told = checked(tmp_path, environment, "-m", "tnv2", JUPYTER_PATH=str(tmp_path / "jupyter"))
    assert (status, wrong(told)) == (1, {"widgets", "kernel"})
    assert "is 0.9.18; the kernel's anywidget" in told["widgets"][1]
    assert "starts /usr/bin/python3" in told["kernel"][1]
    assert told["kernel"][1].endswith(f"-> {environment} -m ipykernel install --sys-prefix")


def test_a_kernel_that_belongs_to_another_environment_than_jupyterlab(tmp_path, environment):
    """The server, by the name of its script, is the bare environment's; below it runs this one's Python."""
    server = tmp_path / "jupyter-lab"
    server.write_text(f"import subprocess, sys\nsys.exit(subprocess.run([{sys.executable!r}, '-m', 'tnv2']).returncode)")
    status, told = checked(tmp_path, environment, str(server))
    assert "widgets" in wrong(told)
    assert status == 1
    assert f"of another environment: {environment}" in told["JupyterLab"][1]
    assert f"{environment} -m pip install --force-reinstall --no-deps anywidget==" in told["widgets"][1]
    assert told["Python"][1].endswith("/" + Path(sys.executable).name)
    assert environment not in told["Python"][1]
