from .challenge import read_challenge_csv as read_challenge_csv, write_challenge_csv as write_challenge_csv
from .exports import (
    write_coco as write_coco, write_geojson as write_geojson, write_geopackage as write_geopackage,
    write_geoparquet as write_geoparquet, write_label_geotiff as write_label_geotiff,
)  # fmt: skip
from .vectors import areas as areas, to_geodataframe as to_geodataframe
