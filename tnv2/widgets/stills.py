"""Stills: a widget's other form, a picture with its figures, for saved notebooks and pages without widgets."""

import base64
import html
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import anywidget
import cv2
import numpy as np

from .views import source

SIDE = 512  # px, the longer side of a still at most
REST = 1.0  # s without a change, after which the still is renewed
SMALL, QUICK = 9, 1  # how hard a PNG is packed


class Still(anywidget.AnyWidget):
    """A widget that leaves a picture of itself in the notebook.

    The picture is drawn in Python when the widget is displayed: as a PNG beside the widget's view, and once more as HTML in
    an output below it, which still.css shows where the widget is not alive and hides where it is. That second one is drawn
    anew as soon as nothing has changed for a second, so moving a slider never waits for it.
    """

    _renews: ClassVar[tuple[str, ...]] = ()  # the traits that change the picture
    _timer: threading.Timer | None = None

    def seen(self) -> tuple[np.ndarray, list[str]]:
        """Return what the widget shows now, (H, W, 3) uint8 RGB, and its figures, lines of ASCII text."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        return bundle[0] | {"image/png": base64.b64encode(captioned(*self.seen())).decode()}, bundle[1]

    def _ipython_display_(self) -> None:
        from IPython.display import display

        data, metadata = self._repr_mimebundle_() or ({}, {})
        display(data, metadata=metadata, raw=True)
        display({"text/html": self._html()}, raw=True, display_id=f"still-{self.model_id}")
        if self._renews:
            self.observe(self._wait, self._renews)

    def _html(self) -> str:
        picture, lines = self.seen()
        encoded = cv2.imencode(".jpg", shrunk(picture)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
        image = f'<img alt="{html.escape(lines[0] if lines else type(self).__name__)}" src="data:image/jpeg;base64,'
        told = "".join(f"<div>{html.escape(line)}</div>" for line in lines)
        style = f"<style>{source('still.css')}</style>"
        return f'<div class="tnv2-still">{style}{image}{base64.b64encode(encoded).decode()}">{told}</div>'

    def _wait(self, _: object) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = threading.Timer(REST, self._renew)
        self._timer.daemon = True
        self._timer.start()

    def _renew(self) -> None:
        from IPython.display import update_display

        update_display({"text/html": self._html()}, raw=True, display_id=f"still-{self.model_id}")


def shrunk(picture: np.ndarray) -> np.ndarray:
    """Return a picture at most SIDE px wide and high."""
    scale = min(1, SIDE / max(picture.shape[:2]))
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def captioned(picture: np.ndarray, lines: Sequence[str]) -> bytes:
    """Return an (H, W, 3) uint8 RGB picture, shrunk, over lines of ASCII text, as PNG bytes."""
    small = shrunk(picture)
    paper = np.full((len(small) + 18 * len(lines) + 8, max(SIDE, small.shape[1]), 3), 255, np.uint8)
    paper[: len(small), : small.shape[1]] = small
    for i, line in enumerate(lines):
        cv2.putText(paper, line, (4, len(small) + 18 * (i + 1)), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return png(paper, SMALL)


def png(picture: np.ndarray, compression: int = QUICK) -> bytes:
    """Return an (H, W, 3) uint8 RGB picture as PNG bytes; ``compression`` QUICK or SMALL."""
    return cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, compression])[1].tobytes()
