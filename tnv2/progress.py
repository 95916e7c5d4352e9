"""Progress: tqdm's bars, of which a notebook keeps no widget once they end."""

from typing import Any

from tqdm.auto import tqdm

IN_NOTEBOOK = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)  # tqdm.auto has looked


class Progress(tqdm):
    """tqdm's bar, called as tqdm is. In a notebook it is a widget, which would be dead in the file; so at its end it goes.

    With ``leave=False`` nothing is left then; otherwise, or where it stopped before its end, its last line as text.
    """

    container: Any  # the widget

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not IN_NOTEBOOK:
            super().__init__(*args, **kwargs)
            return
        from IPython.display import display

        super().__init__(*args, display=False, **kwargs)
        if not self.disable:
            self._shown = display(self.container, display_id=True)

    def close(self) -> None:
        """End the bar."""
        ended = self.disable  # tqdm closes more than once
        super().close()
        if IN_NOTEBOOK and not ended:
            self.container.close()
            gone = not self.leave and (self.total is None or self.n >= self.total)
            self._shown.update({"text/html": ""} if gone else {"text/plain": str(self)}, raw=True)
