"""Findings: what a checkup found, and what is to be done about it, as lines to read."""

import os
import shlex
import sys
import textwrap
from dataclasses import dataclass
from importlib import metadata

from ..downloads import brief
from ..files import PACKAGE

ROOT = PACKAGE.parent
PYTHON = shlex.quote(sys.executable)
INSTALL = f'{PYTHON} -m pip install -c constraints.txt -e ".[lab]"'
WIDTH, LONGEST = 100, 300  # characters, of a line and of what is told on a topic


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
    result: object = None


class WrongError(Exception):
    """Something that is wrong, and the command against it."""

    def __init__(self, found, remedy):
        super().__init__(found)
        self.remedy = remedy


def examined(topic, check, *needs, remedy=INSTALL):
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


def well(findings):
    """Return whether nothing is wrong."""
    return all(finding.mark in ("ok", "optional") for finding in findings)


def report(findings):
    """Return the findings as text, a line each where it fits and a command below what needs one."""
    lines = [f"tnv2 {version()} in {ROOT}"]
    for finding in findings:
        found, remedy = (text.replace(f"{ROOT}{os.sep}", "") for text in (finding.found, finding.remedy))
        lines += wrapped(f"{finding.mark:10}{finding.topic:12}", textwrap.shorten(found, LONGEST, placeholder=" ..."))
        lines += [f"{'':22}-> {command}" for command in remedy.splitlines()]
    verdict = "would run" if well(findings) else f"would not run as it should. In {ROOT}, do what -> says, from the top"
    return "\n".join([*lines, f"notebooks/00_start_here.ipynb {verdict}."])


def wrapped(start, text):
    """Return text as lines that hang under ``start``."""
    hang = {"initial_indent": start, "subsequent_indent": " " * len(start)}
    return textwrap.wrap(text, WIDTH, **hang, break_on_hyphens=False, break_long_words=False)  # paths stay whole


def version():
    """Return the kit's version, "not installed" where pip does not know it."""
    try:
        return metadata.version("tnv2")
    except metadata.PackageNotFoundError:
        return "(not installed)"
