"""Folders: which files of a folder are one tile, by SpaceNet's names or a pattern."""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from ..files import PathLike, box, expanded
from .tiles import Tile, TileFiles, image_id

Products = list[tuple[str, Path]]  # what a file is, and where

# One row a product: the name's token in SpaceNet 2's first layout, in its second layout, and in SpaceNet 1.
PRODUCTS = {
    "rgb": ("RGB-PanSharpen", "PS-RGB", "3band"),
    "mul": ("MUL-PanSharpen", "PS-MS", "8band"),
    "native_mul": ("MUL", "MS"),
    "footprints": ("buildings", "geojson_buildings", "Geo"),
}
PRODUCT_OF = {token: product for product, tokens in PRODUCTS.items() for token in tokens}
TOKEN = re.compile("(?<![A-Za-z])(" + "|".join(sorted(PRODUCT_OF, key=len, reverse=True)) + ")_(?=AOI|img)")
SUBFOLDERS = {*PRODUCT_OF, "geojson", "summaryData"}  # of a folder with one city's tiles
COPY = re.compile(r"^\.|( \(\d+\)|-checkpoint)\.\w+$")  # ._NAME.tif of macOS, NAME (1).tif of a browser, Jupyter's own


def find_tiles(folder: PathLike | None = None, pattern: str | None = None) -> list[TileFiles]:
    """Return the TileFiles under ``folder``, sorted by place and number; no file is opened.

    Without a folder: under the one that the environment variable TNV2_TILES names, or else the kit's samples.

    Both SpaceNet 2 layouts and SpaceNet 1's (``3band_AOI_1_RIO_img8.tif``) are known by their file names. Where a tile has
    pan-sharpened and native MUL, the pan-sharpened one is taken; where it has no GeoJSON, the challenge's CSV of its city
    (``*Building_Solutions.csv``) stands in. Raises FileNotFoundError where there is no tile.

    pattern : of other names, "*.tif" for what gdal_retile makes: every file of such a name is an RGB tile, named as it is,
        with the footprints of the GeoJSON of its name, where there is one.
    """
    folder = expanded(folder or os.environ.get("TNV2_TILES") or box("sample_data"))
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} is not a folder. Pass, or set TNV2_TILES to, the folder that holds RGB-PanSharpen/ or PS-RGB/."
        )
    if pattern is not None:
        named = [path for path in walked(folder) if fnmatch(path.name, pattern)]
        if not named:
            raise FileNotFoundError(f"{folder} holds no file named {pattern!r}. Pass their pattern, such as *.tif.")
        beside = [(path, path.with_suffix(".geojson")) for path in named]
        plain = [TileFiles(path.stem, path, None, drawn if drawn.is_file() else None) for path, drawn in beside]
        return sorted(plain, key=lambda files: natural(files.name))
    found: dict[str, Products] = {}
    solutions: dict[str, Path] = {}
    for path in sorted(walked(folder)):
        if path.name.endswith("Building_Solutions.csv"):
            solutions[path.name.split("_Train")[0]] = path
        elif path.suffix.lower() in (".tif", ".tiff", ".geojson") and (token := TOKEN.search(path.name)):
            found.setdefault(image_id(path), []).append((PRODUCT_OF[token[1]], path))
    tiles = [tile_files(name, files, solutions) for name, all_files in found.items() for files in apart(all_files)]
    if not any(tiles):
        raise FileNotFoundError(
            f"{folder} holds no RGB tile that is named as SpaceNet names them, RGB-PanSharpen_AOI_2_Vegas_img1.tif or "
            "SN2_buildings_train_AOI_2_Vegas_PS-RGB_img1.tif. Pass their folder, or each file to read_tile."
        )
    return sorted(filter(None, tiles), key=lambda files: natural(files.name))


def walked(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, links followed and each folder once; not what is hidden or a copy of a file."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = [] if real in seen else [name for name in folders if not name.startswith(".")]
        yield from (Path(root, name) for name in names if real not in seen and not COPY.search(name))
        seen.add(real)


def apart(files: Products) -> list[Products]:
    """Return one tile's (product, path) pairs as a list of groups: by folder where several RGB files have one name."""
    if sum(product == "rgb" for product, _ in files) < 2:
        return [files]
    groups: dict[Path, Products] = {}
    for product, path in files:
        groups.setdefault(city_folder(path), []).append((product, path))
    return list(groups.values())


def tile_files(name: str, files: Products, solutions: dict[str, Path]) -> TileFiles | None:
    """Return the TileFiles of (product, path) pairs, None without an RGB file; ``solutions`` are CSVs by city."""
    by_product = dict(reversed(files))  # the first of a kind counts
    if "rgb" not in by_product:
        return None
    mul = by_product.get("mul", by_product.get("native_mul"))
    return TileFiles(name, by_product["rgb"], mul, by_product.get("footprints", solutions.get(name.rsplit("_img", 1)[0])))


def sample_tiles() -> list[Tile]:
    """Return the tiles that come with the kit: synthetic scenes with exact footprints."""
    return [files.read() for files in find_tiles(box("sample_data"))]


def city_folder(path: Path) -> Path:
    """Return the folder that holds a file's product folder: the tiles of one city, or of one crop of it."""
    folder = path.parent
    while folder.name in SUBFOLDERS:
        folder = folder.parent
    return folder


def natural(name: str) -> list[int | str]:
    """Return a sort key that puts img9 before img10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
