"""Views: what the widgets share of their other side, ``browser/``, and their second form, a still."""

import base64
import re
from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np

from ..files import PACKAGE

BINS = 64


def source(name: str) -> str:
    """Return the text of a file of ``browser/``."""
    return (PACKAGE / "browser" / name).read_text(encoding="utf-8")


def joined(*names: str) -> str:
    """Return files of ``browser/`` as one ES module: without their imports of each other; no bundler."""
    return re.sub(r"^import .*\n|^export (?!default)", "", "\n".join(map(source, names)), flags=re.MULTILINE)


STYLE = source("viewer.css")
STILL = 512  # px, the longer side of a still at most


class Still(anywidget.AnyWidget):
    """A widget with a second form, a PNG: what a saved notebook shows where there is no kernel or no widgets.

    It is drawn in Python, each time that the widget is displayed and at no other: moving a slider does not wait for it, and
    displaying the widget again renews it.
    """

    def still(self) -> bytes:
        """Return the PNG of what the widget shows now."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        return bundle[0] | {"image/png": base64.b64encode(self.still()).decode()}, bundle[1]


def png(picture: np.ndarray, compression: int) -> bytes:
    """Return an (H, W, 3) uint8 RGB picture as PNG bytes; ``compression`` 0 (quick) to 9 (small)."""
    import cv2

    return cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, compression])[1].tobytes()


def captioned(picture: np.ndarray, lines: Sequence[str]) -> bytes:
    """Return an (H, W, 3) uint8 RGB picture, at most STILL px wide and high, over lines of ASCII text, as PNG bytes."""
    import cv2

    scale = min(1, STILL / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    paper = np.full((len(small) + 18 * len(lines) + 8, max(STILL, small.shape[1]), 3), 255, np.uint8)
    paper[: len(small), : small.shape[1]] = small
    for i, line in enumerate(lines):
        cv2.putText(paper, line, (4, len(small) + 18 * (i + 1)), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return png(paper, 9)


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
