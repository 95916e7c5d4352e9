from .checkup import doctor as doctor
from .cities import CityMap as CityMap, SceneMap as SceneMap, map_city as map_city, map_scene as map_scene
from .evaluation import evaluate as evaluate
from .instances import (
    Edited as Edited, Match as Match, Probabilities as Probabilities, Recipe as Recipe, Recipes as Recipes, Score as Score,
    Sweep as Sweep, Thresholds as Thresholds, city_table as city_table, edited as edited, label_instances as label_instances,
    match as match, read_probabilities as read_probabilities, score_city as score_city, sweep as sweep,
)  # fmt: skip
from .network import (
    ABN as ABN, TernausNetV2 as TernausNetV2, load_model as load_model, predict as predict, predict_file as predict_file,
    predict_many as predict_many, write_onnx as write_onnx,
)  # fmt: skip
from .page import save_page as save_page
from .pictures import (
    composite as composite, difference_map as difference_map, false_colour as false_colour,
    normalised_difference as normalised_difference, overlay as overlay, probability_map as probability_map,
    stretch as stretch, true_colour as true_colour,
)  # fmt: skip
from .polygons import (
    read_challenge_csv as read_challenge_csv, to_geodataframe as to_geodataframe,
    write_challenge_csv as write_challenge_csv, write_coco as write_coco, write_geojson as write_geojson,
    write_geopackage as write_geopackage, write_geoparquet as write_geoparquet, write_label_geotiff as write_label_geotiff,
)  # fmt: skip
from .scenes import render_scene as render_scene
from .tiles import (
    BANDS as BANDS, Georeference as Georeference, Tile as Tile, TileFiles as TileFiles, fetch_tile as fetch_tile,
    find_tiles as find_tiles, rasterise as rasterise, read_footprints as read_footprints, read_sharpened as read_sharpened,
    read_tile as read_tile, sample_tiles as sample_tiles,
)  # fmt: skip
from .widgets import BandViewer as BandViewer, SweepMap as SweepMap, ThresholdTuner as ThresholdTuner
