"""The command ``tnv2``: would the lessons run here, the lessons in JupyterLab, and the page that needs no Python."""

import argparse
import shutil
import sys
from pathlib import Path

from .checkup import doctor
from .files import box, replacing, version

LESSONS = Path("tnv2-lessons")
FIRST = "00_start_here.ipynb"
PAGE = "tnv2-page.html"
HELP = f"""commands:
  tnv2 check     say in one screen whether the first lesson would run here, and what to do if not (so does tnv2 alone)
  tnv2 lab ...   copy the lessons into ./{LESSONS}, never over what is there, and open JupyterLab on the first one;
                 what follows goes to JupyterLab: tnv2 lab --no-browser --port 8890
  tnv2 page [FILE.html] [WEIGHTS]
                 write {PAGE}, or FILE.html: the network and the tuner as one page for people without Python;
                 WEIGHTS are "mini", "small" or a file's path"""


def main() -> int | str:
    """Run the command and return its exit status, of ``check`` 0 where the first lesson would run, or what went wrong."""
    parser = argparse.ArgumentParser(
        prog="tnv2", usage="tnv2 [check | lab ... | page ...]", epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="See, teach and tune building detection from satellite tiles, in JupyterLab.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"tnv2 {version()}")
    parser.add_argument("command", nargs="?", choices=("check", "lab", "page"), default="check", help=argparse.SUPPRESS)
    parser.add_argument("options", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.command == "check":
        if arguments.options:
            parser.error(f"check takes no options, and came with {' '.join(arguments.options)}")
        return 0 if doctor() else 1
    if arguments.command == "page":
        if len(arguments.options) > 2:
            parser.error(f"page takes a file and weights, and came with {' '.join(arguments.options)}")
        return write_page(*arguments.options)
    try:
        copy_lessons()
    except OSError as error:
        return (
            f"tnv2: {LESSONS.absolute()} cannot be written ({error.strerror}). Run tnv2 lab in a folder of yours with room."
        )
    return open_lab(arguments.options)


def copy_lessons() -> None:
    """Copy the lessons into the folder LESSONS, those that are not there yet, and say how many that were."""
    here = [path for path in sorted(box("notebooks").iterdir()) if path.suffix in (".ipynb", ".md")]
    new = [path for path in here if not (LESSONS / path.name).exists()]
    for path in new:
        with replacing(LESSONS / path.name) as part:
            shutil.copyfile(path, part)
    kept = f", {len(here) - len(new)} were there and stay as they are" if len(new) < len(here) else ""
    print(f"{LESSONS.absolute()}: {len(new)} files copied{kept}.")


def write_page(path: str = PAGE, weights: str = "mini") -> int | str:
    """Write the page and say where it is; return 0, or what went wrong."""
    from .page import save_page

    try:
        save_page(path, weights)
    except (ValueError, OSError, ImportError) as error:
        return f"tnv2: {error}"
    size = Path(path).stat().st_size / 1e6
    print(f"{Path(path).absolute()}: {size:.1f} MB. Open it in a browser, from disk or a mail; it needs nothing else.")
    return 0


def open_lab(options: list[str]) -> int:
    """Run JupyterLab on the first lesson, reachable from this computer only unless ``options`` say otherwise."""
    from jupyterlab.labapp import main as jupyterlab

    place = [f"--ServerApp.root_dir={Path.cwd()}", f"--LabApp.default_url=/lab/tree/{LESSONS.name}/{FIRST}"]
    return jupyterlab(["--ip=localhost", *place, *options])


if __name__ == "__main__":
    sys.exit(main())
