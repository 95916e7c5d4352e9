"""Views: a picture to click and a chart, drawn in the browser from what Python says. ``browser/`` holds their other side."""

import re
from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import traitlets

from ..files import PACKAGE

BINS = 64


def source(name: str) -> str:
    """Return the text of a file of ``browser/``."""
    return (PACKAGE / "browser" / name).read_text(encoding="utf-8")


def joined(*names: str) -> str:
    """Return files of ``browser/`` as one ES module: without their imports of each other; no bundler."""
    return re.sub(r"^import .*\n|^export (?!default)", "", "\n".join(map(source, names)), flags=re.MULTILINE)


STYLE = source("viewer.css")


class Picture(anywidget.AnyWidget):
    """A PNG with numbered marks at the chosen pixels.

    ``shape`` is the (rows, columns) that clicks and marks count in, whatever the PNG has. The browser sends
    {"pixel": [row, column]} for a click, and {"step": [rows, columns], "fresh": bool} for an arrow key or Enter.
    """

    _esm = joined("dom.js", "picture.js")
    _css = STYLE

    png = traitlets.Bytes().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    shows = traitlets.Unicode().tag(sync=True)
    shape: traitlets.List[int] = traitlets.List().tag(sync=True)
    pixels: traitlets.List[list[int]] = traitlets.List().tag(sync=True)

    def show(self, picture: np.ndarray, shows: str) -> None:
        """Show an (H, W, 3) uint8 RGB picture; ``shows`` says what it is to who cannot see it."""
        import cv2

        encoded = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
        with self.hold_sync():
            self.png, self.shows = encoded.tobytes(), shows


class Chart(anywidget.AnyWidget):
    """Lines over two labelled axes; chart.js says what ``drawing`` may hold."""

    _esm = joined("dom.js", "chart.js")
    _css = STYLE

    drawing = traitlets.Dict().tag(sync=True)

    def draw(self, title: str, x: str, y: str, lines: list[dict[str, Any]], **rest: Any) -> None:
        """Draw dicts with "x", "y", "label" and "colour"; title, x and y are texts."""
        self.drawing = {"title": title, "x": x, "y": y, "lines": lines, **rest}


def binned(
    channel: np.ndarray, span: tuple[float, float], label: str, colour: str, marks: Sequence[float] = ()
) -> dict[str, Any]:
    """Return a histogram's line: "x" has the edges of at most BINS bins over ``span``, "y" their pixels; marks are at x.

    Whole numbers get bins of a whole width, or some bins would hold more numbers than their neighbours.
    """
    low, high = span
    step = (high - low) / BINS or 1
    if channel.dtype.kind == "u":
        low, step = np.floor(low), np.ceil((high - low + 1) / BINS)
    bins = round(np.ceil((high - low) / step)) or 1
    counts, edges = np.histogram(channel, bins, (low, low + bins * step))
    return {"x": edges.tolist(), "y": counts.tolist(), "label": label, "colour": colour, "marks": list(marks)}
