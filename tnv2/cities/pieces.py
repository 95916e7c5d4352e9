"""Pieces: what one process does of a scene at a time.

The network sees a piece with CONTEXT pixels around it, all scaled by the whole raster's limits. A piece is labelled with a
margin around it, so that buildings across its sides are seen whole, and keeps those whose first pixel, row by row, lies in
it. Where a building that reaches into the piece reaches the window's rim, too, the margin is doubled, up to WIDEST; what is
larger still is cut at the piece's sides, and joined there again as between a city's tiles.
"""

import json
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..files import PathLike, expanded, write_text
from ..instances import Probabilities, Thresholds, label_instances
from ..network import STRIDE, Metres, known_shape, padded, predict
from ..polygons import to_geodataframe, write_geoparquet
from ..tiles import Georeference, Tile, TileFiles, read_image, write_geotiff, write_rows
from .sheets import Order, Outcome, Sheet, instances_path, loaded, maps_path, room_in, sheet_path

SIDE = 2048  # pixels of a piece, as many as the network sees at its own 0.3 m
CONTEXT = 224  # pixels around a piece that the network sees, too
MARGIN, WIDEST = 256, 2048  # pixels around a piece that are labelled, too, at first and at most
STRIP = 512  # rows of the label image that are drawn at a time
NOWHERE = Georeference((1, 0, 0, 0, 1, 0))  # pixels, where a raster does not say


@dataclass(frozen=True)
class Piece:
    """A part of a raster: (row, column, height, width) in its pixels."""

    name: str
    window: tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class SceneOrder(Order):
    """What to do with each piece.

    raster, mul, bands, metres : as ``map_scene`` takes them. shape : (H, W). limits : of the whole raster, lists of three.
    where : its Georeference, None without one. stamp : of a local file, its size and when it was written, so that another
    one of its name is noticed. card : the Thresholds of the network's card.
    """

    fixed: ClassVar[tuple[str, ...]] = (*Order.fixed, "raster", "stamp", "mul", "bands", "metres", "shape")

    raster: str
    mul: str | None
    bands: tuple[int, ...] | None
    metres: Metres
    shape: tuple[int, int]
    stamp: tuple[int, int] | None
    limits: tuple[list[float], list[float]]
    where: Georeference | None
    card: Thresholds
    format: str = "tnv2 scene 1"

    def tile(self, window: tuple[int, int, int, int], footprints: PathLike | None = None) -> Tile:
        """Return the Tile of a window, scaled as the whole raster."""
        place = None if footprints is None else expanded(footprints)
        files = TileFiles(Path(self.raster).stem, self.raster, self.mul, place, self.bands, window)
        low, high = (np.array(each) for each in self.limits)
        return files.read().replace(limits=(low, high))

    @property
    def ratio(self) -> float:
        """How many of the raster's pixels are as wide as one that the network sees."""
        return float(np.sqrt(np.prod(self.shape) / np.prod(known_shape(self.shape, self.where, self.metres))))


def cut(shape: tuple[int, int], side: int) -> Iterator[Piece]:
    """Yield the Pieces of (H, W), ``side`` pixels a side, those at the right and at the bottom perhaps less.

    >>> [piece.window for piece in cut((3, 5), 4)]
    [(0, 0, 3, 4), (0, 4, 3, 1)]
    """
    for row in range(0, shape[0], side):
        for column in range(0, shape[1], side):
            name = f"r{row // side:03d}_c{column // side:03d}"
            yield Piece(name, (row, column, min(side, shape[0] - row), min(side, shape[1] - column)))


def around(start: int, length: int, margin: int, whole: int) -> tuple[int, int]:
    """Return first and last, excluded, of a window that reaches ``margin`` beyond a part of ``whole`` pixels on either side.

    The window is a little wider where that puts the network's grid of 32 px where it is when the whole is seen at once.

    >>> around(2048, 2048, 224, 6000)  # 6000 is padded by 8 pixels on either side
    (1816, 4344)
    """
    before, _ = padded(whole)
    low, high = start - margin, start + length + margin
    low -= (low + before) % STRIDE
    high += (low - high) % STRIDE
    if low <= 0:
        return 0, min(high + (whole - high) % STRIDE, whole)
    if high >= whole:
        return low - low % STRIDE, whole
    return low, high


def predict_piece(piece: Piece, order: SceneOrder) -> Outcome:
    """Write the maps of a piece."""
    row, column, height, width = piece.window
    margin = round(CONTEXT * order.ratio)
    (top, bottom), (left, right) = around(row, height, margin, order.shape[0]), around(column, width, margin, order.shape[1])
    tile = order.tile((top, left, bottom - top, right - left))
    maps = np.zeros((height, width, 2), np.uint8)
    if tile.valid.any():
        own = slice(row - top, row - top + height), slice(column - left, column - left + width)
        found = predict(loaded(order), tile, order.precision, order.metres)
        maps = np.stack([each[own] for each in found.quantised()], axis=2)
    with room_in(order.folder):
        write_geotiff(maps_path(order.folder, piece.name), maps, None)
    return Outcome(piece.name, predicted=True)


