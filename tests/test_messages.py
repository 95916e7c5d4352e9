"""Messages: what is passed in the wrong place is told what came, the rule and the remedy, never an AttributeError."""

import numpy as np
import pytest

import tnv2

TILE = tnv2.sample_tiles()[0]
MAPS = tnv2.Probabilities(np.zeros(TILE.shape), np.zeros(TILE.shape))


@pytest.fixture(scope="module")
def mini():
    return tnv2.load_model("mini", device="cpu")


@pytest.mark.parametrize("tile", [[TILE], "a.tif", TILE.rgb, None])
def test_what_is_no_tile_is_told_how_to_become_one(mini, tile):
    enough = tile is None or isinstance(tile, np.ndarray | list)  # for a tuner, which takes pictures and lists
    for function in (
        lambda: tnv2.predict(mini, tile),
        lambda: next(tnv2.predict_many(mini, [{} if isinstance(tile, str) else tile])),  # which reads paths
        lambda: tnv2.ThresholdTuner("a.tif" if enough else tile, MAPS),
        lambda: tnv2.BandViewer(tile),
        lambda: tnv2.true_colour(tile),
        lambda: tnv2.false_colour(tile),
        lambda: tnv2.to_geodataframe(TILE.truth, tile),
    ):
        with pytest.raises(
            ValueError, match=r"tile is \w+; pass a Tile: read_tile\(path\) of a file, Tile\(rgb\) of an array"
        ):
            function()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: tnv2.predict(TILE, tnv2.load_model("mini")), "tile is TernausNetV2"),
        (lambda: tnv2.predict(3, TILE), r'model is int; pass load_model\("mini"\)'),
        (lambda: tnv2.predict_many(3, [TILE]), r'model is int; pass load_model\("mini"\)'),
        (lambda: tnv2.predict_many([TILE], tnv2.load_model("mini")), "tiles is TernausNetV2; pass several tiles"),
        (lambda: tnv2.evaluate(None, 3), r'model is int; pass load_model\("mini"\)'),
        (lambda: tnv2.write_onnx(TILE, "a.onnx"), r'model is Tile; pass load_model\("mini"\)'),
        (lambda: tnv2.ThresholdTuner(MAPS, TILE), "tile is Probabilities"),
        (lambda: tnv2.ThresholdTuner(TILE, TILE), "probabilities are Tile; pass Probabilities"),
        (lambda: tnv2.ThresholdTuner(TILE.rgb[..., 0] * 0.5, MAPS), r"tile is \(650, 650, 3\) float.*Scale real numbers"),
        (lambda: tnv2.ThresholdTuner(TILE.rgb[:9], MAPS), r"the tile \(9, 650\).*the picture that the maps are of"),
        (lambda: tnv2.ThresholdTuner(TILE, 3 * MAPS.building - 1), "sigmoid of logits"),
        (lambda: tnv2.ThresholdTuner(TILE, MAPS, 0.5), r"thresholds are 0\.5; pass Thresholds"),
        (lambda: tnv2.match(None, TILE.truth), "A tile without footprints has no truth"),
        (lambda: tnv2.match(TILE.truth, None), "labels are None"),
        (lambda: tnv2.label_instances(MAPS, 0.5), r"got Probabilities and 0\.5; pass .*Thresholds\(mask=0\.5\)"),
        (lambda: tnv2.label_instances(TILE), "got Tile and"),
        (lambda: tnv2.sweep(TILE, TILE.truth), "probabilities are Tile"),
        (lambda: tnv2.sweep(MAPS, TILE.truth, distance=3), "border and distance do not go together"),
        (lambda: tnv2.sweep(MAPS.building, TILE.truth, border=0.5), r"Probabilities\(maps\.building\) has no border map"),
        (lambda: tnv2.sweep([MAPS, MAPS.building], [TILE.truth] * 2), "border and distance do not go together"),
        (lambda: tnv2.sweep([TILE], [TILE.truth]), "probabilities are Tile"),
        (lambda: tnv2.overlay(TILE, TILE.truth), r"picture is Tile .*Pass true_colour\(tile\)"),
        (lambda: tnv2.read_tile(TILE), "path is Tile; pass the path of a file"),
        (lambda: tnv2.read_tile(["a.tif"]), "path is list; pass the path of a file"),
        (lambda: tnv2.Georeference((6e5, 0.3, 0, 4e6, 0, -0.3)), r"is GDAL's order .* here it is \(pixel width, 0, left"),
    ],
)
def test_what_stands_in_the_wrong_place_is_named(function, message):
    with pytest.raises(ValueError, match=message):
        function()


def test_a_name_of_weights_is_as_good_as_a_network(mini):
    tile = TILE.replace(rgb=TILE.rgb[:128, :128].copy(), mul=None, truth=TILE.truth[:128, :128])
    np.testing.assert_array_equal(tnv2.predict("mini", tile).building, tnv2.predict(mini, tile).building)
    with pytest.raises(FileNotFoundError, match="no weights at nowhere"):
        tnv2.predict("nowhere", tile)


def test_scores_name_their_rule_for_small_buildings():
    assert repr(tnv2.match(TILE.truth, TILE.truth, small="solaris")).endswith("small='solaris')")
    table = tnv2.city_table(["a_img1"], [tnv2.match(TILE.truth, TILE.truth, small="challenge")])
    assert table.columns.name == "small: challenge"
    assert "small: challenge" in table.to_string()


def test_the_smallest_area_is_the_cards_where_the_maps_know_their_network(mini):
    tile = TILE.replace(rgb=TILE.rgb[:128, :128].copy(), mul=None, truth=TILE.truth[:128, :128])
    maps = tnv2.predict(mini, tile)
    assert mini.thresholds.min_area not in (0, 20)
    grid = {"seed": 0.5, "border": 0.5}
    assert tnv2.sweep(maps, tile.truth, **grid).axes["min_area"] == (mini.thresholds.min_area,)
    assert tnv2.sweep(tnv2.Probabilities(maps.building, maps.border), tile.truth, **grid).axes["min_area"] == (20,)


def test_square_metres_become_pixels_where_these_are_known():
    where = tnv2.Georeference((0.5, 0, 600_000, 0, -0.5, 4_000_000), "EPSG:32611")
    tile = tnv2.Tile(np.zeros((64, 64, 3), np.uint8), georeference=where)
    assert tile.pixels(12) == 48
    with pytest.raises(ValueError, match=r"has no known place.*Pass pixels"):
        tile.replace(georeference=None).pixels(12)
