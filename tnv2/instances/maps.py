"""Maps: any network's probability maps as Probabilities, from arrays and from files."""

import hashlib
import os
import re
import sys
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeGuard

import numpy as np

from ..files import PathLike
from ..tiles import LARGEST, Georeference, Raster, place_in, source
from .labels import Probabilities


class SupportsArray(Protocol):
    """A NumPy array, an xarray DataArray, a torch tensor on the CPU."""

    def __array__(self) -> np.ndarray: ...


Maps = Probabilities | SupportsArray | PathLike
Bands = Sequence[int | str] | None
Scale = tuple[float, float] | None  # and offset

BORDER = re.compile(r"border|boundar|contact|edge|contour", re.IGNORECASE)
BUILDING = re.compile(r"building|probab|foreground|interior", re.IGNORECASE)
PLACES = ("y", "x", "lat", "lon", "latitude", "longitude")
PRODUCT = "probability map"
FULL = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}


class Found(NamedTuple):
    """What was read: one (H, W) map or two, the scale of each, where there is data, (H, W) bool, and the place."""

    maps: Sequence[np.ndarray]
    scales: Sequence[Scale] = (None, None)
    valid: np.ndarray | None = None
    place: Georeference | None = None


def read_probabilities(
    maps: Maps, border: Maps | None = None, bands: Bands = None, scale: float | None = None
) -> Probabilities:  # fmt: skip
    """Return the Probabilities of any network's maps, for ``ThresholdTuner``, ``label_instances`` and ``sweep``.

    maps : (H, W), (2, H, W) or (H, W, 2), building and then border, as a NumPy array, a torch tensor on the CPU or an xarray
        DataArray; or the path of a ``.npy`` or ``.npz`` file, or of a GeoTIFF or PNG, here or on a server. Probabilities
        come back as they are. Where bands have names, "border", "boundary", "contact", "edge" or "contour" in one tells the
        border map, "building", "probability", "foreground" or "interior" the other.
    border : the border map, where it is apart, in the same forms. Left out, and not in ``maps``, there is none.
    bands : which of ``maps`` are the building's and the border's, or the building's alone: names, or numbers from 1.
    scale : what numbers are multiplied by, 1e-4 for whole ones up to 10,000. Left out, it is the file's own scale and
        offset; else 8 bits are divided by 255 and 16 by 65,535, and real numbers and bool are probabilities already.

    Where there is no data (a file's no-data, mask or alpha, NaN in a DataArray) both are 0, and a UserWarning says so.
    ``origin`` notes the path and how it was read, its sha256, and its place.

    Raises FileNotFoundError for a missing file, and ValueError for one that is damaged, holds objects or several maps of
    which none is chosen, for other numbers than these, and for what is not within 0..1, as logits are not.
    """
    if isinstance(maps, Probabilities):
        if border is not None or bands is not None or scale is not None:
            raise ValueError("maps are Probabilities, which have their border and their scale. Leave the rest out.")
        return maps
    found = found_in(maps, bands)
    read = [probability(found, i, scale, told(maps)) for i in range(len(found.maps))]
    if border is not None:
        beside = found_in(border, None)
        if len(read) + len(beside.maps) > 2:
            raise ValueError(
                f"{told(maps)} has {len(read)} maps and border {len(beside.maps)}; pass one each, bands=(1,) say."
            )
        read.append(probability(beside, 0, scale, told(border)))
    how: dict[str, Any] = {}  # where the maps cannot be had again
    if is_path(maps) and (border is None or is_path(border)):
        beside_path = None if border is None else told(border)
        how = {"maps": told(maps), "border": beside_path, "bands": bands and list(bands), "scale": scale}
    origin = {"maps": how, "sha256": digest(maps), "place": found.place}
    try:
        answer = Probabilities(read[0], read[1] if len(read) > 1 else None, origin)
    except ValueError as error:
        raise ValueError(f"{told(maps)}: {error}") from error
    if answer.border is not None and border is None and np.allclose(answer.building + answer.border, 1, atol=0.01):
        raise ValueError(
            f"the two maps of {told(maps)} add up to 1 everywhere, as a softmax's background and foreground do; a border "
            "map does not. Pass the foreground alone, bands=(2,) say."
        )
    return answer


def is_path(maps: Maps) -> TypeGuard[PathLike]:
    """Return whether these are a path."""
    return isinstance(maps, str | os.PathLike)


