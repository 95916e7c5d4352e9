"""Damage: small whole files of every kind that the kit reads, and mutants: what damage and malice make of them.

A mutant follows from its kind and its number alone, so one that breaks a reader can be made again.
"""

import io
import random
import re
import struct
import zipfile

SIZES = (0, 1, 2, 3, 4, 7, 8, 16, 40, 255, 256, 4096)
SIZES += tuple(2**bits + more for bits in (15, 16, 24, 31, 32, 63) for more in (-1, 0))
CODECS = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 33003, 34712, 34887, 34892, 34925, 50000, 50001, 50002, 65000)
TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 11: 4, 12: 8, 13: 4, 16: 8, 18: 8}  # of TIFF, and their bytes
CODES = (0, 1, 2, 3, 1024, 2048, 4326, 32611, 65535)  # of GeoTIFF
DOUBLES = (0.0, -0.0, 1.0, -1.0, 1e-320, 1e-300, 1e-9, 1e9, 1e300, -1e308, float("nan"), float("inf"), 2.7e-6, -115.2, 36.2)
NUMBERS = b"NaN Infinity -Infinity 1e999 -1e308 1e-320 -0 0 2147483648 4294967296 1e15 -7 0.5 nan inf".split()
NUMBERS.append(b"9" * 400)
WORDS = b"../../up /etc/passwd .. . AOI_2_Vegas_img1 Point MultiPolygon EPSG:4326 EPSG:99999 F64 I8 F8_E4M3 nan null".split()
VALUES = b'null true [] {} "" [[]] {"a":[]} [NaN] "\\u0000" "\\ud800"'.split()
VALUES += [b"[" * 2000, b'{"a":' * 2000, b'"' + b"x" * 9999 + b'"']
PRODUCTS = ("RGB-PanSharpen", "PS-RGB", "3band", "MUL", "MS", "buildings", "geojson_buildings", "PAN", "other")
PLACES = [
    f"AOI_{place}_img{number}" for place in ("2_Vegas", "10_Rio", "1\u00b23_É") for number in (1, 9, 10, "\u00b2", "\u0663")
]
EXTRAS = (
    "",
    "..",
    "img",
    "AOI_2_Vegas_img",
    "1\u00b23",
    "\\",
    "\n",
    "\u202e",
    "\udcff",
    " ",
    "_",
    ".tif",
    "Train",
    "0" * 150,
)


def mutant(kind, number, seeds):
    """Return the mutant of a kind: the bytes of a file, one of ``seeds`` changed, or for "names" a list of names."""
    rng = random.Random(f"{kind} {number}")
    if kind == "names":
        return [file_name(rng) for _ in range(rng.randint(1, 6))]
    data, special = rng.choice(seeds), SPECIAL.get(kind, reword)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
        ordinary = rng.random() < 0.4 and kind != "georeference"
        change = rng.choice((cut, flip, overwrite, insert, remove, repeat, splice)) if ordinary else special
        data = change(data, rng, seeds)
    return data


def cut(data, rng, seeds):
    """Return the beginning."""
    return data[: rng.randint(0, len(data))]


def flip(data, rng, seeds):
    """Return the data with one bit changed, more often near the beginning."""
    data, at = bytearray(data or b"\0"), int(len(data) * rng.random() ** 3)
    data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
    return bytes(data)


def overwrite(data, rng, seeds):
    """Return the data with a remarkable number somewhere."""
    width, at = rng.choice((1, 2, 4, 8)), int(len(data) * rng.random() ** 3)
    number = (rng.choice(SIZES) % 256**width).to_bytes(width, rng.choice(("little", "big")))
    return data[:at] + number + data[at + width :]


def insert(data, rng, seeds):
    """Return the data with some bytes more."""
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice((rng.randbytes(rng.randint(1, 40)), b"\0" * 1000, *NUMBERS, *VALUES)) + data[at:]


def remove(data, rng, seeds):
    """Return the data with some bytes less."""
    at = rng.randint(0, len(data))
    return data[:at] + data[at + rng.choice((1, 2, 8, 100)) :]


def repeat(data, rng, seeds):
    """Return the data with a part of it many times."""
    at = rng.randint(0, len(data))
    return data[:at] + data[at : at + rng.randint(1, 60)] * rng.choice((2, 3, 500)) + data[at:]


