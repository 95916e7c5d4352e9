"""Readers survive damage and malice, in a smaller run of benchmarks/fuzz.py; what the kit writes, it reads."""

import ast
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from corpus import write_corpus
from geotags import place_in
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays

from tnv2 import Georeference, Recipe, Thresholds, Tile, find_tiles, rasterise, read_footprints
from tnv2.polygons.challenge import read_challenge_csv, write_challenge_csv
from tnv2.polygons.exports import write_geojson, write_label_geotiff
from tnv2.polygons.vectors import numbered, to_geodataframe

_fuzz = pytest.importorskip("fuzz", reason="what a process may take is limited by POSIX alone", exc_type=ImportError)
KINDS, fuzz = _fuzz.KINDS, _fuzz.fuzz
quick = settings(deadline=None, max_examples=30)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_mutants_give_a_result_or_a_clear_error(corpus, kind):
    counts, faults = fuzz(corpus, kind, 150)
    assert not faults, f"python benchmarks/fuzz.py --again {kind} {faults[0][0]}"
    assert min(counts["result"], counts["clear error"]) > 15
    assert counts.total() == 150


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("RGB", "AOI_1_Rio/3band/3band_AOI_1_RIO_img8.tif"),
        ("MUL", "crop_AOI_2_Vegas_img2144/MUL-PanSharpen_AOI_2_Vegas_img2144.tif"),
        ("PAN", "native_MUL/PAN_AOI_4_Shanghai_img1920.tif"),
        ("GeoJSON", "AOI_1_Rio/geojson/Geo_AOI_1_RIO_img8.geojson"),
        ("CSV", "AOI_2_Vegas/summaryData/AOI_2_Vegas_Train_Building_Solutions.csv"),
    ],
)
def test_mutants_of_real_files_do_too(corpus, shared, tmp_path, kind, file):
    for path in corpus.iterdir():
        if path.is_file():
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / kind).mkdir()
    (tmp_path / kind / "0").symlink_to(shared / "data" / file)
    counts, faults = fuzz(tmp_path, kind, 30)
    assert not faults
    assert counts.total() == 30


FAULTY = """
import os, sys, time, warnings
from pathlib import Path
import fuzz

def read(path, partners):
    number = int(path.read_text())
    if number == 0:
        os.abort()
    if number == 1:
        while True:
            pass
    if number == 2:
        bytearray(300 << 20)
    if number == 3:
        Path("stray").touch()
    if number == 4:
        raise KeyError(f"{path}: Pass another.")
    if number == 5:
        raise ValueError("Pass another.")
    if number == 6:
        raise ValueError(f"{path} is bad.")
    if number == 7:
        raise UnicodeDecodeError("utf-8", b"", 0, 1, f"{path} is bad. Pass another.")
    if number == 8:
        warnings.warn("odd")
    if number == 9:
        sys.exit()
    if number == 10:
        raise ValueError(f"{path} is bad. Pass another.")

fuzz.KINDS["RGB"] = ("{}.tif", read)
fuzz.mutant = lambda kind, number, seeds: str(number).encode()
fuzz.seeds_of = lambda folder, kind: [b"11"]
fuzz.MEMORY, fuzz.SECONDS = 250 << 20, 1
fuzz.work(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
"""


def test_every_fault_is_seen(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    (tmp_path / "faulty.py").write_text(FAULTY)
    counts, faults = fuzz(corpus, "RGB", 12, script=tmp_path / "faulty.py")
    kinds = ["crash", "hang", "memory", "stray file", "other error", "unclear error", "unclear error", "unclear error"]
    assert [fault.partition(":")[0] for _, fault in faults] == [*kinds, "other error", "other error"]
    assert [number for number, _ in faults] == list(range(10))
    assert (counts["clear error"], counts["result"]) == (1, 1)


def labels_of(height, width):
    return arrays.arrays(np.int32, (height, width), elements=st.integers(0, 4))


places = st.builds(
    lambda x, y, size, turn, crs: Georeference((size, turn * size, x, turn * size, -size, y), crs),
    st.floats(300_000, 700_000),
    st.floats(1_000_000, 8_000_000),
    st.floats(0.3, 2),
    st.sampled_from((0, 0.25)),
    st.sampled_from(("EPSG:32611", "EPSG:32631", "EPSG:32650")),
) | st.builds(
    lambda x, y: Georeference((2.7e-6, 0, x, 0, -2.7e-6, y), "EPSG:4326"), st.floats(-170, 170), st.floats(-70, 70)
)


@quick
@given(labels_of(9, 7), places)
def test_geojson_comes_back(tmp_path_factory, labels, where):
    path = tmp_path_factory.getbasetemp() / "any.geojson"
    write_geojson(to_geodataframe(labels, Tile(np.zeros((9, 7, 3), np.uint8), georeference=where)), path)
    np.testing.assert_array_equal(rasterise(read_footprints(path, where), labels.shape), numbered(labels)[1])


@quick
@given(
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), labels_of(5, 6))
)
def test_tiles_of_any_name_come_back_from_a_csv(tmp_path_factory, images):
    path = tmp_path_factory.getbasetemp() / "names.csv"
    write_challenge_csv(images, path)
    found = read_challenge_csv(path, (5, 6))
    assert list(found) == list(images)
    for name, labels in images.items():
        np.testing.assert_array_equal(found[name], numbered(labels)[1])


