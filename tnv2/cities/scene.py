"""Scene: one raster of any size becomes maps, instances and polygons, a piece at a time.

A scene's folder holds::

    maps.tif             the two probability maps in 8 bits, a cloud-optimised GeoTIFF with overviews: building, border
    labels.tif           which row of buildings.parquet each pixel is of, from 1; 0 is background
    buildings.parquet    all buildings, a GeoParquet file
    recipe.json          how they were made
    maps/, instances/, sheets/    what is done so far, a piece each
"""

import dataclasses
import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from ..files import PathLike, expanded
from ..instances import Probabilities, Thresholds
from ..network import Metres, TernausNetV2, as_model
from ..progress import Progress
from ..tiles import Bands, Georeference, Raster, Tile, read_image, source
from .buildings import write_buildings
from .pieces import SIDE, Piece, SceneOrder, cut, draw_labels, gather_maps, label_piece, predict_piece
from .runs import alone, check_client, keep_recipe, ordered, sweep, work
from .sheets import Order, Outcome, finished, maps_path, read_sheet, room_in, sheet_path

if TYPE_CHECKING:
    import geopandas
    from distributed import Client


@dataclass(frozen=True, eq=False, repr=False)
class SceneMap:
    """A scene's map: the files that ``map_scene`` wrote into ``folder``, and any part of them.

    order : how it was made. pieces : how many there are; predicted, relabelled : of how many this run made the maps, and
    the buildings.
    """

    order: SceneOrder
    pieces: int
    predicted: int = 0
    relabelled: int = 0

    @classmethod
    def load(cls, folder: PathLike) -> Self:
        """Return the SceneMap of a folder that ``map_scene`` wrote; raises ValueError where there is none."""
        folder = expanded(folder).absolute()
        try:
            record = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
            del record["versions"]
            kinds = {"thresholds": Thresholds, "card": Thresholds, "where": Georeference}
            made = {name: kind(**record[name]) for name, kind in kinds.items() if record[name]}
            lists = {name: tuple(record[name]) for name in ("shape", "bands", "stamp", "limits") if record[name]}
            order = SceneOrder(**record | made | lists, folder=folder)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{folder} holds no scene's map ({type(error).__name__}: {error}). Pass map_scene's out."
            ) from error
        return cls(order, len(list((folder / "sheets").glob("*.json"))))

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.order.folder

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) in pixels of the raster."""
        return self.order.shape

    @property
    def thresholds(self) -> Thresholds:
        """The Thresholds that made the buildings."""
        return self.order.thresholds

    @property
    def path(self) -> Path:
        """Where all buildings are, in one GeoParquet file."""
        return self.folder / "buildings.parquet"

    @property
    def maps_path(self) -> Path:
        """Where the probability maps are, a GeoTIFF of two bands."""
        return self.folder / "maps.tif"

    @property
    def labels_path(self) -> Path:
        """Where the label image is, a GeoTIFF; a label is a row of ``buildings()``, counted from 1."""
        return self.folder / "labels.tif"

    def buildings(self) -> "geopandas.GeoDataFrame":
        """Return the GeoDataFrame of all buildings; it is read now. ``write_geopackage`` takes it, and so on."""
        import geopandas

        return geopandas.read_parquet(self.path)

    def tile(
        self, row: int = 0, column: int = 0, size: int | tuple[int, int] = 650,
        bounds: tuple[float, float, float, float] | None = None, footprints: PathLike | None = None,
    ) -> Tile:  # fmt: skip
        """Return the Tile of a part, scaled as the whole scene; with ``footprints``, a file, it has a truth.

        row, column : of its upper left pixel. size : pixels a side, or (height, width). What is beyond the scene is left
        out. bounds : (west, south, east, north) in the scene's CRS, instead of all three.

        Raises ValueError for a part that does not lie on the scene.
        """
        height, width = (size, size) if isinstance(size, int) else size
        if bounds is not None:
            where = self.order.where
            if where is None:
                raise ValueError(f"{self.order.raster} has no georeference; pass row, column and size in pixels, no bounds.")
            west, south, east, north = bounds
            corners = where.to_pixels([(west, south), (west, north), (east, south), (east, north)])
            (column, row), (right, bottom) = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
            row, column, height, width = int(row), int(column), int(bottom - row), int(right - column)
        top, left = max(row, 0), max(column, 0)
        bottom, right = min(row + height, self.shape[0]), min(column + width, self.shape[1])
        if bottom <= top or right <= left:
            raise ValueError(
                f"rows {row} to {row + height} and columns {column} to {column + width} are not on the scene of "
                f"{self.shape[0]} x {self.shape[1]} px. Pass a part of it."
            )
        return self.order.tile((top, left, bottom - top, right - left), footprints)

    def probabilities(self, tile: Tile) -> Probabilities:
        """Return the Probabilities of a part, a Tile that ``tile`` returned, for ``label_instances`` or a ThresholdTuner."""
        window = tile.files.window if tile.files else None
        if window is None or tile.files is None or str(tile.files.rgb) != self.order.raster:
            raise ValueError(f"tile {tile.name!r} is no part of {self.order.raster}. Pass what scene.tile returned.")
        (row, column, height, width), path = window, self.maps_path
        maps = read_image(path, 2, "maps", window=(slice(row, row + height), slice(column, column + width))).pixels
        origin = {name: getattr(self.order, name) for name in ("weights", "sha256", "precision", "metres")}
        origin |= {"thresholds": asdict(self.order.card), "scene": str(self.folder)}
        return replace(Probabilities.from_quantised(maps[..., 0], maps[..., 1]), origin=origin)

    def __repr__(self) -> str:
        size = f"{self.shape[0]} x {self.shape[1]} px in {self.pieces} piece{'s' * (self.pieces > 1)}"
        return f"SceneMap({str(self.folder)!r}, {size}: {self.predicted} predicted, {self.relabelled} labelled)"


def map_scene(
    path: PathLike, model: TernausNetV2 | PathLike = "mini", thresholds: Thresholds | None = None, out: PathLike = "scene",
    client: "Client | None" = None, mul_path: PathLike | None = None, precision: str = "auto", metres: Metres = "auto",
    bands: Bands = None,
) -> SceneMap:  # fmt: skip
    """Return the SceneMap of one raster of any size, written into the folder ``out``: maps, instances and polygons.

    path, mul_path, bands : as ``read_tile`` takes them; other machines must see the files at the same paths.
    model : what ``load_model`` takes or returns. thresholds : those of its model card, if left out.
    client : a ``dask.distributed.Client``, whose workers share the pieces; None does them here, one after another.
    precision, metres : as ``predict`` takes them.

    The raster is read, seen and labelled in pieces of some 2,000 pixels a side, so that memory does not grow with it.
    Buildings across the sides of pieces are whole, each in one piece alone. Started again, it goes on where it was; other
    thresholds make the buildings anew from the maps, without the network; other weights, and another file of this name,
    are refused. A bar shows progress and the time that remains.

    Raises FileNotFoundError for a missing file, ValueError for one that cannot be what it is passed as and for a folder that
    something else is in, OSError where ``out`` cannot be written, RuntimeError where another run is at work in it, or where
    workers died over a piece.
    """
    if client is not None:
        check_client(client, ahead=2)
    folder = expanded(out).absolute()
    order = scene_order(folder, path, model, thresholds, mul_path, precision, metres, bands)
    if not order.crs:
        warnings.warn(
            f"{order.raster} has no known place: positions are in {'its own units' if order.where else 'pixels'}, and "
            "areas in square metres are not known. Give the file one, with gdal_edit.py -a_srs and -a_ullr.",
            stacklevel=2,
        )
    pieces = list(cut(order.shape, round(SIDE * order.ratio)))
    with alone(folder):
        order = measured(order)
        keep_recipe(order)
        there = (folder / "maps.tif").is_file()
        new = [piece for piece in pieces if not there and not maps_path(folder, piece.name).is_file()]
        run(client, predict_piece, new, order, len(pieces), "maps")
        with room_in(folder):
            gather_maps(pieces, order)
        stale = [piece for piece in pieces if finished(order, piece.name) is None]
        run(client, label_piece, stale, order, len(pieces), "buildings")
        with room_in(folder):
            sweep(folder)
            sheets = [read_sheet(sheet_path(folder, piece.name)) for piece in pieces]
            write_buildings(sheets, folder, folder / "buildings.parquet", order.crs)
            draw_labels(order)
    return SceneMap(order, len(pieces), len(new), len(stale))


def scene_order(
    folder: Path, path: PathLike, model: TernausNetV2 | PathLike, thresholds: Thresholds | None, mul_path: PathLike | None,
    precision: str, metres: Metres, bands: Bands,
) -> SceneOrder:  # fmt: skip
    """Return the SceneOrder of a run, its limits not yet measured; raises as ``map_scene``."""
    card = as_model(model).thresholds

    def absolute(path: PathLike) -> str:
        there = source(path)
        return str(there.absolute() if isinstance(there, Path) else there)

    with Raster(path, 3, "RGB", bands) as raster:
        shape, where = raster.shape, raster.georeference
    order = ordered(folder, model, precision, thresholds or card, where.crs if where else "")
    at = source(path)
    status = at.stat() if isinstance(at, Path) else None
    fields = {each.name: getattr(order, each.name) for each in dataclasses.fields(Order) if each.name != "format"}
    return SceneOrder(
        **fields, raster=absolute(path), mul=absolute(mul_path) if mul_path else None, bands=tuple(bands) if bands else None,
        metres=metres, shape=shape, stamp=status and (status.st_size, status.st_mtime_ns), limits=([], []), where=where,
        card=card,
    )  # fmt: skip


def measured(order: SceneOrder) -> SceneOrder:
    """Return a SceneOrder with the raster's limits: those in the folder's recipe, or else one pass over the file."""
    with suppress(OSError, ValueError, KeyError):
        old = json.loads((order.folder / "recipe.json").read_text(encoding="utf-8"))
        if (old["raster"], old["stamp"]) == (order.raster, order.stamp and list(order.stamp)):
            return replace(order, limits=tuple(old["limits"]))
    with Raster(order.raster, 3, "RGB", order.bands) as raster:
        low, high = raster.limits()
    return replace(order, limits=(low.tolist(), high.tolist()))


def run(
    client: "Client | None", function: Callable[[Piece, SceneOrder], Outcome], pieces: Sequence[Piece], order: SceneOrder,
    total: int, told: str,
) -> None:  # fmt: skip
    """Have a function done with all pieces, behind a bar; raises RuntimeError where workers died over one."""
    with Progress(total=total, initial=total - len(pieces), desc=told, unit="piece", leave=False, disable=not pieces) as bar:
        for outcome in work(client, partial(one_by_one, function), pieces, order, 2):
            if outcome.error:
                raise RuntimeError(f"{outcome.name}: {outcome.error}. Run it again: what is done is kept.")
            bar.update()


def one_by_one(
    function: Callable[[Piece, SceneOrder], Outcome], pieces: Sequence[Piece], order: SceneOrder
) -> list[Outcome]:
    """Return what a function returns of each piece."""
    return [function(piece, order) for piece in pieces]
