"""Paths: wherever the kit takes one, "~" is the home folder, as in a shell."""

import importlib
import inspect
import os
import pkgutil
import re
import typing
from pathlib import Path

import numpy as np
import pytest
import torch
from distributed import Client

import tnv2
from tnv2.downloads import fetch
from tnv2.files import checked_path, expanded
from tnv2.network import as_model, save_model, weights_file
from tnv2.scenes import write_samples
from tnv2.tiles import read_image, source, truth_of, write_geotiff
from tnv2.training import Settings, read_manifest, train

NAME = "AOI_0_Synthetic_img3"
RGB, MUL = (f"~/city/{product}/{product}_{NAME}.tif" for product in ("RGB-PanSharpen", "MUL-PanSharpen"))
FOOTPRINTS = f"~/city/geojson/buildings/buildings_{NAME}.geojson"
REAL = "~/AOI_2_Vegas/{0}/SN2_buildings_train_AOI_2_Vegas_{0}_img3{1}"
LABELS = np.eye(6, dtype=np.int32)
RECIPE = tnv2.Recipe(tnv2.Thresholds(), NAME, {}, "mini", "ab12" * 16, "auto", {})
ONLY_NAMED = {"unreadable", "weights_name"}  # in a message, or for others to open


@pytest.fixture(scope="module")
def scene():
    return tnv2.render_scene(3, 160, "suburb")


