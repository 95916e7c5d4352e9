"""Sheets: what a city's map keeps of one tile, in files that are whole or not there.

A map's folder holds, for a tile named NAME::

    maps/NAME.tif                          the two probability maps in 8 bits, a GeoTIFF: building, border
    instances/tile=NAME/instances.parquet  its buildings, one partition of a GeoParquet dataset
    sheets/NAME.json                       the Sheet: written last, so that where it is, the other two are whole
"""

import ctypes
import json
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import numpy as np

from ..files import write_text
from ..instances import Probabilities, Score, Thresholds, label_instances, match
from ..network import TernausNetV2, load_model, predict_many, together
from ..polygons import to_geodataframe, write_geoparquet
from ..tiles import Georeference, Tile, TileFiles, fetch_tile, read_image, write_geotiff

NETWORKS: dict[str, TernausNetV2] = {}  # {sha256: network} of this process: the last one that it used
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LOADING = threading.Lock()  # one thread of a worker loads it, the others wait


@dataclass(frozen=True)
class Order:
    """What to do with each tile.

    folder : of the map. weights, sha256, precision : of the network, as ``load_model`` and ``predict`` take them.
    thresholds : Thresholds. crs : that all tiles must be in. fixed : what another run in this folder may not change.
    """

    fixed: ClassVar[tuple[str, ...]] = ("format", "sha256", "precision", "crs")

    folder: Path
    weights: str
    sha256: str
    precision: str
    thresholds: Thresholds
    crs: str
    format: str = "tnv2 city 1"


@dataclass(frozen=True)
class Sheet:
    """What is known of a tile that is done.

    shape : (H, W). georeference : the tile's. thresholds : what it was made with. buildings : how many there are.
    score : the tile's Score as the challenge counts, None without footprints.
    """

    name: str
    shape: tuple[int, int]
    georeference: Georeference
    thresholds: Thresholds
    buildings: int
    score: Score | None


@dataclass(frozen=True)
class Outcome:
    """What became of a tile: its Sheet, or the ``error`` that stopped it; ``predicted`` where the network was asked.

    together : tiles that the network of the worker sees at a time.
    """

    name: str
    sheet: Sheet | None = None
    error: str = ""
    predicted: bool = False
    together: int = 1


def map_tiles(tiles: Sequence[TileFiles | str], order: Order) -> list[Outcome]:
    """Return the Outcome of each tile, in any order, its files written.

    tiles : TileFiles, or names of SpaceNet 2's training tiles, which ``fetch_tile`` fetches. Those whose maps are stored are
    labelled anew; for them the network is neither asked nor loaded. Where a tile's Sheet is, nothing is done. What is wrong
    with a tile is in its Outcome, what else is wrong is raised.
    """
    found: dict[str, Outcome] = {}
    awaiting: deque[tuple[Tile, Georeference]] = deque()

    def unseen() -> Iterator[Tile]:
        for tile in tiles:
            ready = prepared(tile, order)
            if isinstance(ready, Outcome):
                found[ready.name] = ready
            else:
                awaiting.append(ready)
                yield ready[0]

    waiting = unseen()
    if not (first := next(waiting, None)):
        return list(found.values())
    network = loaded(order)
    maps = predict_many(network, chain([first], waiting), order.precision)
    try:
        while probabilities := next(maps, None):
            tile, where = awaiting.popleft()
            with room_in(order.folder):
                sheet = write_sheet(tile, where, probabilities, order, new=True)
            found[tile.name] = Outcome(tile.name, sheet, predicted=True, together=together(network))
    except (ValueError, RuntimeError) as error:  # too small a tile, too full a GPU
        if len(tiles) == 1:
            return [Outcome(name_of(tiles[0]), error=f"{type(error).__name__}: {error}")]
        left = [tile for tile in tiles if name_of(tile) not in found]
        return [*found.values(), *chain.from_iterable(map_tiles([tile], order) for tile in left)]
    return list(found.values())


def prepared(tile: TileFiles | str, order: Order) -> Outcome | tuple[Tile, Georeference]:
    """Return the Outcome of a tile that needs no network, or the Tile that does and where it lies."""
    name = name_of(tile)
    if sheet := finished(order, name):
        return Outcome(name, sheet)
    stored = stored_maps(order.folder, name)
    try:
        seen = opened(tile, stored is None)
        where = checked_place(seen, order.crs)
    except Exception as error:  # files and servers fail in many ways
        return Outcome(name, error=f"{type(error).__name__}: {error}")
    if stored is None:
        return seen, where
    with room_in(order.folder):
        return Outcome(name, write_sheet(seen, where, stored, order, new=False))


def name_of(tile: Any) -> str:
    """Return the name of TileFiles or of a scene's piece, or of a SpaceNet tile, which is its own."""
    return tile if isinstance(tile, str) else tile.name


def opened(tile: TileFiles | str, with_mul: bool) -> Tile:
    """Return the Tile of TileFiles or of a SpaceNet tile's name; its MUL bands are for the network alone."""
    if isinstance(tile, str):
        aoi, number = tile.rsplit("_img", 1)
        return fetch_tile(aoi, int(number))
    return (tile if with_mul else replace(tile, mul=None)).read().replace(name=tile.name)


