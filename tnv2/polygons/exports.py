"""Exports: instances as the files that other programs read. Each is written whole or not at all."""

import json
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..files import PathLike, checked_path, replacing, write_text
from ..instances import Probabilities
from ..tiles import Tile, checked_tile, write_geotiff
from .vectors import checked_labels, checked_numbers, checked_probabilities, means, numbered, on_earth, placeless

if TYPE_CHECKING:
    import geopandas

DECIMALS = 7  # of a degree, about 1 cm on the ground: a thirtieth of a pixel


def write_geojson(frame: "geopandas.GeoDataFrame", path: PathLike) -> None:
    """Write a GeoDataFrame as GeoJSON (RFC 7946): WGS 84 longitude and latitude, 7 decimals, exteriors counterclockwise.

    A frame in another CRS is reprojected, and what lies across the antimeridian is cut there. One whose CRS is not known, or
    has no place on the Earth, keeps its positions, pixels mostly, and a UserWarning says so. Missing values become null,
    ``neighbours`` an array. Raises ValueError for anything but a GeoDataFrame and a path that ends in .geojson or .json.
    """
    import shapely

    path = checked_path(path, ".geojson", ".json")
    checked_frame(frame)
    if not on_earth(frame.crs):
        lacks = "CRS" if frame.crs is None else "place on the Earth by its CRS"
        warnings.warn(
            f"the frame has no {lacks}: {path} gets its positions as they are, and maps misplace them.", stacklevel=2
        )
        frame = frame.set_crs(None, allow_override=True)
    else:
        frame = frame.to_crs("EPSG:4326")
        frame = frame.set_geometry(cut_at_antimeridian(np.asarray(frame.geometry.values)), crs=frame.crs)
    geometry = shapely.set_precision(frame.geometry.values, 10.0**-DECIMALS)  # valid after rounding
    geometry = shapely.transform(shapely.orient_polygons(geometry), lambda points: points.round(DECIMALS))
    text = frame.set_geometry(geometry, crs=frame.crs).to_json(na="null", drop_id=True)
    write_text(path, text + "\n")


def cut_at_antimeridian(shapes: np.ndarray) -> np.ndarray:
    """Return (N,) shapely polygons in degrees, those across 180 degrees in parts on either side of it, as RFC 7946 wants it.

    A polygon that seems to reach around more than half of the Earth goes the other way.
    """
    import shapely

    west, _, east, _ = shapely.bounds(shapes).T
    found = shapes.copy()
    for k in np.flatnonzero((east - west > 180) | (east > 180) | (west < -180)):
        unrolled = shapely.transform(shapes[k], lambda points: np.stack([points[:, 0] % 360, points[:, 1]], axis=1))
        until, beyond = (shapely.intersection(unrolled, shapely.box(x, -90, x + 180, 90)) for x in (0, 180))
        halves = [until, shapely.transform(beyond, lambda points: points - (360, 0))]
        parts = shapely.get_parts(np.array(halves, object))
        parts = parts[shapely.area(parts) > 0]  # without what only touches 180 degrees
        found[k] = parts[0] if len(parts) == 1 else shapely.multipolygons(parts)
    return found


