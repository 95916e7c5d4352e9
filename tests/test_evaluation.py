"""The one command that scores a folder of labelled tiles."""

import shutil
import subprocess
import sys

import pytest

from tnv2 import Thresholds, evaluate, find_tiles, label_instances, load_model, match, predict, render_scene


@pytest.fixture(scope="module")
def model():
    return load_model("mini", device="cpu")


@pytest.fixture
def folder(tmp_path):
    for seed, style in ((1, "suburb"), (2, "desert")):
        render_scene(seed, 200, style).save(tmp_path / "AOI_0_Synthetic")
    return tmp_path


def test_scores_every_labelled_tile(folder, model):
    (folder / "AOI_0_Synthetic" / "geojson" / "buildings" / "buildings_AOI_0_Synthetic_img2.geojson").unlink()
    files = find_tiles(folder)[0]
    tile = files.read()
    expected = match(tile.truth, label_instances(predict(model, tile), Thresholds(0.4)), small="challenge")
    row = evaluate(folder, model, Thresholds(0.4)).loc["AOI_0_Synthetic"]
    assert row[["tiles", "tp", "fp", "fn"]].tolist() == [1, expected.tp, expected.fp, expected.fn]
    assert row["f1"] == pytest.approx(expected.f1)


def test_a_tile_that_cannot_be_read_is_told_and_left_out(folder, model):
    path = folder / "AOI_0_Synthetic" / "RGB-PanSharpen" / "RGB-PanSharpen_AOI_0_Synthetic_img1.tif"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="AOI_0_Synthetic_img1 is left out"):
        table = evaluate(folder, model)
    assert table.loc["AOI_0_Synthetic", "tiles"] == 1


def test_folders_without_labelled_tiles_are_refused(folder, model, tmp_path):
    shutil.rmtree(folder / "AOI_0_Synthetic" / "geojson")
    with pytest.raises(ValueError, match=r"2 tiles in .* and no footprints"):
        evaluate(folder, model)


def test_the_command_prints_the_table(folder):
    command = [sys.executable, "-m", "tnv2.evaluation", str(folder)]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "AOI_0_Synthetic" in printed
    assert "published public" in printed
