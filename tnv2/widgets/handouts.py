"""Handouts: a tuner as one HTML file that opens from disk, with no server, no kernel and no network.

The page holds the same script as the widget.
"""

import base64
import html
import json
import re
import zlib
from typing import Any

import cv2
import numpy as np

from .views import joined, source

SCRIPT = joined(
    *("engine.js", "edits.js", "scores.js", "paint.js", "dom.js"),
    *("stage.js", "controls.js", "figures.js", "mending.js", "curtain.js", "tally.js", "pool.js", "strip.js", "tuner.js"),
)
MODULE = SCRIPT.replace("export default { render };", "") + joined("opening.js")  # of a page without Python
WORKER = joined("engine.js", "edits.js", "scores.js", "tally.js")  # what pool.js runs beside the page, of the same files
ARRAYS = ("_building", "_border", "_truth", "_heat")


def handout(state: dict[str, Any]) -> str:
    """Return the HTML of a tuner's ``state``: the traits that the view reads, arrays as bytes.

    Maps and footprints are deflated, pictures are JPEG: they are looked at, never computed with.
    """
    parts = {
        "title": html.escape(state["_name"] or f"{len(state['_tiles'])} tiles"),
        "css": source("tuner.css"),
        "module": MODULE,
        "state": closed(state),
    }
    return filled("handout.html", parts)


def filled(name: str, parts: dict[str, str]) -> str:
    """Return the text of a page of ``browser/`` with its places <!-- so called --> filled; what is not known stays."""
    return re.sub("<!-- (.+?) -->", lambda place: parts.get(place[1], place[0]), source(name))


def closed(state: dict[str, Any]) -> str:
    """Return a tuner's ``state`` as the JSON that a script of the page holds."""
    content = divided(state) | {"tiles": [divided(tile) for tile in state["_tiles"]]}
    return json.dumps(content).replace("<", "\\u003c")  # so that no name can end the script


def divided(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state's plain traits, its arrays and its pictures apart, the latter two as base64 text."""
    shape = (*state["_shape"], 3)
    pictures = {name: jpeg(np.frombuffer(rgb, np.uint8).reshape(shape)) for name, rgb in state["_pictures"].items()}
    return {
        "traits": {name: value for name, value in state.items() if name not in (*ARRAYS, "_pictures", "_tiles")},
        "arrays": {name: packed(zlib.compress(state[name], 9)) for name in ARRAYS if name in state},
        "pictures": {name: packed(data) for name, data in pictures.items()},
    }


def jpeg(rgb: np.ndarray) -> bytes:
    """Return an (H, W, 3) uint8 RGB picture as JPEG bytes."""
    return cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def packed(data: bytes) -> str:
    """Return bytes as base64 text."""
    return base64.b64encode(data).decode()
