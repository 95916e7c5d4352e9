"""What several tests stand on: real SpaceNet tiles, where they are at hand, and a real browser."""

import functools
import http.server
import json
import os
import sys
import threading
from pathlib import Path

import pytest
from lab import ROOT, chromium, jupyterlab
from server import Server

from tnv2 import find_tiles, load_model, predict, sample_tiles
from tnv2.page.runtime import package_file

SHARED = Path(os.environ.get("TNV2_SHARED", ROOT.parent / "shared"))


def unavailable(reason):
    """Skip a test whose means are not here; fail it in CI, where they must be."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def fetched(package, name):
    """A file of one of the page's npm packages; the test is skipped where these cannot be had."""
    try:
        return package_file(package, name)
    except ImportError as error:
        unavailable(str(error))
    except ConnectionError as error:
        if "by npm" in str(error):
            pytest.skip(str(error))
        raise


@pytest.fixture(scope="session")
def inplace_abn():
    """The real inplace-abn package."""
    try:
        import inplace_abn
    except ImportError:
        unavailable("inplace-abn is not built; make inplace-abn builds it")
    return inplace_abn


@pytest.fixture(scope="session")
def gdown():
    """The real gdown package."""
    try:
        import gdown
    except ImportError:
        unavailable("gdown is not installed; pip install gdown")
    return gdown


@pytest.fixture(scope="session")
def shared():
    """The folder with real tiles and the reference forward pass, which is not part of this repository."""
    if not (SHARED / "data" / "MANIFEST.csv").is_file():
        pytest.skip(
            f"real SpaceNet tiles are not at {SHARED}; set TNV2_SHARED to the folder that holds data/ and reference/"
        )
    return SHARED


@pytest.fixture(scope="session")
def reference(shared):
    """Seeded weights and input, and the logits that the real package's InPlaceABN gave for them."""
    import numpy as np
    import torch

    sys.path.insert(0, str(shared / "reference"))
    try:
        import seeded
    finally:
        sys.path.pop(0)
    shapes = json.loads((shared / "reference" / "published_state_dict.json").read_text())
    weights = {key: torch.from_numpy(array) for key, array in seeded.seeded_weights(shapes, seed=0).items()}
    x = torch.from_numpy(seeded.seeded_input(seed=0, height=64, width=96))
    return shapes, weights, x, np.load(shared / "reference" / "forward_seed0.npz")["logits"]


@pytest.fixture(scope="session")
def real_tiles(shared):
    """Four labelled Vegas tiles, 650 x 650 px, one of them without buildings."""
    return [files.read() for files in find_tiles(shared / "data" / "AOI_2_Vegas")]


@pytest.fixture(scope="session")
def sample_maps():
    """The mini network's Probabilities of the sample tiles."""
    model = load_model("mini", device="cpu")
    return [predict(model, tile) for tile in sample_tiles()]


@pytest.fixture(scope="session")
def real_maps(real_tiles):
    """The mini network's Probabilities of the real tiles."""
    model = load_model("mini", device="cpu")
    return [predict(model, tile) for tile in real_tiles]


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, headless."""
    with chromium() as running:
        if running is None:
            unavailable("Chromium is not installed; on Debian: apt-get install chromium")
        yield running


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory):
    """The address of a JupyterLab, and the folder of its notebooks."""
    folder = tmp_path_factory.mktemp("lab")
    with jupyterlab(folder) as address:
        yield address, folder / "notebooks"


@pytest.fixture(scope="session")
def served():
    """The address of an HTTP server on loopback that serves tnv2/browser."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=ROOT / "tnv2" / "browser")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def one_thread(monkeypatch):
    """One thread for torch, here and in processes that start: beside other tests, small steps wait for a second one."""
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def server(monkeypatch):
    """An HTTP server on loopback that fails as it is told; downloads give up on it quickly."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("tnv2.downloads.PAUSES", (0, 0))
    monkeypatch.setattr("tnv2.downloads.TIMEOUT", 2)
    server = Server()
    yield server
    server.close()