@quick
@given(
    arrays.arrays(st.sampled_from((np.uint8, np.int32, np.int64)), (6, 5), elements=st.integers(0, 127))
    | arrays.arrays(np.int64, (6, 5), elements=st.integers(0, 2**31 - 1)),
    places,
)
def test_labels_and_places_come_back_from_a_geotiff(tmp_path_factory, labels, where):
    path = tmp_path_factory.getbasetemp() / "any.tif"
    write_label_geotiff(labels, Tile(np.zeros((6, 5, 3), np.uint8), georeference=where), path)
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(file.asarray(), labels)
    assert place_in(path) == where


paths = st.none() | st.text()
recipes = st.builds(
    Recipe,
    st.builds(Thresholds, *[st.floats(0, 1)] * 3, st.integers(0, 10**6)),
    tile=st.text(),
    files=st.just({}) | st.fixed_dictionaries({"rgb": st.text(min_size=1), "mul": paths, "footprints": paths}),
    weights=st.text(),
    sha256=st.text("0123456789abcdef", max_size=64),
    precision=st.sampled_from(("", "auto", "float32", "bfloat16")),
    versions=st.dictionaries(st.sampled_from(("tnv2", "torch", "numpy")), st.sampled_from(("2.13.0", "1!2.0rc1+cpu"))),
)


@quick
@given(recipes)
def test_recipes_come_back_and_their_code_is_what_they_say(tmp_path_factory, recipe):
    path = tmp_path_factory.getbasetemp() / "any.json"
    recipe.save(path)
    assert Recipe.load(path) == recipe
    tile, _, _, labels = ast.parse(str(recipe)).body[1:]
    paths = [ast.literal_eval(path) for path in getattr(tile.value, "args", [])]
    assert paths == [recipe.files[name] for name in ("rgb", "mul", "footprints") if recipe.files]
    (thresholds,) = labels.value.args[1:]
    assert Thresholds(**{field.arg: ast.literal_eval(field.value) for field in thresholds.keywords}) == recipe.thresholds


ids = st.tuples(st.sampled_from(("AOI_2_Vegas", "AOI_3_Paris", "AOI_10_Rio")), st.integers(1, 9999))


@quick
@given(st.dictionaries(ids, st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=8), st.booleans())
def test_tiles_of_any_number_are_found_in_both_layouts(tmp_path_factory, tiles, first_layout):
    folder = tmp_path_factory.mktemp("layout")
    patterns = [
        ("RGB-PanSharpen/RGB-PanSharpen_{0}_img{1}.tif", "PS-RGB/SN2_buildings_train_{0}_PS-RGB_img{1}.tif"),
        ("MUL-PanSharpen/MUL-PanSharpen_{0}_img{1}.tif", "PS-MS/SN2_buildings_train_{0}_PS-MS_img{1}.tif"),
        ("geojson/buildings/buildings_{0}_img{1}.geojson",
         "geojson_buildings/SN2_buildings_train_{0}_geojson_buildings_img{1}.geojson"),
    ]  # fmt: skip
    for (place, number), there in tiles.items():
        for pattern, is_there in zip(patterns, (True, *there), strict=True):
            path = folder / place / pattern[not first_layout].format(place, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            if is_there:
                path.touch()
    found = find_tiles(folder)
    wanted = sorted(tiles, key=lambda tile: (int(tile[0].split("_")[1]), tile[1]))
    assert [files.name for files in found] == [f"{place}_img{number}" for place, number in wanted]
    for files, tile in zip(found, wanted, strict=True):
        assert (files.mul is not None, files.footprints is not None) == tiles[tile]
        assert all(tile[0] in path.parts for path in (files.rgb, files.mul, files.footprints) if path)
