"""Files: where the kit's own are, and how others are written: whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory

PathLike = str | os.PathLike[str]

PACKAGE = Path(__file__).resolve().parent


def box(name: str) -> Path:
    """Return the folder ``name`` of what comes with the kit: "notebooks", "sample_data" or "weights".

    An installed package holds them in ``box/``; in a checkout they lie beside ``tnv2/``.
    """
    return (PACKAGE.parent if in_checkout() else PACKAGE / "box") / name


def in_checkout() -> bool:
    """Return whether the kit runs from a checkout, rather than from an installed wheel."""
    return not (PACKAGE / "box").is_dir()


def version() -> str:
    """Return the kit's version, "not installed" where pip does not know it."""
    try:
        return metadata.version("tnv2")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def expanded(path: PathLike) -> Path:
    """Return the Path that a user means, the home folder for a "~" at its beginning; "~old.tif" may be a file's name.

    >>> expanded("~old.tif").name
    '~old.tif'
    """
    return Path(os.path.expanduser(path))


def checked_path(path: PathLike, *suffixes: str) -> Path:
    """Return the Path of a file to write; raises ValueError unless its name ends in one of ``suffixes``.

    >>> checked_path("labels.tiff", ".tif", ".tiff").name
    'labels.tiff'
    """
    path = expanded(path)
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{path} ends in {path.suffix or 'nothing'!r}; name this kind of file *{' or *'.join(suffixes)}.")
    return path


def checked_name(name: str) -> str:
    """Return a name that a file may have in any folder; raises ValueError for one that leads out of the folder.

    >>> checked_name("AOI_2_Vegas_img1")
    'AOI_2_Vegas_img1'
    """
    if not isinstance(name, str) or name == ".." or "\0" in name or Path(name).name != name:
        raise ValueError(
            f'name is {name!r}; it is for titles and file names, so it has no "/" and is no folder. '
            'Pass one such as "AOI_2_Vegas_img1".'
        )
    return name


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path of the same name to write to; what is there afterwards takes the place of ``path``, or nothing does.

    The yielded path is in a hidden folder beside ``path``, so that moving it is one step and what else a library puts
    beside its file goes with the folder. Folders on the way to ``path`` are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        part = Path(folder, path.name)
        yield part
        os.replace(part, path)


@contextmanager
def disk_told(path: Path, library: type[Exception]) -> Iterator[None]:
    """Raise OSError with the disk's reason for a ``library``'s own errors while it writes ``path``."""
    try:
        yield
    except library as error:
        number = errno.ENOSPC if disk_usage(path.parent).free < 2**20 else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8 with its newlines as they are, on every system, whole or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
