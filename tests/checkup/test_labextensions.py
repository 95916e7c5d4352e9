"""Lab extensions are found and judged as JupyterLab itself does."""

import json

import pytest

from tnv2.checkup.labextensions import ANYWIDGET, MANAGER, Lab, disabled, extensions, lab_of, own_lab, troubles

WELL = {MANAGER: ["5.0.16", "/share/manager", True], ANYWIDGET: ["0.11.0", "/share/anywidget", True]}


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def lab(version="4.6.6", extensions=WELL, off=()):
    return Lab("/env/bin/python", version, ["/env/share/jupyter/labextensions"], extensions, list(off), "/env/bin/python")


def test_this_environments_extensions_are_those_that_jupyterlab_finds():
    from jupyterlab_server.config import get_federated_extensions

    found = own_lab()
    expected = get_federated_extensions(found.folders)
    assert {MANAGER, ANYWIDGET} <= set(expected)
    assert {name: has[:2] for name, has in found.extensions.items()} == {
        name: [each["version"], each["ext_path"]] for name, each in expected.items()
    }
    assert troubles(found, "8.1.9", found.extensions[ANYWIDGET][0]) == []


def test_the_first_of_a_name_counts_as_in_jupyterlab(tmp_path):
    from jupyterlab_server.config import get_federated_extensions

    for folder, version in (("user", "0.9.1"), ("environment", "0.11.0")):
        build = {"_build": {"load": "static/a.js"}}
        written(tmp_path / folder / ANYWIDGET / "package.json", {"name": ANYWIDGET, "version": version, "jupyterlab": build})
    folders = [str(tmp_path / "user"), str(tmp_path / "environment"), str(tmp_path / "none")]
    expected = get_federated_extensions(folders)[ANYWIDGET]
    assert extensions(folders) == {ANYWIDGET: [expected["version"], expected["ext_path"], False]}
    assert expected["version"] == "0.9.1"


def test_what_is_turned_off_is_what_jupyterlab_reads(tmp_path, monkeypatch):
    from jupyter_server.services.config.manager import ConfigManager

    for place, off in (
        ("system/labconfig/page_config.json", {MANAGER: True, ANYWIDGET: True}),
        ("user/labconfig/page_config.json", {MANAGER: False, "other": True}),
        ("user/labconfig/page_config.d/a.json", {"other": False, "c": True}),
    ):
        written(tmp_path / place, {"disabledExtensions": off})
    folders = [str(tmp_path / "user"), str(tmp_path / "system")]
    theirs = ConfigManager(read_config_path=[f"{folder}/labconfig" for folder in folders]).get("page_config")
    expected = {name for name, off in theirs["disabledExtensions"].items() if off}
    monkeypatch.setenv("JUPYTERLAB_DIR", str(tmp_path / "none"))
    assert set(disabled(folders)) == expected == {ANYWIDGET, "other", "c"}
    written(tmp_path / "lab" / "settings" / "page_config.json", {"disabledExtensions": ["listed"]})
    monkeypatch.setenv("JUPYTERLAB_DIR", str(tmp_path / "lab"))
    assert set(disabled(folders)) == expected | {"listed"}


def changed(name, *has):
    return lab(extensions=WELL | {name: list(has)})


@pytest.mark.parametrize(
    ("broken", "why", "remedy"),
    [
        (lab(version="3.6.8"), "JupyterLab 3.6.8 is too old", 'pip install "jupyterlab>=4.4"'),
        (lab(extensions={MANAGER: WELL[MANAGER]}), "no extension anywidget in /env/share", "anywidget==0.11.0"),
        (lab(extensions={ANYWIDGET: WELL[ANYWIDGET]}), f"no extension {MANAGER}", '"jupyterlab_widgets>=3"'),
        (changed(MANAGER, "3.1.9", "/a", True), "is 3.1.9; the kernel's ipywidgets 8.1.9 needs 5", 'widgets>=3"'),
        (changed(ANYWIDGET, "0.9.0", "/a", True), "is 0.9.0; the kernel's anywidget 0.11.0 needs 0.11", "anywidget==0.11.0"),
        (changed(ANYWIDGET, "0.11.0", "/a", False), "anywidget in /a lacks its script", "anywidget==0.11.0"),
        (lab(off=[ANYWIDGET]), "anywidget is turned off", "jupyter labextension enable anywidget"),
        (lab(off=[f"{MANAGER}:plugin"]), f"{MANAGER} is turned off", f"labextension enable {MANAGER}"),
    ],
)
def test_each_trouble_has_its_reason_and_its_command(broken, why, remedy):
    [(told, command)] = troubles(broken, "8.1.9", "0.11.0")
    assert why in told
    assert command.startswith("/env/bin/python -m ")
    assert command.endswith(remedy)


def test_no_trouble_where_the_extensions_fit():
    assert troubles(lab(off=["@jupyterlab/apputils-extension:announcements"]), "8.1.9", "0.11.3") == []


def test_another_python_is_asked_and_one_that_cannot_answer_is_named(tmp_path):
    here = own_lab()
    assert lab_of(here.python) == here
    mute = tmp_path / "python"
    mute.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    mute.chmod(0o755)
    with pytest.raises(RuntimeError, match=r"could not say what it has: broken"):
        lab_of(str(mute))
