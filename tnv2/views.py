"""Views: a picture to click and a chart, drawn in the browser from what Python says. ``viewer/`` holds their other side."""

from pathlib import Path

import anywidget
import numpy as np
import traitlets

VIEWER = Path(__file__).with_name("viewer")
STYLE = (VIEWER / "viewer.css").read_text(encoding="utf-8")
BINS = 64


class Picture(anywidget.AnyWidget):
    """A PNG with numbered marks at the chosen pixels.

    ``shape`` is the (rows, columns) that clicks and marks count in, whatever the PNG has. The browser sends
    {"pixel": [row, column]} for a click, and {"step": [rows, columns], "fresh": bool} for an arrow key or Enter.
    """

    _esm = (VIEWER / "picture.js").read_text(encoding="utf-8")
    _css = STYLE

    png = traitlets.Bytes().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    shows = traitlets.Unicode().tag(sync=True)
    shape = traitlets.List().tag(sync=True)
    pixels = traitlets.List().tag(sync=True)

    def show(self, picture, shows):
        """Show an (H, W, 3) uint8 RGB picture; ``shows`` says what it is to who cannot see it."""
        import cv2

        encoded = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
        with self.hold_sync():
            self.png, self.shows = encoded.tobytes(), shows


class Chart(anywidget.AnyWidget):
    """Lines over two labelled axes; chart.js says what ``drawing`` may hold."""

    _esm = (VIEWER / "chart.js").read_text(encoding="utf-8")
    _css = STYLE

    drawing = traitlets.Dict().tag(sync=True)

    def draw(self, title, x, y, lines, **rest):
        """Draw dicts with "x", "y", "label" and "colour"; title, x and y are texts."""
        self.drawing = {"title": title, "x": x, "y": y, "lines": lines, **rest}


def binned(channel, span, label, colour, marks=()):
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
