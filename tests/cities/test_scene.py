"""Scenes: a raster in pieces gives what it gives at once, goes on after a kill, and any part of it can be tuned."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from geopandas.testing import assert_geodataframe_equal
from lab import ROOT
from rasterio.features import rasterize
from test_cities import processes

import tnv2
from tnv2 import Georeference, SceneMap, Thresholds, label_instances, load_model, map_scene, match, predict, read_tile, sweep
from tnv2.cities import pieces, scene
from tnv2.cities.pieces import around, cut
from tnv2.network.weights import save_model
from tnv2.network.windows import padded
from tnv2.tiles.rasters import write_geotiff

WHERE = Georeference((0.3, 0, 600_000, 0, -0.3, 4_000_000), "EPSG:32611")
SIDE = 224  # px of a piece here


@pytest.fixture(scope="module")
def mini():
    return load_model("mini", device="cpu")


@pytest.fixture(scope="module")
def city():
    """A city of 610 x 550 px that four of the pieces' sides go through."""
    return tnv2.render_scene(24, 640, "suburb").tile


@pytest.fixture
def raster(city, tmp_path):
    write_geotiff(tmp_path / "city.tif", city.rgb[:610, :550], WHERE)
    return tmp_path / "city.tif"


@pytest.fixture
def small(monkeypatch):
    """Pieces so small that a little scene has many, with as little around them."""
    monkeypatch.setattr(scene, "SIDE", SIDE)
    monkeypatch.setattr(pieces, "MARGIN", 64)


def at_once(path, model, thresholds):
    """Return maps and labels of a raster that is one tile."""
    maps = predict(model, read_tile(path)).rounded()
    return maps, label_instances(maps, thresholds)


def image(path):
    with rasterio.open(path) as file:
        return file.read(1).astype(np.int64)


def test_a_scene_in_pieces_is_the_scene_at_once(raster, small, mini, tmp_path):
    found = map_scene(raster, mini, out=tmp_path / "out")
    assert found.pieces == 9
    maps, labels = at_once(raster, mini, mini.thresholds)
    assert labels.max() > 40
    with rasterio.open(found.maps_path) as file:
        far = np.abs(file.read().astype(int) - np.stack(maps.quantised()))
        assert file.descriptions == ("building", "border")
        assert (tuple(file.transform)[:6], file.crs.to_epsg()) == (WHERE.transform, 32611)
    assert far.mean() < 0.1
    assert match(labels, image(found.labels_path)).f1 >= 0.995
    frame = found.buildings()
    areas = dict(enumerate(np.bincount(labels.ravel())[1:].tolist(), 1))
    pairs = match(labels, image(found.labels_path)).pairs
    ratios = np.array([frame["pixels"][row - 1] / areas[label] for label, row in pairs])
    assert (np.abs(ratios - 1) < 0.01).mean() > 0.97
    assert frame["area_m2"].to_numpy() == pytest.approx(frame["pixels"] * 0.09, rel=0.002)


def test_of_the_same_maps_the_buildings_are_those_of_the_whole(raster, small, mini, tmp_path):
    found = map_scene(raster, mini, out=tmp_path / "out")
    with rasterio.open(found.maps_path) as file:
        maps = tnv2.Probabilities.from_quantised(*file.read())
    labels = label_instances(maps, mini.thresholds)
    assert match(labels, image(found.labels_path), iou=0.95).f1 == 1
    assert len(found.buildings()) == labels.max()
    assert ((labels > 0) != (image(found.labels_path) > 0)).mean() < 1e-4


