"""Page: one HTML file in which the network runs on whatever tile is dropped on it, with the tuner; no Python, no server."""

import base64
import hashlib
import html
import json
import warnings
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..downloads import cache_folder
from ..files import PathLike, checked_path, replacing, version, write_text
from ..network import TernausNetV2, as_model, predict, write_onnx
from ..tiles import sample_tiles
from ..widgets import MODULE, WORKER, ThresholdTuner, closed, filled, joined, source
from .runtime import PACKAGES, archive, package_file

LARGE = 10_000_000  # bytes, above which mail has a hard time
RUNTIME, WASM = (
    "ort.webgpu.bundle.min.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)  # WebAssembly, and WebGPU where there is one
LIBRARIES = {"geotiff": "dist-browser/geotiff.js", "proj4": "dist/proj4.js", "fzstd": "umd/index.js"}
READER = joined("texts.js", "network.js", "places.js", "rasters.js", "truth.js", "vectors.js", "reader.js")
LETTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;.=>?@^_`{|}~"
POLICY = (  # no connect-src: the page can send nothing
    "default-src 'none'; script-src 'sha256-{digest}' blob: data: 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src blob: data:; worker-src blob:; base-uri 'none'; form-action 'none'"
)


def save_page(path: PathLike, model: TernausNetV2 | PathLike = "mini") -> None:
    """Write one HTML file that finds buildings in tiles by itself: with a network, the runtime for it and the tuner.

    It opens from disk (tried in Chromium and Firefox), sends nothing anywhere, and shows the kit's first sample tile until
    a tile is dropped on it. Its maps are those of ``predict`` in float32 within 0.01.

    path : ends in .html. model : what ``load_model`` takes or returns; its weights are written in float16.

    Warns of a file above 10 MB. Raises ImportError where the extra ``page`` is not installed, ConnectionError where what it
    needs of npm is neither in the user's cache folder nor to be had, ValueError for a path that does not end in .html and
    for a network that ``predict`` does not take.
    """
    path = checked_path(path, ".html", ".htm")
    model = as_model(model)
    origin = getattr(model, "origin", {"weights": "", "sha256": ""})
    name = Path(origin["weights"]).name  # without the folders of this computer
    tile = sample_tiles()[0]
    tuner = ThresholdTuner(tile, predict(model, tile, precision="float32"), model.thresholds)
    facts = {
        "channels": model.settings["num_input_channels"],
        "weights": name,
        "sha256": origin["sha256"],
        "worker": WORKER,
        "versions": {"tnv2": version(), "onnxruntime-web": PACKAGES["onnxruntime-web"][0]},
    }
    module = MODULE + joined("texts.js", "page.js") + "\nopenPage(location.hash === '#maps');\n"
    libraries = [package_file(package, name).decode() for package, name in LIBRARIES.items()]
    parts = {
        "policy": POLICY.format(digest=base64.b64encode(hashlib.sha256(module.encode()).digest()).decode()),
        "css": source("page.css") + source("tuner.css"),
        "name": html.escape(name or "without a name"),
        "about": source("ours.html" if name in ("mini", "small") else "other.html"),
        "size": f"{sum(each.numel() for each in model.parameters()) / 1e6:.1f}",
        "licences": licences(),
        "version": html.escape(version()),
        "facts": json.dumps(facts).replace("<", "\\u003c"),
        "state": closed(tuner.state),
        "reader": deflated("\n;".join([*libraries, READER])),
        "handout": deflated(filled("handout.html", {"css": source("tuner.css"), "module": MODULE})),
        "module": module,
        "network": as_text(compressed(onnx_bytes(model))),
        "runtime": as_text(compressed(package_file("onnxruntime-web", f"dist/{RUNTIME}"))),
        "wasm": as_text(packed_wasm()),
    }
    page = filled("page.html", parts)
    write_text(path, page)
    if len(page) > LARGE:
        warnings.warn(
            f"{path} is {len(page) / 1e6:.1f} MB, much for a mail; {len(parts['network']) / 1e6:.1f} MB are the network. "
            'Pass "mini", the smallest.',
            stacklevel=2,
        )


def onnx_bytes(model: TernausNetV2) -> bytes:
    """Return a network as an ONNX file, its weights in float16."""
    with TemporaryDirectory() as folder:
        write_onnx(model, path := Path(folder, "network.onnx"), half=True)
        return path.read_bytes()


def packed_wasm() -> bytes:
    """Return the runtime's WebAssembly compressed, which takes half a minute once and is kept in the user's cache folder."""
    path = cache_folder() / "npm" / f"{archive('onnxruntime-web').stem}-{WASM}.zst"
    if not path.is_file():
        packed = compressed(package_file("onnxruntime-web", f"dist/{WASM}"))
        with replacing(path) as part:
            part.write_bytes(packed)
    return path.read_bytes()


def compressed(data: bytes) -> bytes:
    """Return bytes compressed by Zstandard, a third smaller than what browsers unpack by themselves."""
    import imagecodecs

    return bytes(imagecodecs.zstd_encode(data, 19))


def deflated(text: str) -> str:
    """Return a script as text that the page unpacks by itself."""
    return as_text(zlib.compress(text.encode(), 9))


def as_text(data: bytes) -> str:
    """Return bytes as letters that end no script, 5 for 4 bytes: base64.b85encode's, with "." for "<".

    >>> as_text(bytes(4))
    '00000'
    """
    numbers = np.frombuffer(data + bytes(-len(data) % 4), ">u4").astype(np.int64)
    digits = np.stack([numbers // 85**power % 85 for power in (4, 3, 2, 1, 0)], axis=1)
    text = np.frombuffer(LETTERS, np.uint8)[digits].tobytes().decode()
    return text[: len(text) - (-len(data) % 4)]


def licences() -> str:
    """Return the licences of what is in the page as HTML."""
    texts = {name: package_file(name, file).decode().strip() for name, (_, _, file) in PACKAGES.items() if file}
    _, _, terms = texts["fzstd"].partition("\n\nPermission")  # ONNX Runtime's archive names the MIT License, and has no copy
    texts["onnxruntime-web"] = f"MIT License\n\nCopyright (c) Microsoft Corporation\n\nPermission{terms}"
    lines = "".join(
        f'<h2>{name} {PACKAGES[name][0]}</h2><pre tabindex="0">{html.escape(text)}</pre>' for name, text in texts.items()
    )
    return (
        "<p>tnv2 and the weights: BSD 3-Clause. The sample tile is drawn by tnv2. ONNX Runtime's WebAssembly and geotiff "
        f"have in them what their projects list as third-party notices.</p>{lines}"
    )