def told(maps: Maps) -> str:
    """Return a path as text, or what else came."""
    return str(source(maps)) if is_path(maps) else f"the {type(maps).__name__}"


def digest(maps: Maps) -> str:
    """Return the sha256 of a local file, "" of anything else."""
    path = source(maps) if is_path(maps) else None
    if not isinstance(path, Path):
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def probability(found: Found, number: int, scale: float | None, what: str) -> np.ndarray:
    """Return one of the maps as (H, W) float32, scaled, 0 where there is no data."""
    counts, own = found.maps[number], found.scales[number] if scale is None else (scale, 0)
    if own is not None:
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is no probability
            scaled = counts * np.float64(own[0]) + own[1]
            values = np.where((scaled > 1) & (scaled < 1.0001), 1, scaled).astype(np.float32)  # 255 times 0.003922
    elif counts.dtype in FULL:
        values = counts.astype(np.float32) / np.float32(FULL[counts.dtype])
        if counts.max() == 1:
            warnings.warn(
                f"{what} has no number above 1 of {FULL[counts.dtype]}, so it is next to 0 everywhere. If it is a mask of 0 "
                "and 1, pass it as bool: maps > 0.",
                stacklevel=3,
            )
    elif counts.dtype.kind in "fb":
        with np.errstate(over="ignore", invalid="ignore"):
            values = counts.astype(np.float32)
    else:
        raise ValueError(f"{what} is {counts.dtype}; maps are real numbers from 0 to 1, bool, uint8 or uint16. Pass scale.")
    if found.valid is not None and not found.valid.all():
        values = np.where(found.valid, values, np.float32(0))
        if number == 0:
            share = 1 - found.valid.mean()
            warnings.warn(f"{what} has no data on {share:.1%} of its pixels; nothing is found there.", stacklevel=3)
    return values


def found_in(maps: Maps, bands: Bands) -> Found:
    """Return what is meant of an array or a file."""
    if is_path(maps):
        path = source(maps)
        local = isinstance(path, Path) and path.suffix.lower() in (".npy", ".npz")
        return in_numpy(path, bands) if isinstance(path, Path) and local else in_raster(maps, bands)
    xarray = sys.modules.get("xarray")
    if xarray and isinstance(maps, xarray.DataArray):
        return in_xarray(maps, bands)
    if not hasattr(maps, "__array__"):
        raise ValueError(
            f"probabilities are {type(maps).__name__}; pass Probabilities, as predict(model, tile) returns them, or any "
            "network's maps: an array of (H, W) or (2, H, W), or the path of a GeoTIFF, .npy or .npz file."
        )
    try:
        array = np.asarray(maps)
    except (RuntimeError, TypeError) as error:  # torch's, of a tensor that is on a GPU or wants its gradient
        raise ValueError(
            f"{told(maps)} is no array yet ({str(error)[:200]}). Pass tensor.detach().cpu().numpy()."
        ) from error
    planes = planes_of(array, told(maps))
    return Found([planes[i] for i in picks([""] * len(planes), bands, told(maps))])


def planes_of(array: np.ndarray, what: str) -> list[np.ndarray]:
    """Return the (H, W) maps of an array: itself, or those along the shorter one of its first and its last axis."""
    first, last = (array.shape[0], array.shape[-1]) if array.ndim == 3 else (0, 0)
    if array.ndim == 2 and array.size:
        return [array]
    if not array.size or first == last:
        raise ValueError(f"{what} is {array.shape}; it must be (H, W), (2, H, W) or (H, W, 2). Pass one picture's maps.")
    return list(np.moveaxis(array, 0 if first < last else 2, 0))


def picks(names: Sequence[str], bands: Bands, what: str) -> list[int]:
    """Return which maps are the building's and the border's, counted from 0, by their names or as asked for."""
    if bands is not None:
        at = [names.index(band) if band in names else band - 1 if isinstance(band, int) else -1 for band in bands]
        if len(at) in (1, 2) and all(0 <= i < len(names) for i in at):
            return at
    else:
        borders = [i for i, name in enumerate(names) if BORDER.search(name)]
        buildings = [i for i, name in enumerate(names) if i not in borders and BUILDING.search(name)]
        if len(buildings) == 1 and len(borders) < 2:
            return buildings + borders
        if (len(names) == 1 and not borders) or (len(names) == 2 and not any(names)):
            return list(range(len(names)))
    known = ", ".join(repr(name or number) for number, name in list(enumerate(names, 1))[:20])
    raise ValueError(
        f"{what} has {len(names)} maps, {known}, and bands is {bands!r}; which is the building's, and which the border's, "
        "is not clear. Pass one or two of these as bands, in this order."
    )


