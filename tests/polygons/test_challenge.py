"""Challenge: CSV out and in again is the same; the real solutions are read as read_tile reads them."""

import csv

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays

from tnv2 import Probabilities, match
from tnv2.polygons.challenge import read_challenge_csv, write_challenge_csv
from tnv2.polygons.vectors import numbered

LABELS = np.zeros((12, 15), np.int32)
LABELS[1:8, 1:9] = 1
LABELS[3:5, 3:6] = 0  # a courtyard
LABELS[8:10, 9:12] = 2
LABELS[10:12, 12:14] = 2  # hangs on by a corner
EMPTY = np.zeros_like(LABELS)


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_out_and_in_again_is_the_same(tmp_path):
    given = {"AOI_2_Vegas_img9": LABELS, "AOI_2_Vegas_img10": EMPTY, "AOI_3_Paris_img9": LABELS.T.copy()[:12]}
    write_challenge_csv(given, tmp_path / "a.csv")
    found = read_challenge_csv(tmp_path / "a.csv", LABELS.shape)
    assert list(found) == list(given)
    for name in ("AOI_2_Vegas_img9", "AOI_2_Vegas_img10"):
        assert found[name].dtype == np.int32
        np.testing.assert_array_equal(found[name], given[name])
    np.testing.assert_array_equal(found["AOI_3_Paris_img9"][:, :12], given["AOI_3_Paris_img9"])


@settings(deadline=None, max_examples=40)
@given(st.lists(arrays.arrays(np.int32, (9, 7), elements=st.integers(0, 3)), min_size=1, max_size=3))
def test_any_labels_come_back(tmp_path_factory, images):
    images = {f"img{i}": numbered(labels)[1] for i, labels in enumerate(images)}
    path = tmp_path_factory.getbasetemp() / "any.csv"
    write_challenge_csv(images, path)
    for name, labels in read_challenge_csv(path, (9, 7)).items():
        np.testing.assert_array_equal(labels, images[name])


def test_columns_are_the_challenge_s(tmp_path):
    building = np.full(LABELS.shape, 0.25)
    building[LABELS == 2] = 0.75
    maps = Probabilities(building, building)
    write_challenge_csv({"img1": LABELS * 5, "img2": EMPTY}, tmp_path / "a.csv", {"img1": maps, "img2": maps})
    header, first, second, empty = rows(tmp_path / "a.csv")
    assert header == ["ImageId", "BuildingId", "PolygonWKT_Pix", "Confidence"]
    assert (first[:2], second[:2]) == (["img1", "5"], ["img1", "10"])
    assert first[2].startswith("POLYGON ((")
    assert second[2].startswith("MULTIPOLYGON (((")
    assert (float(first[3]), float(second[3])) == (0.25, 0.75)
    assert empty == ["img2", "-1", "POLYGON EMPTY", "1"]


def test_the_real_solutions_are_read(shared, real_tiles):
    """Shapely finds the pixel centres inside the same polygons; read_tile reads the same footprints from GeoJSON."""
    (path,) = (shared / "data" / "AOI_2_Vegas" / "summaryData").glob("*.csv")
    found = read_challenge_csv(path)
    assert set(found) == {tile.name for tile in real_tiles}
    centres = np.mgrid[:650, :650][::-1] + 0.5
    with path.open(newline="", encoding="utf-8") as file:
        wanted = {tile.name: np.zeros((650, 650), bool) for tile in real_tiles}
        for row in csv.DictReader(file):
            wanted[row["ImageId"]] |= shapely.contains_xy(shapely.from_wkt(row["PolygonWKT_Pix"]), *centres)
    for tile in real_tiles:
        assert found[tile.name].dtype == np.int32
        assert ((found[tile.name] > 0) != wanted[tile.name]).sum() < 10
        assert match(tile.truth, found[tile.name]).f1 > 0.95


def test_real_footprints_go_out_and_come_back(real_tiles, tmp_path):
    truths = {tile.name: tile.truth for tile in real_tiles}
    write_challenge_csv(truths, tmp_path / "a.csv")
    for name, labels in read_challenge_csv(tmp_path / "a.csv").items():
        np.testing.assert_array_equal(labels, truths[name])


def test_a_ragged_building_of_a_whole_tile_comes_back(tmp_path):
    ragged = (np.random.default_rng(0).random((150, 150)) < 0.7).astype(int)
    write_challenge_csv({"img1": ragged}, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").stat().st_size > csv.field_size_limit() + 100
    np.testing.assert_array_equal(read_challenge_csv(tmp_path / "a.csv", ragged.shape)["img1"], ragged)


def test_many_tiles_take_no_memory_until_they_are_asked_for(tmp_path):
    square = '"POLYGON ((0 0, 2 0, 2 2, 0 2, 0 0))"'
    text = "".join(f"img{number},{square}\n" for number in range(10_000))
    (tmp_path / "a.csv").write_text("ImageId,PolygonWKT_Pix\n" + text)
    found = read_challenge_csv(tmp_path / "a.csv")  # 17 GB of labels
    assert len(found) == 10_000
    assert found["img9999"].sum() == 4
    assert "10000 tiles of 650 x 650 px" in repr(found)
    with pytest.raises(KeyError):
        found["img10000"]


def test_proposals_that_cover_a_tile_many_times_are_refused_by_name(tmp_path):
    text = 'img1,"POLYGON ((0 0, 650 0, 650 650, 0 650, 0 0))"\n' * 1000
    (tmp_path / "a.csv").write_text("ImageId,PolygonWKT_Pix\n" + text)
    with pytest.raises(ValueError, match=r"a\.csv cannot be read as footprints .*cover the tile"):
        read_challenge_csv(tmp_path / "a.csv")["img1"]


@pytest.mark.parametrize(
    ("labels", "maps", "message"),
    [
        (LABELS, None, r"labels are ndarray; pass one entry a tile, \{tile\.name: labels\}"),
        ({7: LABELS}, None, "labels are dict; pass one entry a tile"),
        ({"a": LABELS.astype(float)}, None, r"tile 'a': labels are \(12, 15\) float64"),
        ({"a": LABELS}, {}, "probabilities lack a; pass them for every tile"),
        ({"a": LABELS}, {"a": Probabilities(np.ones((4, 4)), np.ones((4, 4)))}, r"probabilities are \(4, 4\) and labels"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(tmp_path, labels, maps, message):
    with pytest.raises(ValueError, match=message):
        write_challenge_csv(labels, tmp_path / "a.csv", maps)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b"",
        b"ImageId,PolygonWKT_Pix\nimg1,POINT (1 2)\n",
        b"ImageId,PolygonWKT_Pix\nimg1,nonsense\n",
        b"\xff\x00",
    ],
)
def test_files_that_are_no_such_csv_are_refused(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.csv cannot be read as footprints"):
        read_challenge_csv(tmp_path / "a.csv")
    with pytest.raises(FileNotFoundError, match=r"gone\.csv does not exist"):
        read_challenge_csv(tmp_path / "gone.csv")