def splice(data, rng, seeds):
    """Return the beginning, and the end of another seed."""
    other = rng.choice(seeds)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def reword(data, rng, seeds):
    """Return a text with a number, a word or a value replaced."""
    kind, odd = rng.choice(
        ((rb"-?\d+(\.\d+)?(e-?\d+)?", NUMBERS), (rb"[A-Za-z_]\w+", WORDS), (rb'"[^"]*"|\[[^\[\]]*\]|-?\d[\d.]*', VALUES))
    )
    found = list(re.finditer(kind, data))
    if not found:
        return insert(data, rng, seeds)
    place = rng.choice(found)
    return data[: place.start()] + rng.choice(odd) + data[place.end() :]


def reword_header(data, rng, seeds):
    """Return a safetensors file with its header reworded, and the header's length told right."""
    length = int.from_bytes(data[:8], "little")
    header = reword(data[8 : 8 + length], rng, seeds)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def retag(data, rng, seeds):
    """Return a TIFF with the type, the count or the value of one tag replaced."""
    order = ">" if data[:2] == b"MM" else "<"
    big = data[2:4] in (b"+\0", b"\0+")
    try:
        at = struct.unpack_from(order + "Q", data, 8)[0] if big else struct.unpack_from(order + "I", data, 4)[0]
        count = struct.unpack_from(order + ("Q" if big else "H"), data, at)[0]
        entry = at + (8 if big else 2) + rng.randrange(min(count, 40)) * (20 if big else 12)
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        data, field = bytearray(data), rng.choice(("type", "count", "value", "value", "value"))
        if field == "type":
            struct.pack_into(order + "H", data, entry + 2, rng.choice(list(TYPES)))
        elif field == "count":
            struct.pack_into(order + ("Q" if big else "I"), data, entry + 4, rng.choice(SIZES) % 2 ** (64 if big else 32))
        else:
            width = min(TYPES.get(kind, 4), 4)
            value = rng.choice(CODECS if tag == 259 else SIZES) % 256**width
            struct.pack_into(order + {1: "B", 2: "H", 4: "I"}[width], data, entry + (12 if big else 8), value)
    except (struct.error, ValueError, OverflowError):  # no TIFF any more
        return flip(bytes(data), rng, seeds)
    return bytes(data)


def displace(data, rng, seeds):
    """Return a little-endian TIFF with one number of its GeoTIFF tags replaced."""
    (at,) = struct.unpack_from("<I", data, 4)
    entries = [at + 2 + 12 * i for i in range(struct.unpack_from("<H", data, at)[0])]
    entry = rng.choice([entry for entry in entries if struct.unpack_from("<H", data, entry)[0] in (33550, 33922, 34735)])
    tag, _, count, place = struct.unpack_from("<HHII", data, entry)
    data = bytearray(data)
    if tag == 34735:
        struct.pack_into("<H", data, place + 2 * rng.randrange(count), rng.choice(CODES))
    else:
        struct.pack_into("<d", data, place + 8 * rng.randrange(count), rng.choice(DOUBLES))
    return bytes(data)


def repack(data, rng, seeds):
    """Return a zip file with the content of one entry changed, its checksum right, perhaps compressed."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            entries = {entry.filename: file.read(entry) for entry in file.infolist()}
        name = rng.choice([name for name in entries if name.endswith("data.pkl")] * 3 + list(entries))
        change = rng.choice((flip, overwrite, reword, insert, remove, splice))
        entries[name] = change(entries[name], rng, [seed[:4000] for seed in seeds])
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", rng.choice((zipfile.ZIP_STORED,) * 3 + (zipfile.ZIP_DEFLATED,))) as file:
            for key, content in entries.items():
                file.writestr(key, content)
        return target.getvalue()
    except Exception:  # no zip file any more
        return flip(data, rng, seeds)


def file_name(rng):
    """Return a file's name, put together of SpaceNet's parts and odd ones."""
    parts = [rng.choice(PRODUCTS), "_", rng.choice(PLACES), *rng.choices(EXTRAS, k=rng.choice((0, 0, 1, 3)))]
    if rng.random() < 0.3:
        rng.shuffle(parts)
    ending = rng.choice((".tif", ".tif", ".TIFF", ".geojson", "_Building_Solutions.csv", ""))
    name = "".join(parts) + ending
    return name.replace("/", "").replace("\0", "") or "x"


SPECIAL = {"checkpoint": repack, "safetensors": reword_header, "georeference": displace}
SPECIAL |= dict.fromkeys(("RGB", "MUL", "PAN"), retag)
