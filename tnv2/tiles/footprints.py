"""Footprints: the buildings that people drew, as rings in pixels and as a label image."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..files import PathLike
from .georeference import Georeference

Rings = list[np.ndarray]  # of a building, each (N, 2) column, row

FAR = 1e12  # pixels, degrees or metres; the far side of the Earth is nearer
CROSSINGS = 2**22  # of one footprint's walls with rows of pixels, some 200 MB at work
COVERS = 16  # times that footprints may cover their tile; real ones hardly overlap


def read_footprints(path: PathLike, georeference: Georeference | None = None, name: str = "") -> list[Rings]:
    """Return the buildings of a GeoJSON or of the challenge CSV's tile ``name``, each a list of rings in pixels.

    A ring is an (N, 2) float array of column, row; a building's rings may be the outer and inner ones of several polygons,
    a pixel is inside where an odd number of rings is around it. GeoJSON positions are taken to the tile's CRS and by
    ``georeference`` to pixels, or as pixels where it is None.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist. Pass a GeoJSON or the challenge CSV, or leave footprints_path out.")
    with unreadable(path):
        return csv_buildings(path, name) if path.suffix.lower() == ".csv" else geojson_buildings(path, georeference)


@contextmanager
def unreadable(path: PathLike) -> Iterator[None]:
    """Raise ValueError with the path and the remedy for what goes wrong inside."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read as footprints ({type(error).__name__}: {str(error)[:200]}). A GeoJSON FeatureCollection "
            "of Polygons and MultiPolygons is needed, or SpaceNet's CSV with ImageId and PolygonWKT_Pix."
        ) from error


def geojson_buildings(path: Path, georeference: Georeference | None) -> list[Rings]:
    """Return the buildings of a GeoJSON FeatureCollection as lists of rings in pixels."""
    collection = json.loads(path.read_text(encoding="utf-8-sig"))
    to_pixels = pixel_transform(collection, georeference)
    buildings = []
    for feature in collection["features"]:
        geometry = feature["geometry"]
        rings = [to_pixels(as_ring(ring)) for polygon in polygons(geometry) for ring in polygon] if geometry else []
        if not all(np.isfinite(ring).all() for ring in rings):
            raise ValueError("positions cannot be brought into the tile's coordinate system")
        if rings:
            buildings.append(rings)
    return buildings


def polygons(geometry: dict[str, Any]) -> list[list[list[list[float]]]]:
    """Return the polygons of a GeoJSON geometry, each a list of rings."""
    kind = geometry["type"]
    if kind == "GeometryCollection":
        return [polygon for part in geometry["geometries"] for polygon in polygons(part)]
    if kind not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"a feature is a {kind}; footprints are Polygons and MultiPolygons")
    return [geometry["coordinates"]] if kind == "Polygon" else geometry["coordinates"]


def pixel_transform(collection: dict[str, Any], georeference: Georeference | None) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from a GeoJSON's positions to pixels; GeoJSON is WGS 84 unless a ``crs`` member says otherwise."""
    if georeference is None:
        return np.asarray
    if not georeference.crs or (georeference.crs == "EPSG:4326" and "crs" not in collection):
        return georeference.to_pixels
    from pyproj import CRS, Transformer

    source = CRS.from_user_input((collection.get("crs") or {}).get("properties", {}).get("name", "EPSG:4326"))
    transformer = Transformer.from_crs(source, CRS.from_user_input(georeference.crs), always_xy=True)
    return lambda ring: georeference.to_pixels(np.stack(transformer.transform(*ring.T), axis=1))


def csv_buildings(path: Path, name: str) -> list[Rings]:
    """Return the buildings of one ImageId in the challenge's CSV as lists of rings in pixels."""
    rows = [row for row in csv_rows(path) if row["ImageId"] == name]
    if not rows:
        raise ValueError(f"it has no row with ImageId {name!r}")
    buildings = [wkt_rings(row["PolygonWKT_Pix"]) for row in rows]
    return [rings for rings in buildings if rings]  # a tile without buildings has one row with POLYGON EMPTY


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


