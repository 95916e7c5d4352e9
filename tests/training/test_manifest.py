"""Manifests: pictures of any size, depth and kind of label come out at 0.3 m a pixel, their labels in place."""

import csv

import cv2
import numpy as np
import pytest
from conftest import unavailable

from tnv2.training.manifest import COLUMNS, read_manifest, set_aside


def write(folder, rows):
    with (folder / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def row(name, metres=0.3, kind="instances", split="train", notes="", dataset="set"):
    return {
        "file": f"{name}.png", "split": split, "dataset": dataset, "place": "Town", "metres_per_px": metres,
        "labels": f"{name}_labels.png", "label_kind": kind, "notes": notes,
    }  # fmt: skip


def save(folder, name, rgb, labels):
    for path, image in ((f"{name}.png", rgb[..., ::-1]), (f"{name}_labels.png", labels)):
        assert cv2.imwrite(str(folder / path), image)


@pytest.fixture
def two_houses():
    """A 60 x 80 picture, two touching houses on it, and their numbers."""
    labels = np.zeros((60, 80), np.uint16)
    labels[20:40, 20:40], labels[20:40, 40:60] = 300, 7
    return np.where(labels[..., None] > 0, (200, 100, 50), (10, 20, 30)).astype(np.uint8), labels


@pytest.mark.parametrize("metres", [0.3, 0.6, 0.15])
def test_pictures_come_at_three_tenths_of_a_metre(tmp_path, two_houses, metres):
    rgb, labels = two_houses
    save(tmp_path, "a", rgb, labels)
    write(tmp_path, [row("a", metres)])
    [picture] = read_manifest(tmp_path)
    scale = metres / 0.3
    assert picture.tile.shape == (60 * scale, 80 * scale)
    assert set(np.unique(picture.tile.truth)) == {0, 7, 300}
    assert (picture.tile.truth == 300).sum() == pytest.approx(400 * scale**2, rel=0.05)
    inside = picture.tile.truth > 0
    assert np.corrcoef(picture.tile.rgb[..., 0].ravel(), inside.ravel())[0, 1] > 0.95
    assert picture.tile.rgb[inside].mean(axis=0).argsort().tolist() == [2, 1, 0], "red, green, blue"


def test_merged_labels_are_their_connected_parts_at_whatever_size(tmp_path, two_houses):
    rgb, labels = two_houses
    save(tmp_path, "a", rgb, (cv2.resize(labels, (160, 120), interpolation=cv2.INTER_NEAREST) > 0).astype(np.uint8))
    write(tmp_path, [row("a", 0.6, "merged")])
    [picture] = read_manifest(tmp_path)
    assert picture.merged
    assert picture.tile.truth.max() == 1
    assert picture.tile.truth.sum() == 40 * 80


def test_sixteen_bits_stay_sixteen(tmp_path, two_houses):
    rgb, labels = two_houses
    save(tmp_path, "a", rgb.astype(np.uint16) * 8, labels)
    write(tmp_path, [row("a")])
    [picture] = read_manifest(tmp_path)
    np.testing.assert_array_equal(picture.tile.rgb, rgb.astype(np.uint16) * 8)
    assert picture.tile.rgb.dtype == np.uint16


def test_other_splits_are_not_read(tmp_path, two_houses):
    save(tmp_path, "a", *two_houses)
    write(tmp_path, [row("a"), row("not_there", split="validation")])
    assert [picture.tile.name for picture in read_manifest(tmp_path)] == ["a"]
    with pytest.raises(ValueError, match=r"no row of split 'test', but of 'train', 'validation'"):
        read_manifest(tmp_path, "test")
    with pytest.raises(FileNotFoundError, match=r"not_there\.png"):
        read_manifest(tmp_path, "validation")


def test_pictures_of_one_tile_are_on_one_side(tmp_path, two_houses):
    rows = [row(f"a{i}", notes=f"lies in tile img{i}", dataset="one") for i in range(10)]
    rows += [row(f"b{i}", notes=f"shrunk from tile img{i}", dataset="two") for i in range(7)]
    for each in rows:
        save(tmp_path, each["file"].removesuffix(".png"), *two_houses)
    write(tmp_path, rows)
    taught, aside = set_aside(read_manifest(tmp_path))
    assert len(taught) + len(aside) == len(rows)
    assert not {each.of for each in taught} & {each.of for each in aside}
    assert {each.dataset for each in aside} == {"one", "two"}
    assert 2 <= len(aside) <= 6
    again = set_aside(read_manifest(tmp_path))[1]
    assert [each.tile.name for each in again] == [each.tile.name for each in aside]


def test_manifests_without_sense_are_refused(tmp_path, two_houses):
    with pytest.raises(FileNotFoundError, match=r"MANIFEST\.csv does not exist"):
        read_manifest(tmp_path)
    (tmp_path / "MANIFEST.csv").write_text("file,split\na.png,train\n")
    with pytest.raises(ValueError, match="lacks dataset, place"):
        read_manifest(tmp_path)
    save(tmp_path, "a", *two_houses)
    for wrong in ({"metres": "0"}, {"metres": "far"}, {"metres": "nan"}, {"kind": "outlines"}):
        write(tmp_path, [row("a", **wrong)])
        with pytest.raises(ValueError, match=r"a\.png is listed with .* Mend its row"):
            read_manifest(tmp_path)


def test_the_real_manifest_is_read_whole(shared):
    if not (shared / "more").is_dir():
        unavailable("the folder of more real pictures is not there")
    pictures = read_manifest(shared / "more")
    assert len(pictures) == 121
    assert sum(picture.tile.truth.max() > 0 for picture in pictures) > 110
    native = [picture for picture in pictures if picture.tile.rgb.dtype == np.uint16]
    assert [picture.tile.shape for picture in native] == [(650, 650)]
    assert {picture.of for picture in pictures}.isdisjoint(
        picture.of for picture in read_manifest(shared / "more", "validation")
    )
