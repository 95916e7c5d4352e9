"""The tuner's state in Python: thresholds in and out, labels of the maps that the browser has."""

import numpy as np
import pytest
import traitlets
from noise import noise_maps

from tnv2 import Georeference, Probabilities, Thresholds, ThresholdTuner, Tile, label_instances, match, to_geodataframe
from tnv2.tiles import write_geotiff
from tnv2.widgets.handouts import SCRIPT


@pytest.fixture
def probabilities():
    return noise_maps(0, 60, 80, 3)


@pytest.fixture
def tuner(probabilities):
    rgb = np.random.default_rng(0).integers(0, 2048, (60, 80, 3), np.uint16)
    return ThresholdTuner(Tile(rgb, name="<script>alert(1)</script>"), probabilities, Thresholds(0.4, 0.6, 0.7, 5))


def test_starts_from_the_thresholds_given(tuner):
    assert tuner.thresholds == Thresholds(0.4, 0.6, 0.7, 5)


def test_thresholds_can_be_set_whole_or_one_by_one(tuner):
    tuner.thresholds = Thresholds(0.3, 0.8, 0.8, 40)
    assert (tuner.mask, tuner.seed, tuner.border, tuner.min_area) == (0.3, 0.8, 0.8, 40)
    tuner.mask = 0.35
    assert tuner.thresholds == Thresholds(0.35, 0.8, 0.8, 40)


def test_presets_and_the_best_of_a_search(tuner, probabilities):
    assert set(tuner._presets) == {"demo", "practice", "reset"}
    assert tuner.best is None
    tuner.best = Thresholds(0.2, 0.3, 0.4, 5)
    assert tuner.best == Thresholds(0.2, 0.3, 0.4, 5)
    assert tuner.thresholds == Thresholds(0.4, 0.6, 0.7, 5)
    assert tuner.precise is tuner.complete is None
    tuner.precise, tuner.complete = Thresholds(0.6), Thresholds(0.3)
    assert (tuner.best, tuner.precise, tuner.complete) == (Thresholds(0.2, 0.3, 0.4, 5), Thresholds(0.6), Thresholds(0.3))


def test_starts_from_the_model_card_unless_told(probabilities):
    card = {"mask": 0.41, "seed": 0.62, "border": 0.33, "min_area": 44}
    maps = Probabilities(probabilities.building, probabilities.border, {"thresholds": card})
    tile = Tile(np.zeros((60, 80, 3), np.uint8))
    tuner = ThresholdTuner(tile, maps)
    assert tuner.thresholds == Thresholds(**card)
    assert tuner._presets["card"] == card | {"distance": 0}
    assert ThresholdTuner(tile, maps, Thresholds()).thresholds == Thresholds()


def test_match_is_that_of_the_labels(tuner, probabilities):
    assert tuner.match is None
    truth = label_instances(probabilities, Thresholds(0.45, 0.6, 0.7, 5))
    with_truth = ThresholdTuner(tuner.tile.replace(truth=truth), probabilities, Thresholds(0.4, 0.6, 0.7, 5))
    assert repr(with_truth.match) == repr(match(truth, with_truth.labels))
    assert with_truth.match.tp > 0


def test_labels_are_those_of_the_8_bit_maps(tuner, probabilities):
    eight_bit = Probabilities.from_quantised(*probabilities.quantised())
    for thresholds in (Thresholds(), Thresholds(0.3, 0.55, 0.8, 0), Thresholds(0.502, 0.61, 0.4, 3)):
        tuner.thresholds = thresholds
        np.testing.assert_array_equal(tuner.labels, label_instances(eight_bit, thresholds))
    assert tuner.labels.max() > 0


@pytest.mark.parametrize(("name", "value"), [("mask", 1.5), ("seed", -0.1), ("min_area", -1), ("show", "heat")])
def test_what_is_no_threshold_is_refused(tuner, name, value):
    before = tuner.thresholds
    with pytest.raises(traitlets.TraitError):
        setattr(tuner, name, value)
    assert tuner.thresholds == before


def test_maps_of_another_size_are_refused(probabilities):
    with pytest.raises(ValueError, match=r"probabilities are \(60, 80\) px and the tile \(32, 32\)"):
        ThresholdTuner(Tile(np.zeros((32, 32, 3), np.uint8)), probabilities)


def test_any_picture_or_none_and_any_maps_will_do(probabilities, tmp_path):
    maps = probabilities.building
    grey = np.random.default_rng(0).integers(0, 60_000, (60, 80), np.uint16)
    for picture in (grey, grey[..., None], np.dstack([grey] * 3), np.dstack([grey] * 4).astype(np.uint8), None):
        tuner = ThresholdTuner(picture, maps, Thresholds(0.4, 0.5, 0.1, 5, 2.5))
        assert tuner.tile.shape == (60, 80)
        assert tuner.distance == 2.5
        wanted = label_instances(Probabilities(maps).rounded(), Thresholds(0.4, 0.5, 1, 5, 2.5))
        np.testing.assert_array_equal(tuner.labels, wanted)
        assert wanted.max() > label_instances(Probabilities(maps).rounded(), Thresholds(0.4, 0.5, 1, 5)).max()
    assert (ThresholdTuner(None, maps).tile.rgb == Probabilities(maps).quantised()[0][..., None]).all()
    np.save(tmp_path / "cells.npy", maps)
    assert ThresholdTuner(None, tmp_path / "cells.npy").tile.name == "cells"
    both = ThresholdTuner(grey, np.stack([maps, probabilities.border]), Thresholds(0.4, 0.6, 0.7, 5))
    np.testing.assert_array_equal(both.labels, label_instances(probabilities.rounded(), Thresholds(0.4, 0.6, 0.7, 5)))


def test_the_place_of_maps_is_that_of_the_polygons(tmp_path, probabilities):
    where = Georeference((0.5, 0, 600_000, 0, -0.5, 4_000_000), "EPSG:32611")
    write_geotiff(tmp_path / "maps.tif", probabilities.quantised()[0], where)
    tuner = ThresholdTuner(None, tmp_path / "maps.tif", Thresholds(min_area=5))
    frame = to_geodataframe(tuner.labels, tuner.tile, tuner.probabilities)
    assert len(frame) == tuner.labels.max() > 0
    assert frame.crs == "EPSG:32611"
    left, bottom, right, top = frame.total_bounds
    assert 600_000 <= left < right <= 600_040
    assert 3_999_970 <= bottom < top <= 4_000_000


def test_the_browsers_module_is_whole():
    module = SCRIPT
    assert module.count("export ") == 1
    assert "export default { render }" in module
    assert "import " not in module.replace("// ", "")