def wkt_rings(text: str) -> Rings:
    """Return the rings of a well-known text's polygon or multipolygon, each an (N, 2) array; none for POLYGON EMPTY.

    >>> wkt_rings("POLYGON ((0 0 9, 2 0 9, 2 1 9, 0 0 9))")
    [array([[0., 0.],
           [2., 0.],
           [2., 1.],
           [0., 0.]])]
    """
    from shapely import from_wkt, get_parts
    from shapely.errors import ShapelyError

    if not re.match(r"\s*(MULTI)?POLYGON\b", text, re.IGNORECASE):  # GEOS dies of collections that are nested deeply
        raise ValueError(f"{text[:60]!r} is no polygon")
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # as_ring looks at what came
            parts = get_parts(from_wkt(text))
    except ShapelyError as error:
        raise ValueError(f"{text[:60]!r} is no polygon") from error
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors) if not ring.is_empty]
    return [as_ring(ring.coords) for ring in rings]


def rasterise(buildings: Sequence[Rings], shape: tuple[int, int]) -> np.ndarray:
    """Return (H, W) int32 labels 1..N for N buildings given as lists of rings in pixels.

    A pixel belongs to a building if its centre does. Smaller buildings are drawn last, so that none hides under a larger.
    Buildings without a pixel, outside the tile or thinner than one, get no label.

    Raises ValueError for positions that are not finite or very far away, and for buildings that cover the tile many times
    over, which would take minutes.

    >>> rasterise([[np.array([[1, 0], [4, 0], [4, 2], [1, 2]])]], (3, 5))
    array([[0, 1, 1, 1, 0],
           [0, 1, 1, 1, 0],
           [0, 0, 0, 0, 0]], dtype=int32)
    """
    labels = np.zeros(shape, np.int32)
    areas = np.full(shape, labels.size)  # of the building on top
    room = COVERS * labels.size + CROSSINGS
    for label, rings in enumerate(buildings, 1):
        pixels, work = inside(rings, shape)
        room -= work
        if room < 0:
            raise ValueError(f"footprints cover the tile of {shape} px more than {COVERS} times; real ones hardly overlap")
        seen = pixels[areas.ravel()[pixels] >= len(pixels)]
        labels.ravel()[seen], areas.ravel()[seen] = label, len(pixels)
    drawn = np.bincount(labels.ravel(), minlength=len(buildings) + 1)[1:] > 0
    return np.append(0, np.cumsum(drawn)).astype(np.int32)[labels]


def inside(rings: Rings, shape: tuple[int, int]) -> tuple[np.ndarray, int]:
    """Return the flat indices of the pixels whose centres are inside an odd number of rings, and how many steps it took.

    Along a row of pixel centres, the inside lies between the first crossing with a ring and the second, the third and the
    fourth, and so on.
    """
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    if not (np.abs(starts) <= FAR).all():
        raise ValueError(f"a footprint has positions that are not finite, or more than {FAR:.0e} pixels away")
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    first, last = (np.clip(np.ceil(y - 0.5), 0, shape[0]).astype(int) for y in (low, high))  # rows of each edge
    work = int((last - first).sum())
    if work > CROSSINGS:
        raise ValueError(f"a footprint crosses rows of pixels {work} times; at most {CROSSINGS} can be")
    edges, rows = ranges(first, last)
    (x, y), (dx, dy) = starts[edges].T, (ends - starts)[edges].T
    columns = np.clip(np.ceil(x + (rows + 0.5 - y) * dx / dy - 0.5), 0, shape[1]).astype(int)
    order = np.lexsort((columns, rows))
    left, right = (rows * shape[1] + columns)[order].reshape(-1, 2).T
    pixels = ranges(left, right)[1]
    return pixels, work + len(pixels)


def ranges(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of several ranges one after another, and before them which range each is of.

    >>> ranges(np.array([3, 7]), np.array([5, 8]))
    (array([0, 0, 1]), array([3, 4, 7]))
    """
    lengths = last - first
    which = np.repeat(np.arange(len(lengths)), lengths)
    return which, np.arange(len(which)) + (first - np.cumsum(lengths) + lengths)[which]


def as_ring(positions: Sequence[Sequence[float]]) -> np.ndarray:
    """Return an (N, 2) float array of positions, a third coordinate dropped."""
    ring = np.array([position[:2] for position in positions], float)
    if ring.shape != (len(ring), 2) or not (np.abs(ring) <= FAR).all():
        raise ValueError(f"a ring has positions that are not pairs of finite numbers up to {FAR:.0e}")
    return ring
