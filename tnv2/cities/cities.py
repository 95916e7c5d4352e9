"""Cities: many tiles become one map, on as many processes and machines as Dask has.

Any ``dask.distributed.Client`` will do. On one machine::

    client = Client(LocalCluster(n_workers=2, threads_per_worker=1))

With GPUs, one worker process each, which sees that GPU alone, several tiles at a time; two threads, so that one reads and
labels while the other asks the network. On every machine, once for each of its GPUs::

    CUDA_VISIBLE_DEVICES=0 dask worker tcp://SCHEDULER:8786 --nthreads 2 --no-dashboard

Tiles, weights and the map's folder must have the same paths on all machines.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import PathLike, expanded, write_text
from ..instances import Probabilities, Thresholds, city_table
from ..network import TernausNetV2
from ..progress import Progress
from ..tiles import Raster, TileFiles, check_name, find_tiles, source
from .buildings import write_buildings
from .runs import alone, check_client, keep_recipe, ordered, sweep, work
from .seams import corners_of
from .sheets import (
    Order,
    Outcome,
    finished,
    instances_path,
    map_tiles,
    name_of,
    read_sheet,
    room_in,
    sheet_path,
    stored_maps,
)

if TYPE_CHECKING:
    import geopandas
    import pandas
    from distributed import Client


@dataclass(frozen=True, eq=False, repr=False)
class CityMap:
    """A city's map: where it is, how good it is, and which tiles are not on it.

    folder : holds maps/, instances/, buildings.parquet, scores.csv, failures.csv and recipe.json.
    tiles : names of those that are done, in order. predicted, relabelled : how many of them this run asked the network
        about, and how many it made anew from stored maps; the others were done before.
    scores : ``city_table`` of the tiles with footprints, as ``evaluate`` counts; a building that a seam cuts counts in each
        tile, as there in the footprints. Empty without any.
    failures : DataFrame with a row a tile that could not be mapped: ``tile``, ``error``.
    """

    folder: Path
    tiles: tuple[str, ...]
    predicted: int
    relabelled: int
    scores: "pandas.DataFrame"
    failures: "pandas.DataFrame"

    @property
    def path(self) -> Path:
        """Where all buildings are, in one GeoParquet file."""
        return self.folder / "buildings.parquet"

    def buildings(self) -> "geopandas.GeoDataFrame":
        """Return the GeoDataFrame of all buildings, those that a seam cuts as one polygon; it is read now."""
        import geopandas

        return geopandas.read_parquet(self.path)

    def instances(self, name: str) -> "geopandas.GeoDataFrame":
        """Return the GeoDataFrame of one tile's instances, as it was labelled on its own."""
        import geopandas

        return geopandas.read_parquet(instances_path(self.folder, self.checked(name)))

    def sheets(self) -> "geopandas.GeoDataFrame":
        """Return a GeoDataFrame with a row a tile: its name, ``tile``, how many ``buildings``, and its outline."""
        import geopandas
        from shapely import Polygon

        sheets = [read_sheet(sheet_path(self.folder, name)) for name in self.tiles]
        columns = {"tile": self.tiles, "buildings": [sheet.buildings for sheet in sheets]}
        outlines = [Polygon(sheet.georeference.to_world(corners_of(sheet.shape))) for sheet in sheets]
        return geopandas.GeoDataFrame(columns, geometry=outlines, crs=sheets[0].georeference.crs if sheets else None)

    def probabilities(self, name: str) -> Probabilities:
        """Return the Probabilities of one tile, in 8 bits, for ``label_instances`` or a ThresholdTuner."""
        maps = stored_maps(self.folder, self.checked(name))
        if maps is None:
            raise FileNotFoundError(f"the maps of {name} are not in {self.folder} any more. Run map_city again.")
        return maps

    def checked(self, name: str) -> str:
        """Return the name of a tile on the map; raises ValueError for another."""
        if name not in self.tiles:
            raise ValueError(f"{name!r} is none of the map's {len(self.tiles)} tiles. Pass one of city.tiles.")
        return name

    def __repr__(self) -> str:
        kept = len(self.tiles) - self.predicted - self.relabelled
        done = f"{self.predicted} predicted, {self.relabelled} relabelled, {kept} as they were"
        return f"CityMap({str(self.folder)!r}, {len(self.tiles)} tiles: {done}; {len(self.failures)} failed)"


