"""A recipe is kept, read back, and makes the same labels again."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from tnv2 import (
    Probabilities,
    Recipe,
    Recipes,
    Thresholds,
    ThresholdTuner,
    Tile,
    label_instances,
    load_model,
    predict,
    read_probabilities,
    sample_tiles,
)


@pytest.fixture(scope="module")
def tuner():
    tile = sample_tiles()[0]
    return ThresholdTuner(tile, predict(load_model("mini", device="cpu"), tile), Thresholds(0.4, 0.6, 0.7, 25))


def test_its_code_gives_identical_labels(tuner):
    names = {}
    exec(str(tuner.recipe), names)
    np.testing.assert_array_equal(names["labels"], tuner.labels)
    assert names["labels"].max() > 5


def test_it_follows_the_sliders_and_names_the_weights(tuner):
    tuner.mask = 0.33
    recipe = tuner.recipe
    assert recipe.thresholds == Thresholds(0.33, 0.6, 0.7, 25)
    assert (recipe.weights, len(recipe.sha256)) == ("mini", 64)
    assert recipe.versions["numpy"] == np.__version__
    assert json.loads(json.dumps(recipe.record()))["thresholds"]["mask"] == 0.33


def test_it_is_kept_and_read_back(tuner, tmp_path):
    tuner.recipe.save(tmp_path / "recipe.json")
    assert Recipe.load(tmp_path / "recipe.json") == tuner.recipe
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.json"]


def test_edits_by_hand_are_kept_read_back_and_made_again(tuner, tmp_path):
    row, column = np.argwhere(tuner.labels == 3)[0].tolist()
    tuner.edits = [{"kind": "delete", "at": [[row, column]]}, {"kind": "add", "at": [[0, 0], [0, 9], [9, 9]]}]
    tuner.recipe.save(tmp_path / "recipe.json")
    assert Recipe.load(tmp_path / "recipe.json") == tuner.recipe
    names = {}
    exec(str(Recipe.load(tmp_path / "recipe.json")), names)
    np.testing.assert_array_equal(names["labels"], tuner.labels)
    assert not names["labels"][row, column]
    tuner.edits = []


def test_code_of_several_gives_the_labels_of_each(tuner):
    names = {}
    exec(str(Recipes([tuner.recipe, replace(tuner.recipe, thresholds=Thresholds(0.2))])), names)
    other = label_instances(tuner.probabilities, Thresholds(0.2))
    for labels, wanted in zip(names["every"], (tuner.labels, other), strict=True):
        np.testing.assert_array_equal(labels, wanted)
    assert (tuner.labels != other).any()


def test_arrays_without_files_say_so():
    maps = ThresholdTuner(sample_tiles()[1], predict(load_model("mini", device="cpu"), sample_tiles()[1])).probabilities
    text = str(Recipe.of(Tile(np.zeros((650, 650, 3), np.uint8), name="mine"), maps, Thresholds()))
    assert "tile = ...  # 'mine' was not read from files" in text


@pytest.mark.parametrize("options", [{}, {"bands": (2, 1)}, {"bands": ("building",), "scale": 0.9}])
def test_maps_of_another_network_are_read_again_from_their_file(tmp_path, options):
    building, border = np.random.default_rng(0).random((2, 30, 40))
    np.savez(tmp_path / "maps.npz", building=building, border=border)
    if options.get("bands") == (2, 1):
        np.save(tmp_path / "maps.npy", np.stack([border, building]))
    path = next(path for path in sorted(tmp_path.glob("maps.npy")) or tmp_path.glob("maps.npz"))
    tuner = ThresholdTuner(None, read_probabilities(path, **options), Thresholds(0.4, 0.6, 0.7, 2))
    recipe, names = tuner.recipe, {}
    exec(str(recipe), names)
    np.testing.assert_array_equal(names["labels"], tuner.labels)
    assert names["labels"].max() > 5
    assert "tile =" not in str(recipe)
    assert f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}" in str(recipe)
    recipe.save(tmp_path / "a.json")
    assert Recipe.load(tmp_path / "a.json") == recipe


def test_maps_that_came_as_arrays_are_asked_for():
    maps = np.random.default_rng(0).random((30, 40))
    for given in (maps, Probabilities(maps)):
        recipe = ThresholdTuner(None, given).recipe
        text = str(recipe)
        assert "maps = ...  # another network's, which came as arrays and are in no file: put them here" in text
        names = {}
        exec(text.replace("maps = ...", "maps = given"), {"given": maps}, names)
        np.testing.assert_array_equal(names["labels"], ThresholdTuner(None, given).labels)
        assert Recipe(**vars(recipe)) == recipe


WHOLE = Recipe(Thresholds(), "mine", {}, "mini", "ab12", "auto", {"tnv2": "0.1.0"}).record()


@pytest.mark.parametrize(
    "change",
    [
        {"versions": {"tnv2": "0.1.0\nimport os; os.remove('labels.tif')"}},
        {"versions": {"numpy\rboom()": "1"}},
        {"sha256": "ab\nboom()"},
        {"versions": ["tnv2"]},
        {"versions": {"tnv2": 1}},
        {"tile": 3},
        {"weights": ["mini"]},
        {"precision": {}},
        {"files": {"mul": "b.tif", "rgb": "a.tif"}},
        {"files": {"rgb": None, "mul": None, "footprints": None}},
        {"files": {"rgb": "a.tif", "mul": {}, "footprints": None}},
        {"files": ["a.tif"]},
        {"thresholds": {"min_area": float("inf")}},
        {"edits": 3},
        {"edits": [{"kind": "erase", "at": [[0, 0]]}]},
        {"edits": [{"kind": "delete", "at": [["boom()", 0]]}]},
        {"edits": [{"kind": "delete", "at": [[0, 0]], "boom()": 1}]},
        {"more": 1},
        {"maps": {"maps": "a.npy"}},
        {"maps": "a.npy"},
        {"maps": {"maps": ["a.npy"], "border": None, "bands": None, "scale": None}},
        {"maps": {"maps": "a.npy", "border": None, "bands": [{}], "scale": None}},
        {"maps": {"maps": "a.npy", "border": None, "bands": None, "scale": "boom()"}},
    ],
)
def test_a_strangers_record_can_bring_no_code_and_no_other_types(tmp_path, change):
    (tmp_path / "a.json").write_text(json.dumps(WHOLE))
    assert str(Recipe.load(tmp_path / "a.json")).startswith("# 'mine' with tnv2 0.1.0\nimport tnv2\n")
    (tmp_path / "a.json").write_text(json.dumps(WHOLE | change))
    with pytest.raises(ValueError, match=r"a\.json is no recipe .* Pass a JSON file that"):
        Recipe.load(tmp_path / "a.json")


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "", "[]", "{}", '{"format": "other"}', '{"format": "tnv2 recipe 1", "thresholds": 3}']
)
def test_what_is_no_recipe_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"a\.json is no recipe"):
        Recipe.load(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Recipe.load(tmp_path / "b.json")
