"""Findings: what a checkup found, and what is to be done about it, as lines to read."""

import os
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..downloads import brief
from ..files import PACKAGE, in_checkout, version

ROOT = PACKAGE.parent
quoted = shlex.quote if os.name != "nt" else lambda text: subprocess.list2cmdline([text])  # for the shell that is likely
PYTHON = quoted(sys.executable)
INSTALL = f"{PYTHON} -m pip install " + ("-c constraints.txt -e ." if in_checkout() else "tnv2")
WIDTH, LONGEST = 100, 260  # characters, of a line and of what is told on a topic


@dataclass(frozen=True)
class Finding:
    """What was found on one topic.

    mark : "ok", "optional" (it runs without), "WRONG", or "not tried" (it needs what is wrong).
    remedy : commands, a line each, "" where there is nothing to do.
    result : what later checks go on with, None if it failed.
    """

    mark: str
    topic: str
    found: str
    remedy: str = ""
    result: Any = None


class WrongError(Exception):
    """Something that is wrong, and the command against it."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.remedy = remedy


def restored(name: str) -> str:
    """Return the command that brings back a file or folder of the box."""
    return f"git checkout -- {name}" if in_checkout() else f"{PYTHON} -m pip install --force-reinstall --no-deps tnv2-*.whl"


def examined(topic: str, check: Callable[..., Finding], *needs: Finding, remedy: str = INSTALL) -> Finding:
    """Return the Finding of ``check(*results of needs)``; whatever it raises is one too.

    needs : Findings that it goes on with. remedy : the command against an error that does not bring its own.
    """
    lacking = [need.topic for need in needs if need.result is None]
    if lacking:
        return Finding("not tried", topic, f"needs {' and '.join(lacking)}, see there")
    try:
        return check(*(need.result for need in needs))
    except WrongError as error:
        return Finding("WRONG", topic, str(error), error.remedy)
    except Exception as error:  # anything that a broken environment leads to
        return Finding("WRONG", topic, brief(error), INSTALL if isinstance(error, ImportError) else remedy)


def well(findings: list[Finding]) -> bool:
    """Return whether nothing is wrong."""
    return all(finding.mark in ("ok", "optional") for finding in findings)


def report(findings: list[Finding]) -> str:
    """Return the findings as text, a line each where it fits and a command below what needs one."""
    lines = [f"tnv2 {version()} in {ROOT}"]
    for finding in findings:
        found, remedy = (text.replace(f"{ROOT}{os.sep}", "") for text in (finding.found, finding.remedy))
        lines += wrapped(f"{finding.mark:10}{finding.topic:12}", textwrap.shorten(found, LONGEST, placeholder=" ..."))
        lines += [f"{'':22}-> {command}" for command in remedy.splitlines()]
    verdict = "would run" if well(findings) else f"would not run as it should. In {ROOT}, do what -> says, from the top"
    return "\n".join([*lines, f"The first lesson, 00_start_here.ipynb, {verdict}."])


def wrapped(start: str, text: str) -> list[str]:
    """Return text as lines that hang under ``start``."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False, break_long_words=False
    )  # paths stay whole
