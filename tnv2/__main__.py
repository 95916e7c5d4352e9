"""The checkup as a command, ``python -m tnv2``: status 0 where the first notebook would run."""

import sys

from .checkup import doctor

if __name__ == "__main__":
    sys.exit(not doctor())
