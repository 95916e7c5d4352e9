"""torch's threads wait without spinning, however the kit is started, unless somebody has said how they wait."""

import os
import re
import subprocess
import sys

import pytest

KNOWN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only GNU's OpenMP, torch's on Linux, can be asked")


def turns(*arguments, **environment):
    """Run Python and return how many turns torch's threads spin there before they sleep, as GNU's OpenMP says."""
    kept = {name: value for name, value in os.environ.items() if name not in KNOWN}
    command, told = [sys.executable, *arguments], {"OMP_DISPLAY_ENV": "verbose", "PYTHONUTF8": "1"}
    ran = subprocess.run(command, env=kept | told | environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return int(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", ran.stderr)[-1])


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "import tnv2; import torch"),
        ("-c", "from tnv2.cities.sheets import map_tiles"),  # as a Dask worker unpickles it
        ("-m", "tnv2.training", "--help"),
        ("-m", "tnv2.evaluation", "--help"),
        ("-m", "tnv2", "check"),
    ],
    ids=["notebook", "worker", "training", "evaluation", "command"],
)
def test_threads_sleep_while_they_wait(arguments):
    assert turns(*arguments) == 0


def test_what_somebody_set_stays():
    assert turns("-c", "import tnv2; import torch", GOMP_SPINCOUNT="777") == 777
    assert turns("-c", "import tnv2; import torch", OMP_WAIT_POLICY="active") > 300_000


def test_a_torch_that_runs_is_left_alone():
    code = "import os, torch; before = dict(os.environ); import tnv2; assert dict(os.environ) == before"
    assert turns("-c", code) > 0
