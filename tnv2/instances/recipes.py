"""Recipes: how a set of buildings was made, as a record that can be kept and as code that makes them again."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Self, TypeVar

import numpy as np

from ..files import PathLike, expanded, write_text
from ..instances import Probabilities
from ..tiles import Tile
from .edits import Edit, checked_edits
from .labels import Thresholds

FORMAT, SEVERAL = "tnv2 recipe 1", "tnv2 recipes 1"
FAULTS = (ValueError, TypeError, KeyError, AttributeError, RecursionError)  # of a record that is none
FILES = ("rgb", "mul", "footprints")
READ = ("maps", "border", "bands", "scale")  # what read_probabilities takes
Kept = TypeVar("Kept")
PACKAGES = ("tnv2", "torch", "numpy", "opencv-python-headless")


@dataclass(frozen=True)
class Recipe:
    """What to do to get the same buildings again.

    thresholds : Thresholds. tile : its name. files : paths of rgb, mul and footprints, None where absent; {} for a tile
    that was not read from files. bands, window, limits : of the tile, None where they were left out. weights, sha256,
    precision, metres : of the network and its run; "" where unknown. scene : the folder of the SceneMap that the maps are
    of, "" for maps of the tile alone. maps : of another network, how ``read_probabilities`` read them, with ``sha256`` then
    of their file, and {} for arrays, which nobody can find again; None for the kit's. versions : {package: version} of what
    made it. edits : by hand, as ``edited`` takes.

    ``print(recipe)`` gives Python code whose ``labels`` are the tuner's. Raises ValueError for fields that are not so, and
    for text that would leave a line of that code.
    """

    thresholds: Thresholds
    tile: str
    files: dict
    weights: str
    sha256: str
    precision: str
    versions: dict
    bands: tuple[int, ...] | None = None
    window: tuple[int, ...] | None = None
    limits: tuple[list[float], list[float]] | None = None
    metres: float | str | None = "auto"
    scene: str = ""
    maps: dict | None = None
    edits: Sequence[Edit] = ()

    def __post_init__(self) -> None:
        texts = (self.tile, self.weights, self.sha256, self.precision, self.scene, *self.versions, *self.versions.values())
        if not isinstance(self.thresholds, Thresholds) or not all(isinstance(text, str) for text in texts):
            raise ValueError("a recipe has Thresholds, and text for names and versions")
        paths = self.files.get("rgb") and all(isinstance(path, str | None) for path in self.files.values())
        if self.files and not (paths and set(self.files) == set(FILES)):
            raise ValueError(f"its files are {str(self.files)[:200]}; they must be {{}} or the paths of {', '.join(FILES)}")
        numbers = [*(self.bands or ()), *(self.window or ()), *(value for ends in self.limits or () for value in ends)]
        if not all(type(number) in (int, float) for number in numbers) or type(self.metres) not in (
            int,
            float,
            str,
            type(None),
        ):
            raise ValueError("its bands, window, limits and metres must be numbers")
        if self.maps is not None and self.maps != {} and not (set(self.maps) == set(READ) and read(self.maps)):
            raise ValueError(f"its maps are {str(self.maps)[:200]}; they must be None, {{}} or what {', '.join(READ)} were")
        if not "".join([self.sha256, *self.versions, *self.versions.values()]).isprintable():
            raise ValueError("its sha256 and versions must be on one line")
        object.__setattr__(self, "edits", checked_edits(self.edits))

    @classmethod
    def of(
        cls, tile: Tile, probabilities: Probabilities, thresholds: Thresholds, edits: Sequence[Mapping[str, Any]] = ()
    ) -> Self:
        """Return the Recipe of ``edited(label_instances(probabilities.rounded(), thresholds), edits)`` on a tile."""
        paths = {name: getattr(tile.files, name) for name in FILES} if tile.files else {}
        cut = {name: getattr(tile.files, name) for name in ("bands", "window")} if tile.files else {}
        limits = tile.limits and tuple(np.asarray(each).tolist() for each in tile.limits)
        origin = probabilities.origin or {}
        unknown: dict | None = (
            {} if probabilities.border is None and "weights" not in origin else None
        )  # the kit's networks see borders
        return cls(
            thresholds=thresholds,
            tile=tile.name,
            files={name: path and str(path) for name, path in paths.items()},
            **{key: origin.get(key, "") for key in ("weights", "sha256", "precision")},
            versions={name: metadata.version(name) for name in PACKAGES},
            limits=limits,
            metres=origin.get("metres", "auto"),
            scene=origin.get("scene", ""),
            maps=origin.get("maps", unknown),
            edits=checked_edits(edits, tile.shape),
            **cut,
        )

    def __str__(self) -> str:
        paths = [repr(self.files.get(name)) for name in FILES]
        paths += [f"{name}={tuple(kept)!r}" for name in ("bands", "window") if (kept := getattr(self, name))]
        tile = (
            f"tnv2.read_tile({', '.join(paths)})" + (f".replace(limits={tuple(self.limits)!r})" if self.limits else "")
            if self.files
            else f"...  # {self.tile!r} was not read from files: put the Tile here"
        )
        options = f"precision={self.precision or 'auto'!r}" + ("" if self.metres == "auto" else f", metres={self.metres!r}")
        maps = f"tnv2.predict(model, tile, {options}).rounded()"
        model = f"tnv2.load_model({self.weights!r})" if self.weights else "...  # the network is not known: put it here"
        used = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        digest = f"  # sha256 {self.sha256}" if self.sha256 else ""
        lines = [f"tile = {tile}"] if self.files or self.maps is None else []
        if self.maps is None:
            lines.append(f"model = {model}{digest}")
            lines.append(
                f"probabilities = {f'tnv2.SceneMap.load({self.scene!r}).probabilities(tile)' if self.scene else maps}"
            )
        elif self.maps:
            given = [
                repr(self.maps["maps"]),
                *(f"{name}={kept!r}" for name in READ[1:] if (kept := self.maps[name]) is not None),
            ]
            lines.append(f"probabilities = tnv2.read_probabilities({', '.join(given)}).rounded(){digest}")
        else:
            lines.append("maps = ...  # another network's, which came as arrays and are in no file: put them here")
            lines.append("probabilities = tnv2.read_probabilities(maps).rounded()")
        lines.append(f"labels = tnv2.label_instances(probabilities, tnv2.{self.thresholds!r})")
        if self.edits:
            lines += ["edits = [", *(f"    {edit!r}," for edit in self.edits), "]"]
            lines.append("labels = tnv2.edited(labels, edits).labels")
        return "\n".join([f"# {self.tile!r} with {used}", "import tnv2", "", *lines])

    def record(self) -> dict[str, Any]:
        """Return the recipe as a dict that JSON can hold."""
        return {"format": FORMAT, **asdict(self)}

    def save(self, path: PathLike) -> None:
        """Write the recipe as a JSON file."""
        write_text(expanded(path), json.dumps(self.record(), indent=2) + "\n")

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Return the Recipe of a JSON file that ``save`` wrote."""
        return loaded(path, cls.from_record, "tuner.recipe.save")

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Return the Recipe of what ``record`` gave; raises one of FAULTS for anything else."""
        fields = unwrapped(record, FORMAT)
        return cls(**fields | {"thresholds": Thresholds(**fields["thresholds"])})


class Recipes(tuple[Recipe, ...]):
    """The recipes of several tiles, a tuple kept in one file; ``print`` gives code whose ``every`` lists their labels."""

    def __str__(self) -> str:
        first, *_ = [*self, None]
        head = "\n".join(str(first).split("\n")[:3]).replace(repr(first.tile), f"{len(self)} tiles", 1) if first else ""
        parts = ["\n".join(str(recipe).split("\n")[3:]) + "\nevery.append(labels)" for recipe in self]
        return "\n\n".join([head, "every = []", *parts])

    def record(self) -> dict[str, Any]:
        """Return the recipes as a dict that JSON can hold."""
        return {"format": SEVERAL, "recipes": [recipe.record() for recipe in self]}

    def save(self, path: PathLike) -> None:
        """Write the recipes as one JSON file."""
        write_text(expanded(path), json.dumps(self.record(), indent=2) + "\n")

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Return the Recipes of a JSON file that ``save`` wrote."""
        return loaded(path, cls.from_record, "tuner.recipes.save")

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Return the Recipes of what ``record`` gave; raises one of FAULTS for anything else."""
        return cls(Recipe.from_record(each) for each in unwrapped(record, SEVERAL)["recipes"])


def unwrapped(record: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Return a record without its format, which must be the one wanted."""
    if record["format"] != wanted:
        raise ValueError(f"its format is not {wanted!r}")
    return {name: value for name, value in record.items() if name != "format"}


def loaded(path: PathLike, made: Callable[[dict[str, Any]], Kept], writer: str) -> Kept:
    """Return what ``made`` makes of a JSON file; raise ValueError, which names the writer, where it cannot."""
    path = expanded(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist. Pass a file that {writer} wrote.")
    try:
        return made(json.loads(path.read_text(encoding="utf-8")))
    except FAULTS as error:
        raise ValueError(
            f"{path} is no recipe ({type(error).__name__}: {str(error)[:300]}). Pass a JSON file that {writer} wrote."
        ) from error


def read(maps: dict[str, Any]) -> bool:
    """Return whether these can be arguments of ``read_probabilities``, of which none brings code."""
    bands = maps["bands"] is None or (isinstance(maps["bands"], list) and {*map(type, maps["bands"])} <= {int, str})
    paths = isinstance(maps["maps"], str) and isinstance(maps["border"], str | None)
    return bands and paths and type(maps["scale"]) in (int, float, type(None))