@pytest.fixture
def home(scene, tmp_path, monkeypatch):
    """A home folder with files of every kind in it, while the process stands in another folder."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    scene.save(tmp_path / "home" / "city")
    tile = scene.tile
    write_geotiff(tmp_path / "home" / "pan.tif", tile.mul[..., 0], tile.georeference)
    for product, ending, bands in (
        ("PS-RGB", ".tif", tile.rgb),
        ("PS-MS", ".tif", tile.mul),
        ("geojson_buildings", ".geojson", 0),
    ):
        path = Path(REAL.format(product, ending)).expanduser()
        path.parent.mkdir(parents=True)
        if ending == ".tif":
            write_geotiff(path, bands, tile.georeference)
        else:
            path.write_text('{"features": []}')
    np.save(tmp_path / "home" / "maps.npy", tile.truth > 0)
    (tmp_path / "home" / "a.csv").write_text("ImageId,PolygonWKT_Pix\nimg1,POLYGON EMPTY\n")
    torch.save({"settings": {}}, tmp_path / "home" / "a.checkpoint")
    RECIPE.save(tmp_path / "home" / "a.json")
    tnv2.Recipes([RECIPE]).save(tmp_path / "home" / "all.json")
    save_model(tnv2.TernausNetV2(width=1, num_filters=1), tmp_path / "home" / "a.safetensors")
    return tmp_path / "home"


def other_settings(tile, model):
    with pytest.raises(ValueError, match="was written with other settings"):
        train(Settings(width=1, num_filters=1, steps=1, batch=1, crop=32, scenes=0), [tile], checkpoint="~/a.checkpoint")


def mapped(tile, model):
    with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
        assert not len(tnv2.map_city("~/city", "~/a.safetensors", tnv2.Thresholds(), client, "~/new/map").failures)


def scene_mapped(tile, model):
    tnv2.map_scene(RGB, "~/a.safetensors", out="~/new/scene", mul_path=MUL)
    tnv2.SceneMap.load("~/new/scene").tile(size=64, footprints=FOOTPRINTS)


def listed(tile, model):
    with pytest.raises(FileNotFoundError, match=re.escape(str(Path.home() / "new"))):
        read_manifest("~/new")


def named_wrongly(tile, model):
    with pytest.raises(ValueError, match=re.escape(str(Path.home() / "a.txt"))):
        tnv2.save_page("~/a.txt", "~/a.safetensors")


def handed_out(tile, model):
    tnv2.ThresholdTuner(tile, tnv2.Probabilities(tile.truth > 0, tile.truth < 0)).save_handout("~/new/a.html")


def frame(tile):
    return tnv2.to_geodataframe(tile.truth, tile)


READERS = {
    "as_model": lambda tile, model: as_model("~/a.safetensors"),
    "checked_path": lambda tile, model: checked_path("~/a.csv", ".csv").read_bytes(),
    "evaluate": lambda tile, model: tnv2.evaluate("~/city", model),
    "expanded": lambda tile, model: expanded("~/a.csv").read_bytes(),
    "fetch": lambda tile, model: fetch("http://127.0.0.1:9/a.csv", "~/a.csv", Path.read_bytes),  # is there
    "fetch_tile": lambda tile, model: tnv2.fetch_tile("AOI_2_Vegas", 3, "~"),
    "find_tiles": lambda tile, model: tnv2.find_tiles("~/city"),
    "load_model": lambda tile, model: tnv2.load_model("~/a.safetensors", "cpu"),
    "read_challenge_csv": lambda tile, model: tnv2.read_challenge_csv("~/a.csv"),
    "read_footprints": lambda tile, model: tnv2.read_footprints(FOOTPRINTS, tile.georeference),
    "read_image": lambda tile, model: read_image(MUL, 8, "MUL"),
    "predict": lambda tile, model: tnv2.predict("~/a.safetensors", tile),
    "predict_many": lambda tile, model: [*tnv2.predict_many("~/a.safetensors", [tile]), *tnv2.predict_many(model, [RGB])],
    "read_manifest": listed,
    "read_probabilities": lambda tile, model: tnv2.read_probabilities("~/maps.npy"),
    "read_sharpened": lambda tile, model: tnv2.read_sharpened(f"~/city/MUL/MUL_{NAME}.tif", "~/pan.tif", FOOTPRINTS),
    "read_tile": lambda tile, model: tnv2.read_tile(RGB, MUL, FOOTPRINTS).files.read(),
    "Recipe.load": lambda tile, model: tnv2.Recipe.load("~/a.json"),
    "Recipes.load": lambda tile, model: tnv2.Recipes.load("~/all.json"),
    "sweep": lambda tile, model: tnv2.sweep("~/maps.npy", tile.truth, seed=0.5, distance=0),
    "save_page": named_wrongly,
    "source": lambda tile, model: source("~/a.csv").read_bytes(),
    "train": other_settings,
    "truth_of": lambda tile, model: truth_of(FOOTPRINTS, tile.georeference, NAME, tile.shape),
    "weights_file": lambda tile, model: weights_file("~/a.safetensors").read_bytes(),
}
WRITERS = {
    "map_city": mapped,
    **dict.fromkeys(("map_scene", "SceneMap.load", "SceneMap.tile"), scene_mapped),
    "predict_file": lambda tile, model: tnv2.predict_file(model, RGB, "~/new/maps.tif", MUL),
    "Recipe.save": lambda tile, model: RECIPE.save("~/new/a.json"),
    "Recipes.save": lambda tile, model: tnv2.Recipes([RECIPE]).save("~/new/a.json"),
    "save_model": lambda tile, model: save_model(model, "~/new/a.safetensors"),
    "ThresholdTuner.save_handout": handed_out,
    "write_challenge_csv": lambda tile, model: tnv2.write_challenge_csv({"img1": LABELS}, "~/new/a.csv"),
    "write_coco": lambda tile, model: tnv2.write_coco(tile.truth, tile, "~/new/a.json"),
    "write_geojson": lambda tile, model: tnv2.write_geojson(frame(tile), "~/new/a.geojson"),
    "write_geopackage": lambda tile, model: tnv2.write_geopackage(frame(tile), "~/new/a.gpkg"),
    "write_geoparquet": lambda tile, model: tnv2.write_geoparquet(frame(tile), "~/new/a.parquet"),
    "write_label_geotiff": lambda tile, model: tnv2.write_label_geotiff(tile.truth, tile, "~/new/a.tif"),
    "write_onnx": lambda tile, model: tnv2.write_onnx("~/a.safetensors", "~/new/a.onnx"),
    "write_samples": lambda tile, model: write_samples("~/new"),
}


@pytest.mark.parametrize("name", [*READERS, *WRITERS])
def test_a_tilde_is_the_home_folder(home, scene, monkeypatch, name):
    monkeypatch.setattr("tnv2.scenes.scenes.SAMPLES", {1: "desert"})
    before = {path for path in home.rglob("*") if path.is_file()}
    (READERS | WRITERS)[name](scene.tile, tnv2.load_model("mini", "cpu"))
    after = {path for path in home.rglob("*") if path.is_file()}
    assert bool(after - before) == (name in WRITERS)
    assert not list(Path().iterdir())


def takers():
    """The names of functions and methods at the kit's doors that take a path."""
    rooms = [importlib.import_module(f"tnv2.{room.name}") for room in pkgutil.iter_modules(tnv2.__path__)]
    for room in (tnv2, *rooms):
        own = [name for name, thing in vars(room).items() if getattr(thing, "__module__", None) == room.__name__]
        for name in getattr(room, "__all__", own):
            thing = getattr(room, name)
            methods = {f"{name}.{each}": getattr(thing, each) for each in vars(thing)} if inspect.isclass(thing) else {}
            for full, function in ({name: thing} | methods).items():
                if inspect.isroutine(function) and "._" not in full and takes_path(function):
                    yield full


def takes_path(function):
    kinds = [parameter.annotation for parameter in inspect.signature(function).parameters.values()]
    return any(os.PathLike[str] in typing.get_args(kind) for kind in kinds)


def test_every_function_that_takes_a_path_is_tried():
    assert sorted({*takers()} ^ {*READERS, *WRITERS, *ONLY_NAMED}) == []
