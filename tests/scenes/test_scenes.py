"""Scenes are the same for the same seed, look like the sensor's counts, and their truth is exact."""

import time

import numpy as np
import pytest
from shapely import Polygon, contains_xy, union_all

from tnv2 import find_tiles, read_tile, render_scene, sample_tiles
from tnv2.pictures import outlines
from tnv2.scenes.districts import STYLES
from tnv2.scenes.scenes import SAMPLES


@pytest.mark.parametrize("style", STYLES)
def test_same_seed_same_scene(style):
    first, again, other = (render_scene(seed, 200, style) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.tile.mul, again.tile.mul)
    np.testing.assert_array_equal(first.tile.truth, again.tile.truth)
    assert (first.tile.mul != other.tile.mul).any()


@pytest.mark.parametrize("style", STYLES)
def test_counts_are_11_bit_and_rgb_is_bands_5_3_2(style):
    tile = render_scene(3, 300, style).tile
    assert tile.mul.dtype == np.uint16
    assert 1000 < tile.mul.max() <= 2047
    assert tile.mul.min() >= 1
    np.testing.assert_array_equal(tile.rgb, tile.mul[..., [4, 2, 1]])


def test_truth_has_the_pixels_whose_centres_are_in_a_footprint():
    scene = render_scene(4, 300, "suburb")
    rows, columns = np.mgrid[:300, :300] + 0.5
    inside = np.any([contains_xy(Polygon(ring), columns, rows) for ring in scene.footprints], axis=0)
    np.testing.assert_array_equal(scene.tile.truth > 0, inside)
    assert scene.tile.truth.max() > 5


@pytest.mark.parametrize("style", STYLES)
def test_footprints_are_simple_and_do_not_overlap(style):
    polygons = [Polygon(ring) for ring in render_scene(5, 650, style).footprints]
    assert len(polygons) > 5
    assert all(polygon.is_valid for polygon in polygons)
    shared = sum(polygon.area for polygon in polygons) - union_all(polygons).area
    assert shared < 0.1 * len(polygons), "but for the thousandth of a pixel by which walls in common meet"


def test_town_houses_touch_wall_to_wall():
    """Around a courtyard, most houses have a neighbour within a pixel, and yet they are instances of their own."""
    truth = render_scene(5, 650, "blocks").tile.truth
    pairs = {tuple(sorted(pair)) for step in ((0, 1), (1, 0)) for pair in neighbours(truth, step)}
    assert len({label for pair in pairs for label in pair}) > 0.7 * truth.max()


def neighbours(labels, step):
    """Pairs of different labels, neither of them 0, one step apart."""
    down, right = step
    here, there = labels[: labels.shape[0] - down, : labels.shape[1] - right], labels[down:, right:]
    apart = (here != there) & (here > 0) & (there > 0)
    return set(zip(here[apart].tolist(), there[apart].tolist(), strict=True))


@pytest.mark.parametrize("style", STYLES)
def test_native_mul_is_the_same_place_four_times_coarser(style):
    scene = render_scene(6, 322, style)
    assert scene.native_mul.shape == (81, 81, 8)
    means = scene.tile.mul[:320, :320].reshape(80, 4, 80, 4, 8).mean(axis=(1, 3))
    for band in range(8):
        native = scene.native_mul[:80, :80, band]
        alike, *shifted = (
            np.corrcoef(np.roll(means[..., band], shift, (0, 1)).ravel(), native.ravel())[0, 1]
            for shift in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))
        )
        assert alike > 0.9
        assert alike > max(shifted) + 0.05


def test_a_tile_is_drawn_in_seconds():
    start = time.process_time()
    render_scene(12, 650, "desert")
    assert time.process_time() - start < 5


def test_picture_has_its_edges_where_the_truth_has():
    """Along the footprints' outlines the counts change more than along the same outlines moved elsewhere."""
    tile = render_scene(7, 400, "suburb").tile
    slope = np.hypot(*np.gradient(tile.mul[..., 2].astype(float)))

    def change(truth):
        return np.median(slope[outlines(truth)])

    assert change(tile.truth) > 2 * change(np.roll(tile.truth, (11, 9), axis=(0, 1)))
    assert change(tile.truth) > 2 * change(tile.truth[::-1, ::-1])


def test_far_seeds_are_still_at_sea():
    for seed in (0, 2499, 2**32 - 1):
        longitude, latitude = render_scene(seed, 32).tile.georeference.to_world([(16, 16)])[0]
        assert -21 < longitude < 6
        assert abs(latitude) < 0.01


def test_a_saved_scene_reads_back_the_same(tmp_path):
    scene = render_scene(8, 202, "blocks")
    scene.save(tmp_path)
    (files,) = find_tiles(tmp_path)
    tile = files.read()
    np.testing.assert_array_equal(tile.rgb, scene.tile.rgb)
    np.testing.assert_array_equal(tile.mul, scene.tile.mul)
    np.testing.assert_array_equal(tile.truth, scene.tile.truth)
    assert (tile.name, tile.georeference) == (scene.tile.name, scene.tile.georeference)
    native = read_tile(files.rgb, tmp_path / "MUL" / f"MUL_{tile.name}.tif")
    assert np.corrcoef(native.mul[..., 6].ravel(), tile.mul[..., 6].ravel())[0, 1] > 0.9, "on the same ground"


def test_sample_data_is_what_the_code_draws():
    for tile, (seed, style) in zip(sample_tiles(), SAMPLES.items(), strict=True):
        scene = render_scene(seed, style=style)
        np.testing.assert_array_equal(tile.truth, scene.tile.truth)
        difference = np.abs(tile.mul.astype(int) - scene.tile.mul)
        assert difference.max() <= 2, "libraries may round apart by a count"


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="style is 'village'; it must be one of suburb, blocks, industrial, desert"):
        render_scene(0, style="village")
    with pytest.raises(ValueError, match="size is 8"):
        render_scene(0, size=8)
    for seed in (-1, 1.5, None, 2**32):
        with pytest.raises(ValueError, match=rf"seed is {seed}; it must be a whole number"):
            render_scene(seed)


def test_a_scene_is_cut_as_spacenet_cuts_a_city(tmp_path):
    scene = render_scene(3, 200, "suburb")
    pieces = scene.cut(96)
    assert [piece.tile.name for piece in pieces] == [f"AOI_0_Synthetic_img{number}" for number in (1, 2, 3, 4)]
    for piece, (top, left) in zip(pieces, [(0, 0), (0, 96), (96, 0), (96, 96)], strict=True):
        square = np.s_[top : top + 96, left : left + 96]
        np.testing.assert_array_equal(piece.tile.mul, scene.tile.mul[square])
        np.testing.assert_array_equal(piece.tile.truth > 0, scene.tile.truth[square] > 0)
        whole, part = scene.tile.georeference, piece.tile.georeference
        np.testing.assert_allclose(whole.to_pixels(part.to_world([(0, 0)])), [(left, top)], atol=1e-6)
        piece.save(tmp_path)
    read = [files.read() for files in find_tiles(tmp_path)]
    assert [tile.truth.max() for tile in read] == [piece.tile.truth.max() for piece in pieces]
    with pytest.raises(ValueError, match="size is 202; it must be a multiple of 4, up to the scene's 200 px"):
        scene.cut(202)
