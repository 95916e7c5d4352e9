"""tnv2: see, teach and tune building detection from satellite tiles with TernausNetV2."""

import os
import sys

# torch's threads wait for work by spinning, which on a machine that somebody else uses too makes a prediction several times
# slower. What they do is read when torch is loaded; who set it knows why, and child processes inherit it.
if "torch" not in sys.modules and not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & set(os.environ):
    os.environ["OMP_WAIT_POLICY"] = "passive"

try:
    import lazy_loader
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"tnv2's packages are not installed for {sys.executable}. In a checkout `make lab` installs them into .venv, whose "
        "Python is to be run; elsewhere pip install does, with the kit's wheel."
    ) from error

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