def test_the_label_image_is_the_polygons(raster, small, mini, tmp_path):
    found = map_scene(raster, mini, out=tmp_path / "out")
    frame = geopandas.read_parquet(found.path)
    with rasterio.open(found.labels_path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        shapes = [(shape, number) for number, shape in enumerate(frame.geometry, 1)]
        np.testing.assert_array_equal(
            file.read(1), rasterize(shapes, file.shape, transform=file.transform, dtype=file.dtypes[0])
        )
    assert shapely.is_valid(frame.geometry.to_numpy()).all()


def test_a_region_wider_than_any_margin_is_one_building(raster, small, mini, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "MARGIN", 16)
    monkeypatch.setattr(pieces, "WIDEST", 16)
    found = map_scene(raster, mini, Thresholds(mask=0, seed=0, border=1, min_area=0), tmp_path / "out")
    with rasterio.open(found.maps_path) as file:
        maps = tnv2.Probabilities.from_quantised(*file.read())
    expected = label_instances(maps, found.thresholds)
    areas = np.bincount(expected.ravel())[1:]
    rows, columns = np.nonzero(expected == 1 + areas.argmax())
    assert max(np.ptp(rows), np.ptp(columns)) > SIDE + 2 * 16
    assert found.buildings()["pixels"].max() > 0.98 * areas.max()


def test_started_again_it_goes_on(raster, small, mini, tmp_path, monkeypatch):
    out, count = tmp_path / "out", []
    real = pieces.predict

    def dying(*arguments):
        if len(count) == 5:
            raise KeyboardInterrupt
        count.append(1)
        return real(*arguments)

    monkeypatch.setattr(pieces, "predict", dying)
    with pytest.raises(KeyboardInterrupt):
        map_scene(raster, mini, out=out)
    assert len(list((out / "maps").iterdir())) == 5
    monkeypatch.setattr(pieces, "predict", real)
    first = map_scene(raster, mini, out=out)
    assert (first.predicted, first.relabelled) == (4, 9)
    again = map_scene(raster, mini, out=out)
    assert (again.predicted, again.relabelled) == (0, 0)
    monkeypatch.setattr(pieces, "predict", None)  # the network is not asked any more
    other = map_scene(raster, mini, Thresholds(0.3, 0.4, 0.6, 40), out)
    assert (other.predicted, other.relabelled) == (0, 9)
    with rasterio.open(other.maps_path) as file:
        maps = tnv2.Probabilities.from_quantised(*file.read())
    assert match(label_instances(maps, other.thresholds), image(other.labels_path)).f1 == 1
    back = map_scene(raster, mini, out=out)
    assert_geodataframe_equal(back.buildings(), first.buildings())


def test_a_killed_run_leaves_what_can_be_gone_on_from(raster, mini, tmp_path):
    out = tmp_path / "out"
    script = textwrap.dedent(f"""
        import os, signal
        from tnv2.cities import pieces, scene
        scene.SIDE = {SIDE}
        real, count = pieces.write_geotiff, []
        def writing(*arguments):
            if len(count) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            count.append(1)
            real(*arguments)
        pieces.write_geotiff = writing
        from tnv2 import map_scene
        map_scene({str(raster)!r}, out={str(out)!r})
    """)
    killed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True)
    assert killed.returncode == -getattr(signal, "SIGKILL", 0) or os.name == "nt"
    assert len(list((out / "maps").glob("*.tif"))) == 3
    scene_side = scene.SIDE
    try:
        scene.SIDE = SIDE
        assert map_scene(raster, mini, out=out).predicted == 6
    finally:
        scene.SIDE = scene_side
    assert not [path for path in out.rglob(".*") if path.name != ".lock"]


def test_workers_share_the_pieces(raster, small, mini, tmp_path):
    alone = map_scene(raster, mini, out=tmp_path / "alone")
    with processes(2) as client:
        shared = map_scene(raster, mini, out=tmp_path / "shared", client=client)
    assert (shared.predicted, shared.pieces) == (9, 9)
    assert match(image(alone.labels_path), image(shared.labels_path)).f1 > 0.995


def test_any_part_can_be_tuned_and_its_recipe_makes_it_again(raster, small, mini, tmp_path):
    found = map_scene(raster, mini, out=tmp_path / "out")
    drawn = tmp_path / "drawn.geojson"
    tnv2.write_geojson(found.buildings()[["geometry"]], drawn)
    tile = found.tile(200, 100, (256, 300), footprints=drawn)
    assert tile.shape == (256, 300)
    maps = found.probabilities(tile)
    with rasterio.open(raster) as file, rasterio.open(found.maps_path) as whole:
        window = rasterio.windows.Window(100, 200, 300, 256)
        np.testing.assert_array_equal(np.moveaxis(tile.rgb, 2, 0), file.read(window=window))
        np.testing.assert_array_equal(maps.quantised()[0], whole.read(1, window=window))
        np.testing.assert_array_equal(tile.scale[1], file.read().max(axis=(1, 2)))
    (west, north), (east, south) = WHERE.to_world([(100, 200), (400, 456)])
    tuner = tnv2.ThresholdTuner(tile, maps)
    assert tuner.thresholds == mini.thresholds
    assert tuner.match.f1 > 0.9
    assert sweep(maps, tile.truth, seed=0.5, border=0.5).best_f1 > 0.5
    names = {}
    exec(str(tuner.recipe), names)
    np.testing.assert_array_equal(names["labels"], tuner.labels)
    tuner.recipe.save(tmp_path / "recipe.json")
    assert tnv2.Recipe.load(tmp_path / "recipe.json").window == [200, 100, 256, 300]
    assert found.tile(bounds=(west, south, east, north)).files.window == (200, 100, 256, 300)
    assert SceneMap.load(found.folder).tile(600, 500).shape == (10, 50)
    with pytest.raises(ValueError, match=r"rows 700 to 1350 .* are not on the scene of 610 x 550 px"):
        found.tile(700, 0)
    with pytest.raises(ValueError, match="is no part of"):
        found.probabilities(read_tile(raster))


