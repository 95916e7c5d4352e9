"""Tiles: what a satellite saw of one place, where that is, and the footprints drawn on it. Knows no network."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