def checked_place(tile: Tile, crs: str) -> Georeference:
    """Return where a tile lies; raises ValueError unless that is in the map's CRS."""
    where = tile.georeference
    its = where and where.crs
    if where is None or its != crs:
        raise ValueError(
            f"tile {tile.name!r} is in {its or 'no known CRS'} and the map in {crs}; a map has one. "
            + ("Map the tiles of each CRS into a folder of their own." if its else "Georeference the tile.")
        )
    return where


def loaded(order: Order) -> TernausNetV2:
    """Return the network of an Order, loaded once in this process; the last one is kept."""
    with LOADING:
        if order.sha256 not in NETWORKS:
            NETWORKS.clear()
            network = load_model(order.weights)
            if network.origin["sha256"] != order.sha256:
                raise ValueError(
                    f"{order.weights!r} has the sha256 {network.origin['sha256'][:12]} on a worker and {order.sha256[:12]} "
                    "where the map was started. Put the same file on every machine."
                )
            keep_freed_memory()
            NETWORKS[order.sha256] = network
        return NETWORKS[order.sha256]


def keep_freed_memory() -> None:
    """Have glibc keep up to 64 MB that this process freed, where Dask had it hand back everything at once.

    The system clears fresh pages first, and a network frees and takes the same memory at every layer: it took 40 % longer.
    """
    dasks = os.environ.get("MALLOC_TRIM_THRESHOLD_") == "65536"  # its default; who sets another knows why
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if dasks and sys.platform == "linux" else None
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, 64 << 20)
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the greatest that there is; larger pieces are handed back in any case


def write_sheet(tile: Tile, where: Georeference, probabilities: Probabilities, order: Order, new: bool) -> Sheet:
    """Write the files of a tile and return its Sheet; the maps only if they are ``new``."""
    folder, name, rounded = order.folder, tile.name, probabilities.rounded()
    path = sheet_path(folder, name)
    path.unlink(missing_ok=True)  # from here on the tile is not done
    if new:
        write_geotiff(maps_path(folder, name), np.stack(rounded.quantised(), axis=2), where, "average")
    labels = label_instances(rounded, order.thresholds)
    frame = to_geodataframe(labels, tile, rounded)
    write_geoparquet(frame.assign(edge=frame["label"].isin(at_edge(labels))), instances_path(folder, name))
    found = None if tile.truth is None else match(tile.truth, labels, small="challenge")
    score = found and Score(found.tp, found.fp, found.fn)
    sheet = Sheet(name, tile.shape, where, order.thresholds, len(frame), score)
    write_text(path, json.dumps(asdict(sheet)) + "\n")
    return sheet


def at_edge(labels: np.ndarray) -> np.ndarray:
    """Return the labels in the outermost pixels of (H, W) ``labels``, 0 among them where it is there.

    >>> at_edge(np.pad([[7, 0], [0, 8]], ((1, 1), (0, 2)))).tolist()
    [0, 7]
    """
    return np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))


def stored_maps(folder: Path, name: str) -> Probabilities | None:
    """Return the Probabilities that are stored for a tile, None where there are none that can be read."""
    try:
        maps = read_image(maps_path(folder, name), 2, "map").pixels
        return Probabilities.from_quantised(maps[..., 0], maps[..., 1])
    except (OSError, ValueError):
        return None


def finished(order: Order, name: str) -> Sheet | None:
    """Return the Sheet of a tile that is done as ordered, else None."""
    try:
        sheet = read_sheet(sheet_path(order.folder, name))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return sheet if sheet.thresholds == order.thresholds else None


def read_sheet(path: Path) -> Sheet:
    """Return the Sheet of a JSON file."""
    record = json.loads(path.read_text(encoding="utf-8"))
    kinds = {"georeference": Georeference, "thresholds": Thresholds, "score": Score}
    made = {name: kind(**record[name]) for name, kind in kinds.items() if record[name] is not None}
    return Sheet(**record | made | {"shape": tuple(record["shape"])})


@contextmanager
def room_in(folder: Path) -> Iterator[None]:
    """Raise OSError with the remedy where writing inside fails."""
    try:
        yield
    except OSError as error:
        error.__cause__ = error.__context__ = None  # GDAL's own errors cannot be sent from a worker
        reason = os.strerror(error.errno) if error.errno else error
        remedy = "Make room or mend it, and run again: the tiles that are done are kept."
        raise OSError(error.errno, f"the map in {folder} cannot be written ({reason}). {remedy}") from error


def maps_path(folder: Path, name: str) -> Path:
    """Return the path of a tile's probability maps."""
    return folder / "maps" / f"{name}.tif"


def instances_path(folder: Path, name: str) -> Path:
    """Return the path of a tile's buildings, in a partition that readers of Parquet datasets decode."""
    return folder / "instances" / f"tile={quote(name)}" / "instances.parquet"


def sheet_path(folder: Path, name: str) -> Path:
    """Return the path of a tile's Sheet."""
    return folder / "sheets" / f"{name}.json"
