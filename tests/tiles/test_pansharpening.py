"""Native MUL and PAN become a tile: PAN's detail, MUL's colours, the right way round."""

import numpy as np
import pytest

from tnv2 import read_sharpened, render_scene
from tnv2.tiles.rasters import write_geotiff


def test_a_scenes_own_products_give_its_tile_back(tmp_path):
    """From a scene's coarse MUL and a stand-in for PAN, the fine bands come out as the scene has them."""
    scene = render_scene(3, 320, "suburb")
    pan = scene.tile.mul.mean(axis=2).astype(np.uint16)
    scene.save(tmp_path)
    write_geotiff(tmp_path / "PAN_AOI_0_Synthetic_img3.tif", pan, scene.tile.georeference)
    footprints = tmp_path / "geojson" / "buildings" / "buildings_AOI_0_Synthetic_img3.geojson"
    tile = read_sharpened(
        tmp_path / "MUL" / "MUL_AOI_0_Synthetic_img3.tif", tmp_path / "PAN_AOI_0_Synthetic_img3.tif", footprints
    )
    assert (tile.name, tile.georeference) == (scene.tile.name, scene.tile.georeference)
    np.testing.assert_array_equal(tile.truth, scene.tile.truth)
    np.testing.assert_array_equal(tile.rgb, tile.mul[..., [4, 2, 1]])
    for band in range(8):
        assert np.corrcoef(tile.mul[..., band].ravel(), scene.tile.mul[..., band].ravel())[0, 1] > 0.95


def test_a_real_place_is_sharpened(shared):
    folder = shared / "data" / "native_MUL"
    tile = read_sharpened(folder / "MUL_AOI_4_Shanghai_img1920.tif", folder / "PAN_AOI_4_Shanghai_img1920.tif")
    assert tile.mul.shape == (1300, 1300, 8)
    assert tile.georeference.crs == "EPSG:4326"
    assert 1 < tile.rgb.std() < 2047
    green = tile.mul[..., 2].astype(float)
    assert np.abs(np.diff(green, axis=1)).mean() > 3, "detail of PAN, not a blown-up MUL"


def test_files_in_the_wrong_order_are_refused(tmp_path):
    scene = render_scene(3, 64)
    for name, bands in (("MUL", scene.tile.mul), ("PAN", scene.native_mul[..., 0])):
        write_geotiff(tmp_path / f"{name}.tif", bands, None)
    with pytest.raises(ValueError, match="PAN is the finer one"):
        read_sharpened(tmp_path / "MUL.tif", tmp_path / "PAN.tif")
    with pytest.raises(ValueError, match=r"has 8 bands; SpaceNet's PAN has 1\. Keep one band alone"):
        read_sharpened(tmp_path / "MUL.tif", tmp_path / "MUL.tif")
