"""The house keeps its plan: imports go down only, loading stays light, the lists of dependencies agree."""

import ast
import re
import subprocess
import sys
from importlib import metadata

import pytest
import yaml
from lab import ROOT

PACKAGE = ROOT / "tnv2"
FLOORS = [
    ("files", "progress", "downloads", "compiled", "tiles", "pictures", "instances"),
    ("network", "polygons"),
    ("widgets", "page", "scenes", "cities", "evaluation"),
    ("training", "checkup"),
    ("__main__",),
]  # a room may use what is on lower floors and what stands before it on its own
PLACE = {name: (floor, place) for floor, names in enumerate(FLOORS) for place, name in enumerate(names)}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.stem != "__init__")


def imported(path):
    """(dotted name below tnv2 as a tuple, names) of each import of the package's own in a file, wherever in it."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base, names = parts[: -node.level], [alias.name for alias in node.names]
            if node.module:
                yield (*base, *node.module.split(".")), names
            else:
                yield from (((*base, name), []) for name in names)


def door(room):
    """The names that a room's door gives to others."""
    stub = ast.parse((room / "__init__.pyi").read_text(encoding="utf-8"))
    return {alias.name for node in stub.body for alias in node.names}


def is_room(parts):
    return PACKAGE.joinpath(*parts).is_dir()


def test_the_house_has_the_rooms_of_the_plan_and_few_names_at_its_door():
    names = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith(("__init__", "__pycache__"))}
    assert names == {*PLACE, "browser", "py"}  # py.typed
    assert not list((PACKAGE / "browser").glob("*.py*"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_file_imports_from_lower_floors_and_through_doors_only(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts
    for target, names in imported(path):
        if target[0] != own[0]:
            assert PLACE[target[0]] < PLACE[own[0]], f"{own[0]} is not above {target[0]}"
            assert target[0] != "cities", "nothing uses cities"
            assert len(target) == 1, f"{'.'.join(target)} is not a door"
        if is_room(target):
            assert set(names) <= door(PACKAGE.joinpath(*target)), f"the door of {'.'.join(target)} does not give {names}"


def test_no_two_files_of_a_room_need_each_other():
    needs = {path.relative_to(PACKAGE).with_suffix("").parts: set() for path in FILES}
    for path in FILES:
        for target, names in imported(path):
            if is_room(target):
                doors = ast.parse((PACKAGE.joinpath(*target) / "__init__.pyi").read_text(encoding="utf-8")).body
                behind = {(*target, node.module) for node in doors for alias in node.names if alias.name in names}
            else:
                behind = {target}
            needs[path.relative_to(PACKAGE).with_suffix("").parts] |= behind
    while free := [name for name, others in needs.items() if not others & set(needs)]:
        for name in free:
            del needs[name]
    assert not needs, f"these need each other: {sorted(needs)}"


def test_importing_loads_nothing_heavy_and_labels_need_no_torch():
    code = (
        "import sys, tnv2\n"
        "heavy = {'torch', 'matplotlib', 'anywidget', 'cv2', 'skimage', 'shapely', 'tifffile', 'numba', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "import numpy as np\n"
        "maps = tnv2.Probabilities(np.ones((8, 8)), np.zeros((8, 8)))\n"
        "assert tnv2.label_instances(maps).max() == 1\n"
        "assert 'torch' not in sys.modules\n"
        "tnv2.predict, tnv2.load_model\n"
        "assert not {'anywidget', 'matplotlib', 'shapely', 'tifffile'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_every_public_name_is_there_and_documented():
    import tnv2

    for name in tnv2.__all__:
        assert getattr(tnv2, name).__doc__ or name == "BANDS"


def own_requirements():
    """(name, extra) of what pyproject.toml asks for."""
    for line in metadata.requires("tnv2"):
        name = re.match(r"[A-Za-z0-9_.-]+", line)[0]
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        yield name, extra[1] if extra else None


def pins():
    """{name: {version, ...}} of constraints.txt."""
    found = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = re.fullmatch(r"([a-z0-9-]+)==([^ ]+)(?: ; .+)?", line).groups()
            found.setdefault(name, set()).add(version)
    return found


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_pin_what_is_installed():
    """Everything that the package and its extras need, and what those need, is pinned at the version that runs now."""
    pinned, missing, seen = pins(), [], set()
    waiting = [canonical(name) for name, extra in own_requirements() if extra != "inplace-abn"]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # for another platform or Python
            continue
        if found.version.split("+")[0] not in pinned.get(name, set()):
            missing.append(f"{name}=={found.version}")
        needs = [line for line in found.requires or [] if "extra ==" not in line]
        waiting += [canonical(re.match(r"[A-Za-z0-9_.-]+", line)[0]) for line in needs]
    assert not missing, f"constraints.txt does not pin {missing}; make lock renews it"
    assert len(seen) > 60


def test_the_lock_has_one_torch_and_the_package_a_range():
    assert pins()["torch"] == {"2.13.0"}
    assert '"torch>=2.6"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_conda_users_get_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    project = (ROOT / "pyproject.toml").read_text()
    python = re.search(r'requires-python = "(.+)"', project)[1]
    *packages, pip = environment["dependencies"]
    assert packages == [f"python{python}", "pip"]
    constraint, editable = pip["pip"]
    assert (ROOT / constraint.removeprefix("--constraint ")).is_file()
    extras = re.fullmatch(r"--editable \.\[(.+)\]", editable)[1].split(",")
    assert set(extras) <= {extra for _, extra in own_requirements()}


def test_the_readme_names_the_commands_that_exist():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {"lab", "test"} <= set(named) <= set(targets)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_files_stay_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 320
