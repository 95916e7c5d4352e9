from .folders import find_tiles as find_tiles, sample_tiles as sample_tiles
from .footprints import (
    Rings as Rings, csv_buildings as csv_buildings, read_footprints as read_footprints, unreadable as unreadable,
)  # fmt: skip
from .georeference import Georeference as Georeference
from .grids import OnGrid as OnGrid, Scaled as Scaled
from .limits import Limits as Limits
from .pansharpening import read_sharpened as read_sharpened
from .rasters import (
    LARGEST as LARGEST, Bands as Bands, Raster as Raster, read_image as read_image, source as source,
    write_geotiff as write_geotiff, write_rows as write_rows,
)  # fmt: skip
from .spacenet import check_name as check_name, fetch_tile as fetch_tile
from .tiles import (
    BANDS as BANDS, Tile as Tile, TileFiles as TileFiles, checked_image as checked_image, checked_tile as checked_tile,
    read_tile as read_tile,
)  # fmt: skip
from .truth import rasterise as rasterise, truth_of as truth_of
from .xarrays import place_in as place_in