def test_pixels_of_another_size_are_seen_at_the_networks_own(city, small, mini, tmp_path):
    fine = np.repeat(np.repeat(city.rgb[:300, :300], 2, axis=0), 2, axis=1)
    write_geotiff(tmp_path / "fine.tif", fine, Georeference((0.15, 0, 600_000, 0, -0.15, 4_000_000), "EPSG:32611"))
    found = map_scene(tmp_path / "fine.tif", mini, out=tmp_path / "out")
    assert found.pieces == 4  # 448 px of 0.15 m, as wide as 224 of 0.3 m
    _, labels = at_once(tmp_path / "fine.tif", mini, mini.thresholds)
    assert match(labels, image(found.labels_path)).f1 > 0.95


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_scene_without_a_place_and_with_nothing_to_see(city, small, mini, tmp_path):
    rgb = city.rgb[:400, :300].copy()
    rgb[:250] = 0
    write_geotiff(tmp_path / "a.tif", rgb, None)
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.nodata = 0
    with pytest.warns(UserWarning, match=r"a\.tif has no known place: positions are in pixels, .*gdal_edit\.py"):
        found = map_scene(tmp_path / "a.tif", mini, out=tmp_path / "out")
    frame = found.buildings()
    assert frame.crs is None
    assert frame["area_m2"].isna().all()
    assert frame.total_bounds[1] >= 250
    labels = image(found.labels_path)
    assert not labels[:250].any()
    assert labels.max() == len(frame) > 3
    assert found.probabilities(found.tile(200, 0)).building[50:].any()
    with pytest.raises(ValueError, match="has no georeference; pass row, column"):
        found.tile(bounds=(0, 0, 1, 1))


def test_a_scene_with_no_building_is_a_table_without_rows(raster, small, mini, tmp_path):
    found = map_scene(raster, mini, Thresholds(mask=1, seed=1), tmp_path / "out")
    frame = found.buildings()
    assert (len(frame), frame.crs.to_epsg()) == (0, 32611)
    assert not image(found.labels_path).any()
    assert not label_instances(found.probabilities(found.tile()), found.thresholds).any()


def test_a_scene_on_a_server_is_mapped(raster, small, mini, tmp_path, server):
    server.files["/city.tif"] = raster.read_bytes()
    there = map_scene(f"{server.url}/city.tif", mini, out=tmp_path / "there")
    here = map_scene(raster, mini, out=tmp_path / "here")
    np.testing.assert_array_equal(image(there.labels_path), image(here.labels_path))
    assert there.probabilities(there.tile(100, 100, 64)).building.any()


def test_a_network_whose_file_has_changed_is_refused(raster, small, tmp_path):
    path = tmp_path / "a.safetensors"
    save_model(tnv2.TernausNetV2(width=1, num_filters=1), path)
    model = load_model(path, device="cpu")
    save_model(tnv2.TernausNetV2(width=1, num_filters=1), path)  # other random weights
    with pytest.raises(ValueError, match="is not what the model was loaded from any more"):
        map_scene(raster, model, out=tmp_path / "out")


def test_another_file_or_network_in_the_same_folder_is_refused(raster, small, mini, tmp_path):
    map_scene(raster, mini, out=tmp_path / "out")
    with pytest.raises(ValueError, match=r"metres auto, not None.*Pass another folder"):
        map_scene(raster, mini, out=tmp_path / "out", metres=None)
    os.utime(raster, ns=(1, 1))
    with pytest.raises(ValueError, match=r"stamp .*Pass another folder"):
        map_scene(raster, mini, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "recipe.json").read_text())["raster"] == str(raster)


def test_windows_keep_the_networks_grid_and_reach_far_enough():
    for length in (300, 610, 2048, 4100, 6001):
        before, _ = padded(length)
        for start in range(0, length, 224):
            size = min(224, length - start)
            low, high = around(start, size, 96, length)
            assert low <= max(start - 96, 0)
            assert min(start + size + 96, length) <= high <= length
            own, _ = padded(high - low)
            assert (low - own + before) % 32 == 0, "pixel 0 of a window stands where it stands in the whole"


def test_pieces_are_the_whole_each_pixel_once():
    seen = np.zeros((610, 550), int)
    for piece in cut((610, 550), SIDE):
        row, column, height, width = piece.window
        seen[row : row + height, column : column + width] += 1
    assert (seen == 1).all()
