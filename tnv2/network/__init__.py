"""Network: a tile's bands to probability maps."""

import sys
from typing import Any

import lazy_loader

given, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """Give a name of the room. The first brings torch, for seconds, or many from a slow disk, of which a notebook tells."""
    if name.startswith("__") or "torch" in sys.modules or "ipykernel" not in sys.modules:
        return given(name)
    from ..progress import IN_NOTEBOOK, Progress

    if not IN_NOTEBOOK:  # who else has loaded ipykernel
        return given(name)
    with Progress(total=1, desc="loading PyTorch", leave=False) as bar:
        found = given(name)
        bar.update()
    return found
