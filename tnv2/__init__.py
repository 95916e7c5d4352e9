"""tnv2: see, teach and tune building detection from satellite tiles with TernausNetV2."""

import sys

try:
    import lazy_loader
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"tnv2's packages are not installed for {sys.executable}. `make lab` installs them into .venv; run .venv/bin/python."
    ) from error

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "footprints": ["read_footprints", "rasterise"],
        "georeference": ["Georeference"],
        "tiles": ["BANDS", "Tile", "TileFiles", "find_tiles", "read_tile", "sample_tiles"],
        "network": ["ABN", "TernausNetV2"],
        "instances": ["Probabilities", "Thresholds", "label_instances"],
        "weights": ["load_model"],
        "inference": ["predict", "predict_file"],
        "scoring": ["Match", "Score", "city_table", "match", "score_city"],
        "search": ["Sweep", "sweep"],
        "heatmap": ["SweepMap"],
        "evaluation": ["evaluate"],
        "scenes": ["render_scene"],
        "spacenet": ["fetch_tile"],
        "pansharpening": ["read_sharpened"],
        "vectors": ["to_geodataframe"],
        "exports": ["write_coco", "write_geojson", "write_geopackage", "write_geoparquet", "write_label_geotiff"],
        "challenge": ["read_challenge_csv", "write_challenge_csv"],
        "cities": ["CityMap", "map_city"],
        "widgets": ["ThresholdTuner"],
        "recipes": ["Recipe"],
        "bands": ["BandViewer"],
        "checkup": ["doctor"],
        "pictures": [
            *("composite", "difference_map", "false_colour", "normalised_difference", "overlay"),
            *("probability_map", "stretch", "true_colour"),
        ],
    },
)
