"""Views: what the widgets share of their other side, ``browser/``."""

import re
from collections.abc import Sequence
from typing import Any

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
