"""Footprints: the buildings that people drew, as rings in pixels."""

import csv
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..files import PathLike, expanded
from .georeference import Georeference

Rings = list[np.ndarray]  # of a building, each (N, 2) column, row
ToPixels = Callable[[np.ndarray], np.ndarray]

FAR = 1e9  # pixels, degrees or metres: GDAL counts pixels in 32 bits, and the far side of the Earth is nearer
MEETINGS = 2**15  # of the walls of one footprint whose parts overlap; cutting them at each other takes a second or two
FLAT = ("Point", "MultiPoint", "LineString", "LinearRing", "MultiLineString")
TABLES = (".gpkg", ".fgb", ".shp", ".parquet", ".geoparquet")


def read_footprints(path: PathLike, georeference: Georeference | None = None, name: str = "") -> list[Rings]:
    """Return the buildings of a file of polygons, or of the challenge CSV's tile ``name``, each a list of rings in pixels.

    path : GeoJSON, GeoPackage, FlatGeobuf, shapefile, GeoParquet (.parquet, .geoparquet) or the challenge's .csv.

    A ring is an (N, 2) float array of column, row; a building's rings may be the outer and inner ones of several polygons,
    a pixel is inside where an odd number of rings is around it. As GDAL and QGIS show them, the parts of one footprint add
    up where they overlap, and within one part an odd number of rings decides: holes stay, also those in the loops of a ring
    that crosses itself.

    Positions are in the coordinate system that the file names, GeoJSON's in WGS 84 where it names none; they are taken to
    the tile's CRS and by ``georeference`` to pixels, or as pixels where it is None. What has no area, points, lines and
    empty geometry, is left out with one warning.

    Raises FileNotFoundError for a missing file and ValueError for one that cannot be read, or that has no polygon but
    lines or points.
    """
    path = expanded(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist. Pass a GeoJSON or the challenge CSV, or leave footprints_path out.")
    with unreadable(path):
        if path.suffix.lower() == ".csv":
            return csv_buildings(path, name)[name]
        geometries, source = table(path) if path.suffix.lower() in TABLES else geojson(path)
        to_pixels, left_out = pixel_transform(source, georeference), Counter[str]()
        buildings = [*filter(None, (building(geometry, to_pixels, left_out) for geometry in geometries))]
        check_left_out(path, left_out, buildings)
    return buildings


@contextmanager
def unreadable(path: PathLike) -> Iterator[None]:
    """Raise ValueError with the path and the remedy for what goes wrong inside."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read as footprints ({type(error).__name__}: {str(error)[:200]}). A GeoJSON FeatureCollection "
            "of Polygons and MultiPolygons is needed, or a GeoPackage, FlatGeobuf, shapefile or GeoParquet of them, or "
            "SpaceNet's CSV with ImageId and PolygonWKT_Pix."
        ) from error


def geojson(path: Path) -> tuple[Iterable[Any], Any]:
    """Return the geometries of a GeoJSON FeatureCollection and its coordinate system.

    GDAL would take a ``crs`` member that it does not know for WGS 84 and leave out features that are none, silently.
    """
    collection = json.loads(path.read_text(encoding="utf-8-sig"))
    named = (collection.get("crs") or {}).get("properties", {}).get("name", "EPSG:4326")
    return (feature["geometry"] for feature in collection["features"]), named


def table(path: Path) -> tuple[Iterable[Any], Any]:
    """Return the geometries of a GeoPackage, FlatGeobuf, shapefile or GeoParquet, as GeoJSON has them, and their CRS."""
    import geopandas

    if path.suffix.lower() in (".parquet", ".geoparquet"):
        found = geopandas.read_parquet(path).geometry
    else:
        layers = geopandas.list_layers(path).dropna()["name"].tolist()
        if len(layers) != 1:
            raise ValueError(f"it has {len(layers)} layers with geometry, {', '.join(layers)[:99]}; save one alone")
        found = geopandas.read_file(path, layer=layers[0], columns=[]).geometry
    return (geometry and geometry.__geo_interface__ for geometry in found), found.crs


def pixel_transform(source: Any, georeference: Georeference | None) -> ToPixels:
    """Return the function from positions in the coordinate system ``source`` to pixels."""
    if georeference is None:
        return np.asarray
    if not georeference.crs or source == georeference.crs == "EPSG:4326":
        return georeference.to_pixels
    if source is None:
        raise ValueError("it names no coordinate system, and the tile has one; save it with the one that it is in")
    from pyproj import CRS, Transformer

    systems = CRS.from_user_input(source), CRS.from_user_input(georeference.crs)
    transformer = Transformer.from_crs(*systems, always_xy=True)
    return lambda ring: georeference.to_pixels(np.stack(transformer.transform(*ring.T), axis=1))


def csv_buildings(path: Path, name: str | None = None) -> dict[str, list[Rings]]:
    """Return {ImageId: buildings} of the challenge's CSV, each a list of rings in pixels; of one ImageId if it is given."""
    rows = [row for row in csv_rows(path) if name in (None, row["ImageId"])]
    if name is not None and not rows:
        raise ValueError(f"it has no row with ImageId {name!r}")
    found: dict[str, list[Rings]] = {}
    left_out = Counter[str]()
    for row in rows:
        buildings, geometry = found.setdefault(row["ImageId"], []), from_text(row["PolygonWKT_Pix"])
        if not geometry.is_empty:  # a tile without buildings has one row with POLYGON EMPTY
            buildings += filter(None, [building(geometry.__geo_interface__, np.asarray, left_out)])
    check_left_out(path, left_out, any(found.values()))
    return found


def csv_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of the challenge's CSV as dicts."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="")
        if missing := {"ImageId", "PolygonWKT_Pix"} - set(reader.fieldnames or ()):
            raise ValueError(f"it has no column {' and no '.join(sorted(missing))}")
        limit = csv.field_size_limit(2**31 - 1)  # a ragged building has more characters than the usual 131,072
        try:
            return list(reader)
        finally:
            csv.field_size_limit(limit)


def from_text(text: str) -> Any:
    """Return the shapely geometry of well-known text."""
    from shapely import from_wkt
    from shapely.errors import ShapelyError

    known = re.match(r"\s*((MULTI)?(POLYGON|LINESTRING|POINT)|GEOMETRYCOLLECTION)\b", text, re.IGNORECASE)
    if not known or text.upper().count("COLLECTION") > 9:  # GEOS dies of collections that are nested deeply
        raise ValueError(f"{text[:60]!r} is no polygon")
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # as_ring looks at what came
            return from_wkt(text)
    except ShapelyError as error:
        raise ValueError(f"{text[:60]!r} is no polygon") from error


def building(geometry: Any, to_pixels: ToPixels, left_out: Counter[str]) -> Rings:
    """Return the rings in pixels of a GeoJSON geometry, none where it has no area; what has none is counted by kind."""
    parts = [[to_pixels(as_ring(ring)) for ring in polygon] for polygon in polygons(geometry, left_out)]
    if not all(np.isfinite(ring).all() for part in parts for ring in part):
        raise ValueError("positions cannot be brought into the tile's coordinate system")
    return united(parts)


def polygons(geometry: Any, left_out: Counter[str]) -> list[list[Any]]:
    """Return the polygons of a GeoJSON geometry, each a list of rings; what has no area is counted by kind."""
    kind = geometry["type"] if geometry else "null"
    if kind == "GeometryCollection" and geometry["geometries"]:
        return [polygon for part in geometry["geometries"] for polygon in polygons(part, left_out)]
    if kind not in ("null", "Polygon", "MultiPolygon", "GeometryCollection", *FLAT):
        raise ValueError(f"a feature is a {kind}; footprints are Polygons and MultiPolygons")
    if kind in ("Polygon", "MultiPolygon"):
        found = [geometry["coordinates"]] if kind == "Polygon" else geometry["coordinates"]
        found = [[ring for ring in polygon if len(ring) > 2] for polygon in found]
        if any(found):
            return [polygon for polygon in found if polygon]
    left_out[kind if kind in ("null", *FLAT) else f"empty {kind}"] += 1
    return []


def check_left_out(path: Path, left_out: Counter[str], kept: object) -> None:
    """Warn of what has no area, by kind and number; raise ValueError where there was nothing else than points or lines."""
    what = ", ".join(f"{count} {kind}" for kind, count in left_out.items())
    if not kept and any(kind in FLAT for kind in left_out):
        raise ValueError(f"it has no polygon; what it has is without area: {what}")
    if left_out:
        warnings.warn(f"{path}: left out is what has no area ({what}); buildings are Polygons.", stacklevel=4)


def united(parts: list[Rings]) -> Rings:
    """Return the rings of a footprint of several polygons, an odd number of them around what is in any polygon.

    Where polygons overlap, all walls are cut where they meet; of the faces between them those count that an odd number of
    one polygon's rings is around.
    """
    import shapely

    rings = [ring for part in parts for ring in part]
    if len(parts) < 2:
        return rings
    ends = np.concatenate([np.stack([ring, np.roll(ring, -1, axis=0)], axis=1) for ring in rings])
    walls = np.asarray(shapely.linestrings(ends))
    check_meetings(walls, MEETINGS + 4 * len(walls))
    whole = [shapely.Polygon(closed(part[0]), [closed(ring) for ring in part[1:]]) for part in parts]
    if shapely.MultiPolygon(whole).is_valid:  # as nearly always
        return rings
    check_meetings(walls, MEETINGS)
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(shapely.union_all(walls))))
    loops = shapely.STRtree([shapely.Polygon(closed(ring)) for ring in rings])
    face, ring = loops.query(shapely.point_on_surface(faces), predicate="intersects")
    part_of = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    (face, _), times = np.unique([face, part_of[ring]], axis=1, return_counts=True)  # a face is inside rings of a part
    shapes = shapely.get_parts(shapely.coverage_union_all(faces[np.unique(face[times % 2 > 0])]))
    return [shapely.get_coordinates(ring) for shape in shapes for ring in (shape.exterior, *shape.interiors)]


def check_meetings(walls: np.ndarray, most: int) -> None:
    """Raise ValueError where (N,) shapely lines may meet more often than ``most``: cutting them would take minutes."""
    from shapely import STRtree

    tree, meetings, step = STRtree(walls), 0, 1 + most // len(walls)
    for start in range(0, len(walls), step):
        meetings += tree.query(walls[start : start + step]).shape[1] - len(walls[start : start + step])
        if meetings > 2 * most:  # each counts twice
            raise ValueError(f"the walls of a footprint in several parts meet more than {most} times")


def closed(ring: np.ndarray) -> np.ndarray:
    """Return a ring with its first position at the end as well."""
    return np.concatenate([ring, ring[:1]])


def as_ring(positions: Sequence[Sequence[float]]) -> np.ndarray:
    """Return an (N, 2) float array of positions, a third coordinate dropped."""
    ring = np.array([position[:2] for position in positions], float)
    if ring.shape != (len(ring), 2) or not (np.abs(ring) <= FAR).all():
        raise ValueError(f"a ring has positions that are not pairs of finite numbers up to {FAR:.0e}")
    return ring
