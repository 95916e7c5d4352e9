"""The lesson on one's own tiles runs where nothing is found, and where no tile has a place."""

import tifffile
from lab import ROOT
from lessons import run

LESSON = ROOT / "notebooks" / "06_your_own_tiles.ipynb"
NAME = "RGB-PanSharpen_AOI_2_Vegas_img9.tif"


def test_a_folder_without_a_building(shared, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (source,) = (shared / "data" / "AOI_2_Vegas" / "RGB-PanSharpen").glob("*_img246.tif")
    (tmp_path / "mine" / NAME).write_bytes(source.read_bytes())
    monkeypatch.setenv("TNV2_TILES", str(tmp_path / "mine"))
    lesson = run(LESSON, tmp_path)
    assert "0 buildings in 1 tiles\nNothing was found: what follows is empty." in lesson.printed
    assert [complaint for complaint in lesson.complaints if "exercise 3" not in complaint] == []  # any count is 0 of 0


def test_a_tile_without_a_place(shared, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (source,) = (shared / "data" / "AOI_2_Vegas" / "RGB-PanSharpen").glob("*_img1488.tif")
    tifffile.imwrite(tmp_path / "mine" / NAME, tifffile.imread(source), photometric="rgb")
    monkeypatch.setenv("TNV2_TILES", str(tmp_path / "mine"))
    lesson = run(LESSON, tmp_path, warned=".* has no known place")
    (complaint,) = lesson.complaints
    assert f"{NAME} has no known place: positions are in pixels" in complaint
    assert "No place on the Earth, so no square metres either: AOI_2_Vegas_img9\nPositions below" in lesson.printed
    assert "median" in lesson.printed.split("No map")[1].split("pixels")[0]
