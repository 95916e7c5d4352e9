"""Cities: many tiles become one map, on as many processes and machines as Dask has.

Any ``dask.distributed.Client`` will do. On one machine::

    client = Client(LocalCluster(n_workers=2, threads_per_worker=1))

With GPUs, one worker process each, which sees that GPU alone; two threads, so that one reads and labels while the other
asks the network. On every machine, once for each of its GPUs::

    CUDA_VISIBLE_DEVICES=0 dask worker tcp://SCHEDULER:8786 --nthreads 2 --no-dashboard

Tiles, weights and the map's folder must have the same paths on all machines.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from ..files import PathLike, write_text
from ..instances import PACKAGES, Probabilities, Thresholds, city_table
from ..network import FILES, checked_precision, sha256, weights_file
from ..tiles import Raster, TileFiles, check_name, find_tiles, source
from .buildings import write_buildings
from .seams import corners_of
from .sheets import Order, Outcome, finished, instances_path, map_tile, name_of, read_sheet, room_in, sheet_path, stored_maps

if TYPE_CHECKING:
    import geopandas
    import pandas
    from distributed import Client, Future

FORMAT = "tnv2 city 1"
REMEDY = "Pass another folder as out, or remove this one."


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
    model: PathLike,
    thresholds: Thresholds,
    client: "Client",
    out: PathLike = "city",
    precision: str = "auto",
    ahead: int = 2,
) -> CityMap:
    """Return the CityMap of many tiles, written into the folder ``out``.

    folder : with SpaceNet tiles, as ``find_tiles`` reads it; or a list of TileFiles, or of names of SpaceNet 2's training
        tiles, "AOI_2_Vegas_img2144", which each worker downloads.
    model : the name or path of weights, as ``load_model`` takes it; every worker loads them once, on its GPU if it has one.
    thresholds : Thresholds; ``load_model(model).thresholds`` are the recommended ones.
    client : a ``dask.distributed.Client``.
    precision : as ``predict`` takes it. "auto" differs between kinds of machines.
    ahead : tiles under way at any time for each thread of the workers. Neither these nor their maps pass through here.

    Started again, it goes on: a tile that is done is skipped, so a killed run loses what was under way. Other thresholds
    make the instances anew from the stored maps, and the network is not loaded. Other weights are refused. A worker that
    dies is survived. A tile that cannot be read, or whose worker died over it four times, is listed in ``failures`` and
    tried again in the next run; a full disk, or weights that a worker cannot load, end the run.

    Raises ValueError for tiles of one name, for what cannot be as the parameters say, and for a folder of other weights;
    OSError where ``out`` cannot be written; RuntimeError where another run is at work in it.
    """
    check_client(client, ahead)
    tiles = {name_of(tile): tile for tile in listed(folder)}
    order = ordered(Path(out).expanduser().absolute(), model, precision, thresholds, crs_of(tiles.values()))
    with alone(order.folder):
        keep_recipe(order)
        outcomes = {name: Outcome(name, finished(order, name)) for name in tiles}
        waiting = [tile for name, tile in tiles.items() if outcomes[name].sheet is None]
        told = f"map_city, dashboard {client.dashboard_link}"
        with tqdm(total=len(tiles), initial=len(tiles) - len(waiting), desc=told, leave=False) as bar:
            for outcome in work(client, waiting, order, ahead):
                outcomes[outcome.name] = outcome
                bar.update()
        return finish(order, outcomes, waiting)


def check_client(client: "Client", ahead: int) -> None:
    """Raise ValueError unless these are a Dask client that waits for its results and a number of tiles."""
    from distributed import Client

    if not isinstance(client, Client) or client.asynchronous:
        raise ValueError(f"client is {client!r}; pass a dask.distributed.Client, such as Client(LocalCluster()).")
    if not isinstance(ahead, int) or ahead < 1:
        raise ValueError(f"ahead is {ahead!r}; at least 1 tile a thread is under way. Leave it out for 2.")


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

    footprints = files.footprints and Path(files.footprints).expanduser().absolute()
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


def ordered(folder: Path, model: PathLike, precision: str, thresholds: Thresholds, crs: str) -> Order:
    """Return the Order of a run; raises ValueError for what it cannot be, FileNotFoundError without weights."""
    if not isinstance(model, (str, os.PathLike)):
        raise ValueError(f'model is {type(model).__name__}; pass its name or path, "mini": each worker loads its own.')
    if not isinstance(thresholds, Thresholds):
        raise ValueError(f"thresholds are {thresholds!r}; pass Thresholds. load_model(model).thresholds are recommended.")
    if precision != "auto":
        checked_precision(precision)
    path = weights_file(model)
    weights = str(model) if model in FILES else str(Path(path).absolute())
    return Order(folder, weights, sha256(path), precision, thresholds, crs)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a lock on the map's folder, which ends with this process; raises RuntimeError where another holds it."""
    lock = FileLock(folder / ".lock", timeout=0)
    with room_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise RuntimeError(f"another map_city is at work in {folder}. Wait for it, or pass another folder.") from None
    try:
        yield
    finally:
        lock.release()


def keep_recipe(order: Order) -> None:
    """Write ``recipe.json``; raises ValueError where the folder's maps were made otherwise than ordered."""
    path = order.folder / "recipe.json"
    record = {"format": FORMAT, **asdict(order), "versions": {name: metadata.version(name) for name in PACKAGES}}
    del record["folder"]
    if path.is_file():
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
            other = [key for key in ("format", "sha256", "precision", "crs") if old[key] != record[key]]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is no recipe of a map ({type(error).__name__}: {error}). {REMEDY}") from error
        if other:
            told = "; ".join(f"{key} {str(old[key])[:12]}, not {str(record[key])[:12]}" for key in other)
            raise ValueError(f"the maps in {order.folder} were made with {old.get('weights')!r}: {told}. {REMEDY}")
    elif (order.folder / "maps").exists():
        raise ValueError(f"{order.folder} has maps and no recipe.json, so nobody knows their weights. {REMEDY}")
    with room_in(order.folder):
        write_text(path, json.dumps(record, indent=2) + "\n")


def work(client: "Client", tiles: Iterable[TileFiles | str], order: Order, ahead: int) -> Iterator[Outcome]:
    """Yield the Outcome of each tile as it comes; at most ``ahead`` a thread of the workers there are now are under way."""
    from distributed import Future, as_completed

    waiting, done = iter(tiles), as_completed()
    running: dict[Future, str] = {}
    try:
        while True:
            most = ahead * max(1, sum(client.nthreads().values()))
            for tile in islice(waiting, max(0, most - len(running))):
                future = client.submit(map_tile, tile, order, pure=False)
                running[future] = name_of(tile)
                done.add(future)
            if not running:
                return
            future = next(done)
            yield outcome_of(future, running.pop(future))
    finally:
        client.cancel(list(running))


def outcome_of(future: "Future", name: str) -> Outcome:
    """Return what a finished future holds; a tile that its workers died over is one that failed."""
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker as error:
        return Outcome(name, error=f"workers died over it, of memory perhaps: {error}")


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


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written."""
    for pattern in (".*.*", "*/.*.*", "instances/*/.*.*"):
        for path in filter(Path.is_dir, list(folder.glob(pattern))):
            shutil.rmtree(path)