def map_city(
    folder: PathLike | Iterable[TileFiles | str],
    model: TernausNetV2 | PathLike,
    thresholds: Thresholds | None,
    client: "Client",
    out: PathLike = "city",
    precision: str = "auto",
    ahead: int = 2,
) -> CityMap:
    """Return the CityMap of many tiles, written into the folder ``out``.

    folder : with SpaceNet tiles, as ``find_tiles`` reads it; or a list of TileFiles, or of names of SpaceNet 2's training
        tiles, "AOI_2_Vegas_img2144", which each worker downloads.
    model : what ``load_model`` takes or returns; every worker loads the weights once, on its GPU if it has one.
    thresholds : Thresholds; None for those of the network's model card.
    client : a ``dask.distributed.Client``.
    precision : as ``predict`` takes it. "auto" differs between kinds of machines.
    ahead : tiles, on GPUs batches of them, under way at any time for each thread of the workers. Neither these nor their
        maps pass through here.

    Started again, it goes on: a tile that is done is skipped, so a killed run loses what was under way. Other thresholds
    make the instances anew from the stored maps, and the network is not loaded. Other weights are refused. A worker that
    dies is survived. A tile that cannot be read, or whose worker died over it four times, is listed in ``failures`` and
    tried again in the next run; a full disk, or weights that a worker cannot load, end the run.

    Raises ValueError for tiles of one name, for what cannot be as the parameters say, and for a folder of other weights;
    OSError where ``out`` cannot be written; RuntimeError where another run is at work in it.
    """
    check_client(client, ahead)
    tiles = {name_of(tile): tile for tile in listed(folder)}
    order = ordered(expanded(out).absolute(), model, precision, thresholds, crs_of(tiles.values()))
    with alone(order.folder):
        keep_recipe(order)
        outcomes = {name: Outcome(name, finished(order, name)) for name in tiles}
        waiting = [tile for name, tile in tiles.items() if outcomes[name].sheet is None]
        told = f"map_city, dashboard {client.dashboard_link}"
        with Progress(total=len(tiles), initial=len(tiles) - len(waiting), desc=told, leave=False) as bar:
            for outcome in work(client, map_tiles, waiting, order, ahead):
                outcomes[outcome.name] = outcome
                bar.update()
        return finish(order, outcomes, waiting)


def listed(folder: PathLike | Iterable[TileFiles | str]) -> list[TileFiles | str]:
    """Return the tiles to map: TileFiles of absolute paths, and names of SpaceNet's tiles. Raises ValueError as map_city."""
    tiles = find_tiles(folder) if isinstance(folder, (str, os.PathLike)) else list(folder)
    for tile in tiles:
        if isinstance(tile, str):
            aoi, _, number = tile.rpartition("_img")
            check_name(aoi, int(number) if number.isdecimal() else number)
        elif not isinstance(tile, TileFiles):
            raise ValueError(
                f"a tile is {type(tile).__name__}; pass TileFiles or names. find_tiles(folder) makes TileFiles."
            )
    twice = [name for name, count in Counter(map(name_of, tiles)).items() if count > 1]
    if twice or not tiles:
        came = f"several tiles are named {', '.join(twice[:6])}" if twice else "there are no tiles"
        raise ValueError(
            f"{came}; a map needs tiles, each of its own name. Pass one of their folders, or a list of TileFiles."
        )
    return [tile if isinstance(tile, str) else absolute(tile) for tile in tiles]


def absolute(files: TileFiles) -> TileFiles:
    """Return TileFiles with absolute paths, for workers that stand in other folders."""

    def whole(path: Path | str) -> Path | str:
        there = source(path)
        return there.absolute() if isinstance(there, Path) else there

    footprints = files.footprints and expanded(files.footprints).absolute()
    return replace(files, rgb=whole(files.rgb), mul=files.mul and whole(files.mul), footprints=footprints)


def crs_of(tiles: Iterable[TileFiles | str]) -> str:
    """Return the CRS of the first tile that has one; raises ValueError where none has."""
    for tile in tiles:
        if isinstance(tile, str):
            return "EPSG:4326"  # as all of SpaceNet 2's
        with suppress(OSError, ValueError), Raster(tile.rgb, 3, "RGB") as raster:  # the run says what is wrong with a tile
            if raster.georeference and raster.georeference.crs:
                return raster.georeference.crs
    raise ValueError("no tile can be read and has a georeference with a CRS; a map needs places. Pass GeoTIFF tiles.")


def finish(order: Order, outcomes: dict[str, Outcome], worked: Sequence[TileFiles | str]) -> CityMap:
    """Return the CityMap of {name: Outcome}, what all tiles have in common written; ``worked`` are the tiles of this run."""
    import pandas

    sheets = [outcome.sheet for outcome in outcomes.values() if outcome.sheet]
    failed = [(outcome.name, outcome.error) for outcome in outcomes.values() if not outcome.sheet]
    scored = {sheet.name: sheet.score for sheet in sheets if sheet.score}
    scores = city_table(scored, scored.values()) if scored else pandas.DataFrame()
    failures = pandas.DataFrame(failed, columns=["tile", "error"])
    with room_in(order.folder):
        for name, _ in failed:  # what was found with other thresholds; the maps stay
            sheet_path(order.folder, name).unlink(missing_ok=True)
            instances_path(order.folder, name).unlink(missing_ok=True)
        sweep(order.folder)
        write_buildings(sheets, order.folder, order.folder / "buildings.parquet", order.crs)
        for table, index in ((scores, "scores"), (failures, "failures")):
            write_text(order.folder / f"{index}.csv", table.to_csv(lineterminator="\n"))
    predicted = sum(outcome.predicted for outcome in outcomes.values())
    relabelled = len(worked) - len(failed) - predicted
    return CityMap(order.folder, tuple(sheet.name for sheet in sheets), predicted, relabelled, scores, failures)
