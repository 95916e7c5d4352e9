"""Corpus: small whole files of every kind that the kit reads, made by its own writers, and a few that mean harm."""

import json
import pickle
import struct

import numpy as np
import rasterio
import tifffile
import torch
from fuzz import NAME, PARTNERS

from tnv2 import Georeference, Recipe, TernausNetV2, Thresholds, Tile
from tnv2.network.weights import save_model
from tnv2.polygons.challenge import write_challenge_csv
from tnv2.polygons.exports import write_geojson
from tnv2.polygons.vectors import to_geodataframe
from tnv2.tiles.rasters import write_geotiff

WHERE = Georeference((2.7e-6, 0, -115.2, 0, -2.7e-6, 36.2), "EPSG:4326")
COARSE = Georeference((4 * 2.7e-6, 0, -115.2, 0, -4 * 2.7e-6, 36.2), "EPSG:4326")
LAYOUTS = (
    {},
    {"compression": "deflate", "predictor": True, "tile": (16, 16)},
    {"compression": "lzw", "rowsperstrip": 7},
    {"compression": "zstd", "bigtiff": True},
    {"compression": "packbits", "byteorder": ">"},
    {"compression": "deflate", "predictor": True, "byteorder": ">", "bigtiff": True, "tile": (32, 16)},
)
LABELS = np.zeros((40, 40), np.int32)
LABELS[2:20, 2:30] = 1
LABELS[6:10, 6:12] = 0
LABELS[22:38, 4:18] = 2
LABELS[24:30, 20:39] = LABELS[30:33, 39] = 3


class Trap:
    """A pickle of this makes a file when it is loaded by an ordinary unpickler."""

    def __reduce__(self):
        return (open, ("trapped", "w"))


def write_corpus(folder):
    """Write the seeds of each kind as ``folder/kind/number``, and the partners beside them."""
    rng = np.random.default_rng(0)
    write_geotiff(folder / PARTNERS["rgb"], rng.integers(0, 2048, (40, 40, 3), np.uint16), WHERE)
    write_geotiff(folder / PARTNERS["mul"], rng.integers(0, 2048, (10, 10, 8), np.uint16), COARSE)
    (folder / PARTNERS["footprints"]).write_bytes(geojsons(folder / "part")[0])
    makers = {
        "RGB": lambda part: tiffs(part, rng, 3, 40),
        "MUL": lambda part: [*tiffs(part, rng, 8, 40), *tiffs(part, rng, 8, 10, COARSE)],
        "PAN": lambda part: tiffs(part, rng, 1, 40),
        "other RGB": lambda part: others(part, rng),
        "georeference": lambda part: tiffs(part, rng, 3, 40)[:1],
        "GeoJSON": geojsons,
        "CSV": csvs,
        "checkpoint": checkpoints,
        "safetensors": safetensors,
        "recipe": recipes,
        "npy": lambda part: [archived(part.with_suffix(".npy"), np.save, maps) for maps in arrays(rng)],
        "npz": lambda part: [
            archived(part.with_suffix(".npz"), save, **dict(zip(("building", "border"), maps, strict=False)))
            for maps in arrays(rng)
            for save in (np.savez, np.savez_compressed)
        ],
        "names": lambda part: [],
    }
    for kind, make in makers.items():
        (folder / kind).mkdir()
        for number, content in enumerate(make(folder / "part")):
            (folder / kind / str(number)).write_bytes(content)
    return tuple(makers)


