"""Downloads: a file from a server, whole and checked before it has its name."""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from .files import PathLike, expanded

TIMEOUT = 30  # seconds without a byte
PAUSES = (1, 3)  # seconds before the second and before the third attempt
DAY = 24 * 3600  # seconds
PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!?A-Za-z]")  # how HTML and XML begin, and no file that the kit reads


class NotOnServerError(FileNotFoundError):
    """The server answers, and has no such file."""


def cache_folder() -> Path:
    """Return the user's cache folder of this kit, whether it exists or not."""
    import pooch

    return Path(pooch.os_cache("tnv2"))


def fetch(url: str, path: PathLike, check: Callable[[Path], object]) -> Path:
    """Return ``path``, downloaded from ``url`` with a progress bar unless it is there already.

    check : is called with the path of what came, before that takes its name; raises ValueError for what must not.

    A transfer that breaks off starts anew, twice at most; what failed leaves nothing behind. Raises NotOnServerError where
    the server has no such file (404), ConnectionError where it cannot be had whole, and OSError where it cannot be written.
    """
    from requests import RequestException

    path = expanded(path)
    if path.is_file():
        return path
    try:
        with arriving(path) as part:
            transfer(url, part)
            verify(part, check)
    except (RequestException, ValueError) as error:
        if status(error) == 404:
            raise NotOnServerError(f"{url} does not exist (404).") from None
        raise ConnectionError(
            f"{url} could not be fetched ({brief(error)}). Check the network connection, and any proxy, and run this again; "
            "no half of a file is kept."
        ) from error
    except OSError as error:
        raise OSError(
            error.errno, f"{path} cannot be written ({error.strerror}). Pass a folder of yours with room."
        ) from error
    return path


@contextmanager
def arriving(path: Path) -> Iterator[Path]:
    """Yield a path to write to, whose file becomes ``path`` when the block ends, and is removed if the block fails.

    It lies beside ``path`` in a folder ``.<name>.<random>.part`` of its own, so that two processes may fetch one file at
    once: both end with a whole one. Such folders of killed processes are removed after a day.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beginning = f".{path.name}."
    for left in path.parent.glob(f"{beginning}*.part"):
        with suppress(FileNotFoundError):  # where another process removes it too
            if time.time() - left.stat().st_mtime > DAY:
                shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(suffix=".part", prefix=beginning, dir=path.parent, ignore_cleanup_errors=True) as folder:
        part = Path(folder) / "part"  # no suffix, so that find_tiles passes it by
        yield part
        os.replace(part, path)


def transfer(url: str, part: Path) -> None:
    """Write what ``url`` holds to ``part``, in three attempts at most; raises the last one's RequestException."""
    from requests import RequestException

    for pause in (*PAUSES, None):
        try:
            receive(url, part)
            return
        except RequestException as error:
            if pause is None or 400 <= status(error) < 500:
                raise
        time.sleep(pause)


def receive(url: str, part: Path) -> None:
    """Write what ``url`` holds to ``part`` in one attempt; raises RequestException where not all of it comes."""
    import requests
    from pooch import HTTPDownloader

    from .progress import Progress

    answers = []
    options = {
        "timeout": TIMEOUT,
        "headers": {"Accept-Encoding": "identity"},  # Content-Length is then the size of the file
        "hooks": {"response": lambda answer, **_: answers.append(answer)},
    }
    with Progress(
        total=1, desc=url.rsplit("/", 1)[-1], unit="B", unit_scale=True, leave=False
    ) as bar:  # pooch sets the total
        try:
            HTTPDownloader(progressbar=bar, chunk_size=2**16, **options)(url, part, None)
        finally:
            for answer in answers:
                answer.close()
    length, came = answers[-1].headers.get("Content-Length"), part.stat().st_size
    if "Content-Encoding" not in answers[-1].headers and length not in (None, str(came)):
        raise requests.ConnectionError(f"{came} of {length} bytes came.")


def verify(part: Path, check: Callable[[Path], object]) -> None:
    """Raise ValueError, in words that fit what just came, unless ``check`` takes the file ``part``."""
    if start := web_page(part):
        raise ValueError(f"what came is a web page or a message that begins {start!r}.")
    try:
        check(part)
    except ValueError as error:
        raise ValueError(str(error).replace(str(part), "what came")) from error


def web_page(path: Path) -> str:
    """Return how a file begins that is HTML or XML, at most 100 characters; "" for any other file."""
    with open(path, "rb") as file:
        start = file.read(400)
    return " ".join(start.decode("utf-8", "replace").split())[:100] if PAGE.match(start) else ""


def status(error: BaseException) -> int:
    """Return the HTTP status that an error is about, 0 without one."""
    return getattr(getattr(error, "response", None), "status_code", 0)


def brief(error: BaseException) -> str:
    """Return an error's kind and message on one line, of a failed connection the cause; at most 400 characters.

    >>> brief(ValueError("two\\nlines"))
    'ValueError: two lines'
    """
    told = " ".join(f"{type(error).__name__}: {error}".split())
    return re.sub(r"HTTPS?ConnectionPool\(.*\(Caused by (.*)\)", r"\1", told)[:400]