def write_geopackage(frame: "geopandas.GeoDataFrame", path: PathLike) -> None:
    """Write a GeoDataFrame as a GeoPackage with one layer of MultiPolygons, named as the file; an old file is replaced.

    ``neighbours`` become text, "2 5". Raises ValueError for anything but a GeoDataFrame and a path that ends in .gpkg.
    """
    path = checked_path(path, ".gpkg")
    frame = plain(checked_frame(frame))
    options = {"driver": "GPKG", "engine": "pyogrio", "promote_to_multi": True, "geometry_type": "MultiPolygon"}
    with replacing(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")  # the file says so itself
        frame.to_file(part, layer=path.stem, **options)


def write_geoparquet(frame: "geopandas.GeoDataFrame", path: PathLike) -> None:
    """Write a GeoDataFrame as GeoParquet. ``neighbours`` become text, "2 5".

    Raises ValueError for anything but a GeoDataFrame and a path that ends in .parquet or .geoparquet.
    """
    path = checked_path(path, ".parquet", ".geoparquet")
    frame = plain(checked_frame(frame))
    with replacing(path) as part:
        frame.to_parquet(part, index=False)


def write_label_geotiff(labels: np.ndarray, tile: Tile, path: PathLike) -> None:
    """Write (H, W) labels as a cloud-optimised GeoTIFF of the smallest unsigned type that holds them, where ``tile`` lies.

    A tile without a georeference gives a plain TIFF, and a UserWarning says so. Raises ValueError for labels that are not
    whole or not of the tile's shape, for a CRS that GDAL does not know, and for a path that does not end in .tif or .tiff.
    """
    path, labels = checked_path(path, ".tif", ".tiff"), checked_labels(labels, checked_tile(tile).shape)
    if tile.georeference is None or not tile.georeference.crs:
        warnings.warn(placeless(tile), stacklevel=2)
    write_geotiff(path, labels.astype(np.min_scalar_type(labels.max())), tile.georeference, "nearest")


def write_coco(
    labels: np.ndarray,
    tile: Tile,
    path: PathLike,
    probabilities: Probabilities | None = None,
    by_hand: Collection[int] | None = None,
) -> None:
    """Write (H, W) labels as COCO instances (JSON) of one image: run lengths, box, area in pixels, category "building".

    An annotation's ``id`` is its label, its ``segmentation`` an uncompressed run-length code of the whole image, so that
    holes and parts survive; ``iscrowd`` is 0. With ``probabilities`` it has a ``score``, the mean building probability;
    with ``by_hand``, the labels that a hand made, ``by_hand``, true or false.
    Raises ValueError for labels that are not whole or not of the tile's shape and a path that does not end in .json.
    """
    path, labels = checked_path(path, ".json"), checked_labels(labels, checked_tile(tile).shape)
    checked_probabilities(probabilities, labels.shape)
    height, width = labels.shape
    name = Path(tile.files.rgb).name if tile.files else f"{tile.name}.tif"
    record = {
        "info": {"description": f"buildings of {tile.name}"},
        "licenses": [],
        "images": [{"id": 1, "file_name": name, "width": width, "height": height}],
        "categories": [{"id": 1, "name": "building", "supercategory": ""}],
        "annotations": annotations(labels, probabilities, by_hand),
    }
    write_text(path, json.dumps(record) + "\n")


def annotations(
    labels: np.ndarray, probabilities: Probabilities | None, by_hand: Collection[int] | None
) -> list[dict[str, Any]]:
    """Return a COCO annotation for each instance of (H, W) labels, with ``score`` and ``by_hand`` where these are known."""
    from skimage.measure import regionprops

    numbers, index = numbered(labels)
    hand = None if by_hand is None else set(checked_numbers(by_hand, numbers).tolist())
    found = []
    for label, shape, score in zip(numbers.tolist(), regionprops(index), means(index, probabilities), strict=True):
        top, left, bottom, right = shape.bbox
        annotation = {
            "id": label,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "area": int(shape.area),
            "bbox": [left, top, right - left, bottom - top],
            "segmentation": {"size": list(labels.shape), "counts": run_lengths(labels == label)},
        }
        if probabilities is not None:
            annotation["score"] = round(float(score), 6)
        if hand is not None:
            annotation["by_hand"] = label in hand
        found.append(annotation)
    return found


def run_lengths(mask: np.ndarray) -> list[int]:
    """Return the lengths of the runs of False, True, False ... down the columns of an (H, W) bool mask.

    >>> run_lengths(np.array([[False, True], [True, True], [False, False]]))
    [1, 1, 1, 2, 1]
    """
    pixels = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(pixels, prepend=False))
    return np.diff(changes, prepend=0, append=pixels.size).tolist()


def checked_frame(frame: "geopandas.GeoDataFrame") -> "geopandas.GeoDataFrame":
    """Return ``frame``; raises ValueError unless it is a GeoDataFrame."""
    import geopandas

    if not isinstance(frame, geopandas.GeoDataFrame):
        raise ValueError(f"frame is {type(frame).__name__}; pass a GeoDataFrame, to_geodataframe(labels, tile).")
    return frame


def plain(frame: "geopandas.GeoDataFrame") -> "geopandas.GeoDataFrame":
    """Return a GeoDataFrame whose ``neighbours`` are text, for files without lists."""
    import pandas

    if "neighbours" not in frame:
        return frame
    text = [" ".join(map(str, row)) for row in frame["neighbours"]]
    return frame.assign(neighbours=pandas.array(text, dtype="string"))  # text where there are no rows, too
