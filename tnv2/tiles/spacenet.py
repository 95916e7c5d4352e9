"""SpaceNet: single tiles from the public bucket of the SpaceNet 2 challenge."""

import numbers
import warnings
from collections.abc import Callable
from pathlib import Path

from ..downloads import NotOnServerError, cache_folder, fetch
from ..files import PathLike, expanded
from .footprints import read_footprints
from .rasters import read_image
from .tiles import Tile, read_tile

TRAINING_TILES = "https://spacenet-dataset.s3.amazonaws.com/spacenet/SN2_buildings/train"
AOIS = {"AOI_2_Vegas": 3831, "AOI_3_Paris": 1148, "AOI_4_Shanghai": 4582, "AOI_5_Khartoum": 1012}  # training tiles of each
PRODUCTS: dict[str, tuple[str, Callable[[Path], object]]] = {  # the suffix, and what a file must pass before it is kept
    "PS-RGB": (".tif", lambda path: read_image(path, 3, "PS-RGB")),
    "PS-MS": (".tif", lambda path: read_image(path, 8, "PS-MS")),
    "geojson_buildings": (".geojson", read_footprints),
}


def fetch_tile(aoi: str, number: int, folder: PathLike | None = None) -> Tile:
    """Return the Tile of one real training tile of SpaceNet 2, downloaded on first use; no account is needed.

    aoi : "AOI_2_Vegas", "AOI_3_Paris", "AOI_4_Shanghai" or "AOI_5_Khartoum".
    number : the tile's image number from 1, 2144 for ``img2144``; there are gaps.
    folder : where the files are kept, about 9 MB a tile, in SpaceNet's own layout, which ``find_tiles`` reads; None for
        the user's cache folder, ``pooch.os_cache("tnv2")``.

    A tile without MUL bands or footprints on the server comes without, with a warning. Files that are in ``folder`` already
    are not fetched again. A new file is compared with the size that the server announced and read once before it gets its
    name; its checksum is not known.

    The tiles are (650, 650) pixels of 0.3 m, 11-bit counts in uint16. SpaceNet on Amazon Web Services publishes them under
    the licence CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/): name SpaceNet where you show them, and
    share what you make of them alike.

    Raises ValueError for an ``aoi`` or ``number`` that cannot be, FileNotFoundError where the server has no such tile,
    ConnectionError where it cannot be reached or sends something else, OSError where ``folder`` cannot be written.
    """
    check_name(aoi, number)
    folder = cache_folder() if folder is None else expanded(folder)
    return read_tile(
        fetch_product(aoi, number, "PS-RGB", folder) or "",  # which is there, or it raises
        fetch_product(aoi, number, "PS-MS", folder),
        fetch_product(aoi, number, "geojson_buildings", folder),
    )


def check_name(aoi: str, number: object) -> None:
    """Raise ValueError unless SpaceNet 2 may have a tile of this place and number."""
    if aoi not in tuple(AOIS):  # which asks for no hash
        raise ValueError(f"aoi is {aoi!r}; SpaceNet 2 has {', '.join(AOIS)}. Pass one of them, as it is spelt here.")
    if not isinstance(number, numbers.Integral) or isinstance(number, bool) or number < 1:
        raise ValueError(f"number is {number!r}; it must be a whole number from 1. Pass 2144 for img2144.")


def fetch_product(aoi: str, number: int, product: str, folder: Path) -> Path | None:
    """Return the path of one product of a tile, or None, with a warning, where the server lacks one that can be absent."""
    suffix, check = PRODUCTS[product]
    name = f"{aoi}/{product}/SN2_buildings_train_{aoi}_{product}_img{number}{suffix}"
    try:
        return fetch(f"{TRAINING_TILES}/{name}", folder / name, check)
    except NotOnServerError as error:
        if product == "PS-RGB":
            known = ", ".join(f"{place} ({count} tiles)" for place, count in AOIS.items())
            raise FileNotFoundError(
                f"SpaceNet has no training tile {aoi}_img{number}: {error} Numbers have gaps, where tiles were kept for "
                f"testing; pass another one, or another place of {known}."
            ) from None
        lacks = "footprints, so its truth is None" if product == "geojson_buildings" else "MUL bands, so its mul is None"
        warnings.warn(f"{aoi}_img{number} comes without {lacks}: {error}", stacklevel=3)
        return None
