"""tnv2: see, teach and tune building detection from satellite tiles with TernausNetV2."""

import sys

try:
    import lazy_loader
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"tnv2's packages are not installed for {sys.executable}. `make lab` installs them into .venv; run .venv/bin/python."
    ) from error

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
