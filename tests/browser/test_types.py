"""TypeScript's checker finds nothing in the browser's files: what crosses a function is what its JSDoc says."""

import os
import shutil
import subprocess

import pytest
from lab import ROOT

FILES = sorted((ROOT / "tnv2" / "browser").glob("*.js"))
FLAGS = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2022", "--module", "es2022"]
FLAGS += ["--moduleResolution", "bundler", "--lib", "es2022,dom,dom.iterable"]


def test_types_hold():
    tsc = os.environ.get("TNV2_TSC") or shutil.which("tsc")
    if tsc is None:
        pytest.skip("tsc is not found; `npm install -g typescript` gets it, or set TNV2_TSC to its path")
    check = subprocess.run([tsc, *FLAGS, *FILES], capture_output=True, text=True, timeout=120)
    assert check.returncode == 0, check.stdout + check.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_editors_check_the_types_too(file):
    assert file.read_text(encoding="utf-8").startswith("// @ts-check\n")