def in_raster(path: PathLike, bands: Bands) -> Found:
    """Return the bands that are meant of an image file, or its pages."""
    with Raster(path, 1, PRODUCT, (1,)) as file:
        names, pages = file.names, len(file.names) < file.count
    at = picks([""] * file.count if pages else names, bands, str(path))
    with Raster(
        path, file.count if pages else len(at), PRODUCT, range(1, file.count + 1) if pages else [i + 1 for i in at]
    ) as file:
        image = file.read()
    scales = [
        None if scale == (1, 0) else scale for scale in (file.scales * len(at) if pages else [file.scales[i] for i in at])
    ]
    return Found([image.pixels[..., i if pages else n] for n, i in enumerate(at)], scales, image.valid, image.georeference)


def in_xarray(array: Any, bands: Bands) -> Found:
    """Return what is meant of a DataArray of y, x and perhaps bands, as rioxarray and xarray read files."""
    ends = [dim for dim in array.dims if dim in PLACES]
    names: list[str] = []
    if array.ndim == 3 and len(ends) == 2:
        array = array.transpose(..., *ends)
        planes = list(array.to_numpy())
        if (labels := array.coords.get(array.dims[0])) is not None and labels.dtype.kind in "UO":
            names = [str(name) for name in labels.to_numpy()]
        elif isinstance(array.attrs.get("long_name"), tuple | list):  # rioxarray's, of a file's bands
            names = [str(name) for name in array.attrs["long_name"]]
    else:
        planes = planes_of(array.to_numpy(), "the DataArray")
    at = picks(names if len(names) == len(planes) else [""] * len(planes), bands, "the DataArray")
    nodata = array.attrs.get("_FillValue", np.nan)
    valid = np.any([(planes[i] != nodata) & ~np.isnan(planes[i]) for i in at], axis=0)
    tags = float(array.attrs.get("scale_factor", 1)), float(array.attrs.get("add_offset", 0))
    return Found([planes[i] for i in at], [None if tags == (1, 0) else tags] * 2, valid, place_in(array))


def in_numpy(path: Path, bands: Bands) -> Found:
    """Return what is meant of a .npy file, or of the arrays of a .npz file; nothing in them is run."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist. Pass the path of a {PRODUCT}.")
    try:
        if path.suffix.lower() == ".npy":
            arrays = [stored(path)]
        else:
            with zipfile.ZipFile(path) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
                members = [zipfile.Path(archive, f"{name}.npy") for name in names]
                if len(members) == 1:
                    arrays = [stored(members[0])]
                else:
                    arrays, bands = [stored(members[i]) for i in picks(names, bands, str(path))], None
    except (OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error, UnicodeError, MemoryError) as error:
        raise ValueError(
            f"{path} cannot be read as arrays ({type(error).__name__}: {str(error)[:300]}). It is damaged or cut short. "
            "Save it again with np.save(path, maps), or np.savez_compressed(path, building=..., border=...)."
        ) from error
    if len(arrays) == 1:
        planes = planes_of(arrays[0], str(path))
        return Found([planes[i] for i in picks([""] * len(planes), bands, str(path))])
    if any(array.ndim != 2 for array in arrays):
        raise ValueError(f"{path} has maps of {arrays[0].shape} and {arrays[1].shape}; each must be (H, W). Save them so.")
    return Found(arrays)


def stored(path: Path | zipfile.Path) -> np.ndarray:
    """Return the array of a .npy file, which may be in an archive, once its first bytes say that it can be a map."""
    form = np.lib.format
    try:
        with path.open("rb") as stream:
            version = form.read_magic(stream)
            shape, _, dtype = (form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0)(stream)
        size = int(np.prod([float(side) for side in shape])) * dtype.itemsize
        if dtype.kind not in "biuf" or size > LARGEST:
            raise ValueError(f"it is {shape} {dtype}, {size >> 20} MB; maps are numbers, of {LARGEST >> 20} MB at most")
        with path.open("rb") as stream:
            return form.read_array(stream, allow_pickle=False)
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError, OverflowError) as error:  # what a header may lead to
        raise ValueError(
            f"{path} is no array that can be a map ({str(error)[:300]}). Save one with np.save(path, maps)."
        ) from error