def tiffs(part, rng, bands, side, where=WHERE):
    """Return TIFF files of random counts in several layouts and types, and some that claim what they do not hold."""
    part, shape = part.with_suffix(".tif"), (side, side, bands) if bands > 1 else (side, side)
    together = {"planarconfig": "contig"} if bands > 1 else {}
    counts = rng.integers(0, 2048, shape, np.uint16)
    eight_bit, real = (counts // 8).astype(np.uint8), (counts / 2048).astype(np.float32)
    write_geotiff(part, counts, where)
    found = [part.read_bytes()]
    for options in LAYOUTS:
        found += [stored(part, array, **together, **options) for array in (counts, eight_bit)]
    if bands > 1:
        apart = np.moveaxis(counts, 2, 0).copy()
        found += [stored(part, apart, planarconfig="separate", compression="lzw"), stored(part, apart)]
    found.append(stored(part, real, **together, compression="deflate", predictor=3))
    found += [stored(part, eight_bit, **together, compression=codec) for codec in ("jpeg", "jpeg2000") if bands < 8]
    found += [claiming(part, counts, *size, **together) for size in ((2**16, 2**15), (9000, 9000), (2**31, 2**31))]
    if bands == 3:
        zeros = (np.zeros((1024, 1024, 3), np.uint8) for _ in range(100))
        bomb = {"shape": (10240, 10240, 3), "dtype": np.uint8, "tile": (1024, 1024), "compression": "deflate"}
        found.append(stored(part, zeros, **bomb, **together))
    return found


def others(part, rng):
    """Return pictures with no-data, masks, alpha, palettes and names for their bands, in all formats that are read."""
    counts, seen = rng.integers(1, 256, (4, 40, 40), np.uint8), rng.random((40, 40)) > 0.2
    named = ["blue", "green", "red", "undefined"]
    kinds = [
        ("GTiff", counts[:3], {"nodata": 7}), ("GTiff", counts[:3].astype(np.int16), {"nodata": -9999}),
        ("GTiff", np.where(seen, counts[:3] / 255, np.nan).astype(np.float32), {"nodata": np.nan}),
        ("GTiff", counts.astype(np.uint16), {"photometric": "minisblack"}), ("GTiff", counts, {"photometric": "rgb"}),
        ("GTiff", counts[:1], {}), ("PNG", counts[:3], {}), ("PNG", counts, {}), ("PNG", counts[:1], {}),
        ("JPEG", counts[:3], {}), ("JP2OpenJPEG", counts[:3], {}), ("GTiff", counts[:3], {"mask": True}),
    ]  # fmt: skip
    found = []
    for driver, array, options in kinds:
        masked = options.pop("mask", False)
        profile = {"driver": driver, "width": 40, "height": 40, "count": len(array), "dtype": array.dtype, **options}
        place = {"crs": "EPSG:4326", "transform": rasterio.Affine(*WHERE.transform)}
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(part, "w", **profile, **place) as file:
            if array.dtype == np.uint16:
                file.colorinterp = [rasterio.enums.ColorInterp[name] for name in named]
            if len(array) == 1:
                file.write_colormap(1, {i: (i, 255 - i, i // 2, 0 if i == 9 else 255) for i in range(256)})
            file.write(array)
            if masked:
                file.write_mask(seen)
        found.append(part.read_bytes())
    return found


def stored(part, array, **options):
    """Return the bytes of a TIFF."""
    tifffile.imwrite(part, array, photometric="minisblack", **options)
    return part.read_bytes()


def claiming(part, counts, width, height, **options):
    """Return the bytes of a deflated TIFF that claims another size."""
    stored(part, counts, **options, compression="deflate")
    with tifffile.TiffFile(part, mode="r+") as file:
        for tag, value in (("ImageWidth", width), ("ImageLength", height)):
            file.pages[0].tags[tag].overwrite(value)
    return part.read_bytes()


def geojsons(part):
    """Return GeoJSON files: the kit's own, with members and geometries as others write them, and hostile ones."""
    part = part.with_suffix(".geojson")
    write_geojson(to_geodataframe(LABELS, Tile(np.zeros((40, 40, 3), np.uint8), georeference=WHERE)), part)
    own = part.read_bytes()
    ring = [[*WHERE.to_world([position])[0], 9.5] for position in ((5, 5), (25, 5), (25, 25), (5, 25), (5, 5))]
    box = {"type": "Polygon", "coordinates": [ring]}
    collection = {"type": "GeometryCollection", "geometries": [box, {"type": "MultiPolygon", "coordinates": [[ring]]}]}
    named = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}}
    other = json.dumps({"features": [{"geometry": box}, {"geometry": collection}, {"geometry": None}], **named}).encode()
    many = json.dumps({"features": [{"geometry": box}] * 300}).encode()
    star = np.random.default_rng(0).uniform(-1, 1, (3000, 2)) + WHERE.transform[2::3]
    ragged = json.dumps({"features": [{"geometry": {"type": "Polygon", "coordinates": [star.tolist()]}}]}).encode()
    deep = b'{"features":[{"geometry":' + b'{"type":"GeometryCollection","geometries":[' * 100_000 + b"]}" * 100_000 + b"}]}"
    system = b'{"features":[],"crs":{"properties":{"name":"' + b"GEOGCS[" * 50_000 + b'"}}}'
    return [*[own, other] * 8, many, ragged, deep, b"[" * 100_000, system]


def csvs(part):
    """Return challenge CSVs: the kit's own, the organisers' form, and hostile ones."""
    part = part.with_suffix(".csv")
    write_challenge_csv({NAME: LABELS, "AOI_2_Vegas_img2": LABELS * 0}, part)
    own, head = part.read_bytes(), b"ImageId,BuildingId,PolygonWKT_Pix,PolygonWKT_Geo\r\n"
    square, name = b'"POLYGON ((5.5 5 0,15.5 5 0,15.5 15 0,5.5 15 0,5.5 5 0),(8 8 0,9 8 0,9 9 0,8 8 0))"', NAME.encode()
    theirs = head + name + b",1," + square + b',"POLYGON EMPTY"\r\nAOI_2_Vegas_img2,-1,POLYGON EMPTY,POLYGON EMPTY\r\n'
    deep = head + name + b',1,"' + b"GEOMETRYCOLLECTION(" * 100_000 + b"POINT(1 1)" + b")" * 100_000 + b'",\r\n'
    many = head + (name + b',1,"POLYGON ((0 0,40 0,40 40,0 40,0 0))",\r\n') * 500
    far = head + name + b',1,"POLYGON ((-1e300 -1e300,1e300 0,40 1e300,-1e300 -1e300))",\r\n'
    names = head + b"".join(b"../img%d,1,POLYGON EMPTY,\r\n" % number for number in range(500))
    return [*[own, theirs] * 8, deep, many, far, names]


def checkpoints(part):
    """Return checkpoints in torch's formats, and pickles that would run code or claim what they do not hold."""
    torch.manual_seed(0)
    state = TernausNetV2(width=1, num_filters=1).state_dict()
    spelt = {"module." + key.replace("bn1.", "bn1.bn.").replace("bn2.", "bn2.bn."): value for key, value in state.items()}
    hollow = {key: torch.zeros(()).expand(value.shape) for key, value in TernausNetV2(width=40).state_dict().items()}
    trapped = {**state, "final.bias": Trap()}
    found = [saved(part, content) for content in ({"model": spelt}, {"model": spelt}, state, state)]
    found += [saved(part, content, _use_new_zipfile_serialization=False) for content in ({"model": spelt}, state)]
    return [*found * 2, saved(part, hollow), saved(part, trapped), pickle.dumps(Trap()), pickle.dumps({"model": Trap()})]


def saved(part, content, **options):
    """Return the bytes of a checkpoint."""
    torch.save(content, part, **options)
    return part.read_bytes()


def safetensors(part):
    """Return a safetensors file of the kit, and one whose first layer claims 2**31 x 2**31 kernels of no size."""
    torch.manual_seed(0)
    save_model(TernausNetV2(width=1, num_filters=1), part, Thresholds(0.4, 0.6, 0.7, 25), copes_without_mul=True)
    own = part.read_bytes()
    (length,) = struct.unpack("<Q", own[:8])
    header = json.loads(own[8 : 8 + length])
    header["conv1.conv1.weight"] |= {"shape": [2**31, 2**31, 0], "data_offsets": [0, 0]}
    endless = json.dumps(header).encode()
    return [own, own, own, len(endless).to_bytes(8, "little") + endless + own[8 + length :]]


def arrays(rng):
    """Return (2, H, W) probability maps in several types, and objects, one of which is a trap."""
    maps = rng.random((2, 40, 40), np.float32)
    return [maps, maps.astype(">f8"), np.asfortranarray(maps), (255 * maps).astype(np.uint8), np.array([[Trap()] * 9] * 2)]


def archived(part, save, *arrays, **named):
    """Return the bytes of what one of NumPy's functions saves."""
    save(part, *arrays, **named)
    return part.read_bytes()


def recipes(part):
    """Return recipes, one with code where a version stands."""
    files = {**PARTNERS, "footprints": None}
    found = []
    for paths, version in ((files, "0.1.0"), ({}, "0.1.0"), (files, "0.1.0\nopen('trapped', 'w')")):
        record = {**Recipe(Thresholds(), NAME, paths, "mini", "ab12" * 16, "auto", {"tnv2": "0.1.0"}).record()}
        found.append(json.dumps(record | {"versions": {"tnv2": version}}, indent=2).encode())
    part_of = {"bands": [3, 2, 1], "window": [0, 8, 32, 32], "limits": [[1, 2, 3.5], [900, 901, 902]], "metres": 0.5}
    maps = {"maps": "maps.npz", "border": None, "bands": ["building", 2], "scale": 0.5}
    found.append(json.dumps(json.loads(found[1]) | {"maps": maps}).encode())
    found += [json.dumps(json.loads(found[0]) | part_of | {"scene": scene}).encode() for scene in ("", "city")]
    return found
