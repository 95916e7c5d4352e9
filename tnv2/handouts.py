"""Handouts: a tuner as one HTML file that opens from disk, with no server, no kernel and no network.

The files of ``tuner/`` are joined as text, for the handout and for the widget alike; no bundler.
"""

import base64
import html
import json
import zlib
from pathlib import Path

import cv2
import numpy as np

from .files import replacing

TUNER = Path(__file__).with_name("tuner")
ARRAYS = ("_building", "_border", "_truth", "_heat")


def handout(state):
    """Return the HTML of a tuner's ``state``: the traits that the view reads, arrays as bytes.

    Maps and footprints are deflated, pictures are JPEG: they are looked at, never computed with.
    """
    height, width = state["_shape"]
    pictures = {
        name: jpeg(np.frombuffer(rgb, np.uint8).reshape(height, width, 3)) for name, rgb in state["_pictures"].items()
    }
    content = {
        "traits": {name: value for name, value in state.items() if name not in (*ARRAYS, "_pictures")},
        "arrays": {name: packed(zlib.compress(state[name], 9)) for name in ARRAYS},
        "pictures": {name: packed(data) for name, data in pictures.items()},
    }
    parts = {
        "title": html.escape(state["_name"]),
        "css": (TUNER / "tuner.css").read_text("utf-8"),
        "module": joined_module().replace("export default { render };", ""),
        "state": json.dumps(content).replace("<", "\\u003c"),  # so that no name can end the script
    }
    page = (TUNER / "handout.html").read_text("utf-8")
    before = {name: page.index(f"<!-- {name} -->") for name in parts}
    for name in sorted(parts, key=before.get, reverse=True):  # from the end, so that what is put in is not searched
        page = page[: before[name]] + parts[name] + page[before[name] + len(f"<!-- {name} -->") :]
    return page


def write_handout(path, state):
    """Write a handout, whole or not at all."""
    with replacing(Path(path)) as part:
        part.write_text(handout(state), encoding="utf-8")


def joined_module():
    """Return engine.js, stage.js and view.js as one ES module: imports of each other dropped, exports but the last too."""
    lines = [
        line for name in ("engine.js", "stage.js", "view.js") for line in (TUNER / name).read_text("utf-8").splitlines()
    ]
    kept = [line for line in lines if not line.startswith("import ")]
    return "\n".join(line if line.startswith("export default") else line.removeprefix("export ") for line in kept)


def jpeg(rgb, quality=92):
    """Return an (H, W, 3) uint8 RGB picture as JPEG bytes."""
    return cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def packed(data):
    """Return bytes as base64 text."""
    return base64.b64encode(data).decode()