def gather_maps(pieces: Sequence[Piece], order: SceneOrder) -> None:
    """Write the maps of all pieces as one file, if it is not there, and remove theirs."""
    path = order.folder / "maps.tif"

    def rows() -> Iterator[np.ndarray]:
        for _, beside in groupby(pieces, lambda piece: piece.window[0]):
            paths = [maps_path(order.folder, piece.name) for piece in beside]
            yield np.concatenate([read_image(path, 2, "map").pixels for path in paths], axis=1)

    if not path.is_file():
        write_rows(path, rows(), order.shape, np.dtype(np.uint8), ("building", "border"), order.where, "average")
    shutil.rmtree(order.folder / "maps", ignore_errors=True)


def label_piece(piece: Piece, order: SceneOrder) -> Outcome:
    """Write the buildings of a piece, and its Sheet."""
    where, path = order.where or NOWHERE, sheet_path(order.folder, piece.name)
    row, column, height, width = piece.window
    margin = MARGIN
    while True:
        top, left = max(row - margin, 0), max(column - margin, 0)
        bottom, right = min(row + height + margin, order.shape[0]), min(column + width + margin, order.shape[1])
        window = slice(top, bottom), slice(left, right)
        maps = read_image(order.folder / "maps.tif", 2, "maps", window=window).pixels
        probabilities = Probabilities.from_quantised(maps[..., 0], maps[..., 1])
        labels = label_instances(probabilities, order.thresholds)
        own = slice(row - top, row - top + height), slice(column - left, column - left + width)
        open_sides = top > 0, bottom < order.shape[0], left > 0, right < order.shape[1]
        sides = labels[0], labels[-1], labels[:, 0], labels[:, -1]
        rims = [side for side, beyond in zip(sides, open_sides, strict=True) if beyond]
        cut_off = np.intersect1d(np.concatenate([[0], *rims]), labels[own])
        if not cut_off.any() or margin >= WIDEST:
            break
        margin *= 2
    kept = own_buildings(labels, own, cut_off)
    place = order.where and where.moved(left, top)
    tile = Tile(np.broadcast_to(np.uint8(0), (*labels.shape, 3)), name=piece.name, georeference=place)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*positions are in")  # map_scene says so once
        frame = to_geodataframe(kept, tile, probabilities)
    if order.where is None:
        frame = frame.assign(geometry=frame.geometry.translate(left, top))
    with room_in(order.folder):
        path.unlink(missing_ok=True)  # from here on the piece is not done
        write_geoparquet(frame.assign(edge=frame["label"].isin(cut_off)), instances_path(order.folder, piece.name))
        sheet = Sheet(piece.name, (height, width), where.moved(column, row), order.thresholds, len(frame), None)
        write_text(path, json.dumps(asdict(sheet)) + "\n")
    return Outcome(piece.name, sheet)


def own_buildings(labels: np.ndarray, own: tuple[slice, slice], cut_off: np.ndarray) -> np.ndarray:
    """Return (H, W) labels of what begins in a part of the window, and of those that are cut off what is in that part."""
    flat = labels.ravel()
    pixels = np.flatnonzero(flat)[::-1]
    first = np.zeros(labels.max() + 1, np.int64)
    first[flat[pixels]] = pixels  # the last one written is the first one
    rows, columns = np.divmod(first, labels.shape[1])
    begins = (own[0].start <= rows) & (rows < own[0].stop) & (own[1].start <= columns) & (columns < own[1].stop)
    torn = np.isin(np.arange(len(first)), cut_off)
    kept = np.where((begins & ~torn)[labels], labels, 0)  # background stays 0 either way
    kept[own] += np.where(torn[labels[own]], labels[own], 0)
    return kept


def draw_labels(order: SceneOrder) -> None:
    """Write the label image of all buildings, a label a row of their table, unless it is there and newer."""
    import geopandas
    import shapely
    from rasterio import Affine
    from rasterio.features import rasterize

    table, path = order.folder / "buildings.parquet", order.folder / "labels.tif"
    if path.is_file() and path.stat().st_mtime_ns > table.stat().st_mtime_ns:
        return
    shapes = shapely.transform(geopandas.read_parquet(table).geometry.to_numpy(), (order.where or NOWHERE).to_pixels)
    dtype, tree, (height, width) = np.dtype(np.min_scalar_type(len(shapes))), shapely.STRtree(shapes), order.shape

    def rows() -> Iterator[np.ndarray]:
        for top in range(0, height, STRIP):
            shape = min(STRIP, height - top), width
            here = np.sort(tree.query(shapely.box(0, top, width, top + shape[0])))
            burnt = ((shapes[i], i + 1) for i in here.tolist())
            strip = np.zeros(shape, dtype)
            if len(here):
                rasterize(burnt, out=strip, transform=Affine.translation(0, top))
            yield strip[..., None]

    write_rows(path, rows(), order.shape, dtype, [""], order.where, "nearest")
