"""Buildings: all of a city's in one GeoParquet file, those that a border between tiles cuts as one polygon each."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..files import replacing
from ..polygons import areas
from .seams import Part, Seams, cut_pairs, find_seams, hang_together, union
from .sheets import Sheet, instances_path, sheet_path

if TYPE_CHECKING:
    import pandas
    import pyarrow

ROWS = 10_000  # of a Parquet row group, about
TABLES = 100  # that wait to be written; one takes kilobytes beside its rows, so as many are made one
NOTE = b"tnv2"  # the key of the file's metadata that says which sheets it was made of


def write_buildings(sheets: Sequence[Sheet], folder: Path, path: Path, crs: str) -> None:
    """Write every building of Sheets once as a GeoParquet file; nothing is done where it is there and no sheet is newer.

    sheets : in the order of their tiles. folder : of the map. crs : theirs.

    Columns: ``tiles``, names joined by spaces, and ``labels``, one a tile, "12" or "12 3"; ``pixels``, their sum;
    ``area_m2``; ``building``, the mean probability over all pixels; ``geometry``. A building stands among those of its
    first tile. ``seams`` says which instances are one building. One tile's buildings are read at a time, and of the
    tiles around it only what touches a tile's edge.
    """
    import pyarrow
    import pyarrow.parquet

    stamp = stamp_of(sheets, folder)
    if path.is_file() and (pyarrow.parquet.read_schema(path).metadata or {}).get(NOTE) == stamp:
        return
    kinds = {"tiles": "string", "labels": "string", "pixels": "int64", "area_m2": "double", "building": "double"}
    schema = pyarrow.schema({**kinds, "geometry": "binary"}, {NOTE: stamp, b"geo": geo(crs)})
    with replacing(path) as part, pyarrow.parquet.ParquetWriter(part, schema, compression="zstd") as writer:
        waiting = []
        for table in tables(sheets, folder, crs, schema):
            waiting.append(table)
            if len(waiting) == TABLES:
                waiting = [pyarrow.concat_tables(waiting).combine_chunks()]
            if sum(table.num_rows for table in waiting) >= ROWS:
                writer.write_table(pyarrow.concat_tables(waiting))
                waiting = []
        writer.write_table(pyarrow.concat_tables([schema.empty_table(), *waiting]))


def tables(sheets: Sequence[Sheet], folder: Path, crs: str, schema: "pyarrow.Schema") -> Iterator["pyarrow.Table"]:
    """Yield an Arrow table a sheet: its buildings that no seam cuts, and those that begin in it, whole."""
    import pyarrow

    @lru_cache(maxsize=256)
    def cut(place: int) -> "pandas.DataFrame":
        return edge_frame(folder, sheets[place].name)

    seams = {(seam.first, seam.second): seam for seam in find_seams(sheets)}
    pairs = (
        ((first, a), (second, b))
        for (first, second), seam in seams.items()
        for a, b in cut_pairs(cut(first), cut(second), sheets[first].georeference, seam)
    )
    groups: dict[int, list[list[Part]]] = {}
    for group in hang_together(pairs):
        groups.setdefault(group[0][0], []).append(group)
    joined: dict[int, list[int]] = {}
    for place, label in (part for begun in groups.values() for group in begun for part in group):
        joined.setdefault(place, []).append(label)
    for place, sheet in enumerate(sheets):
        rows = [whole(group, sheets, seams, cut, crs) for group in groups.get(place, [])]
        alone = uncut(folder, sheet.name, joined.get(place, []), schema)
        yield pyarrow.concat_tables([alone, pyarrow.Table.from_pylist(rows, schema)])


def edge_frame(folder: Path, name: str) -> "pandas.DataFrame":
    """Return a DataFrame, indexed by label, of the instances that touch a tile's edge: ``pixels, building, geometry``."""
    import pyarrow.parquet
    import shapely

    columns, edge = ["label", "pixels", "building", "geometry"], [("edge", "==", True)]
    table = pyarrow.parquet.read_table(instances_path(folder, name), columns=columns, filters=edge, partitioning=None)
    frame = table.to_pandas().set_index("label")
    return frame.assign(geometry=shapely.from_wkb(frame["geometry"].to_numpy()))  # geopandas would parse each file's CRS


def uncut(folder: Path, name: str, joined: list[int], schema: "pyarrow.Schema") -> "pyarrow.Table":
    """Return the buildings of a tile as an Arrow table, without those whose label is in ``joined``."""
    import pyarrow
    import pyarrow.compute
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(instances_path(folder, name), partitioning=None)
    part = pyarrow.compute.is_in(table["label"], pyarrow.array(joined, table["label"].type))
    table = table.filter(pyarrow.compute.invert(part))
    known = {column: table[column] for column in schema.names if column in table.column_names}
    names = pyarrow.array([name] * table.num_rows, "string")
    return pyarrow.table({"tiles": names, "labels": table["label"].cast("string"), **known}, schema=schema)


def whole(
    group: list[Part], sheets: Sequence[Sheet], seams: Seams, cut: Callable[[int], "pandas.DataFrame"], crs: str
) -> dict[str, object]:
    """Return the row of a building from its parts, (place in ``sheets``, label) each."""
    import geopandas

    parts: list[Any] = [cut(place).loc[label] for place, label in group]
    pixels = np.array([part["pixels"] for part in parts])
    geometry = union({key: part["geometry"] for key, part in zip(group, parts, strict=True)}, sheets, seams)
    return {
        "tiles": " ".join(sheets[place].name for place, _ in group),
        "labels": " ".join(str(label) for _, label in group),
        "pixels": int(pixels.sum()),
        "area_m2": float(areas(geopandas.GeoSeries([geometry], crs=crs or None))[0]),
        "building": float(np.average([part["building"] for part in parts], weights=pixels)),
        "geometry": geometry.wkb,
    }


def geo(crs: str) -> bytes:
    """Return the metadata that make a Parquet file GeoParquet 1.1."""
    from pyproj import CRS

    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon", "MultiPolygon"],
        "crs": CRS(crs).to_json_dict() if crs else None,
    }
    return json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}).encode()


def stamp_of(sheets: Sequence[Sheet], folder: Path) -> bytes:
    """Return a checksum of which sheets there are and when each was written."""
    times = [(sheet.name, sheet_path(folder, sheet.name).stat().st_mtime_ns) for sheet in sheets]
    return hashlib.sha256(json.dumps(times).encode()).hexdigest().encode()
