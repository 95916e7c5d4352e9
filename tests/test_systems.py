"""The kit needs nothing that one system alone has: no POSIX module, no encoding or separator of its own."""

import ast
import subprocess
import sys

import pytest
from lab import ROOT

WITHOUT = """
import sys

sys.modules |= dict.fromkeys(("fcntl", "resource", "pwd", "grp", "termios"))  # None: importing it fails

import importlib
import pkgutil

import tnv2

modules = [module.name for module in pkgutil.walk_packages(tnv2.__path__, "tnv2.")]
for name in modules:
    importlib.import_module(name)
tile, model = tnv2.sample_tiles()[0], tnv2.load_model(device="cpu")
maps = tnv2.predict(model, tile)
tuner = tnv2.ThresholdTuner(tile, maps)
assert tnv2.match(tile.truth, tnv2.label_instances(maps, model.thresholds)).f1 > 0.5
assert tnv2.overlay(tnv2.true_colour(tile), tuner.labels).shape == tile.rgb.shape
print(len(modules))
"""


def test_every_module_and_the_first_lesson_run_without_posix():
    ran = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 60


@pytest.mark.parametrize("path", sorted((ROOT / "tnv2").rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_text_has_its_encoding_said(path):
    """As ``open("w")`` and ``read_text()`` without one give what the system likes, which on Windows is not UTF-8."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) in ("rasterio.open", "tarfile.open", "write_text"):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        said = {keyword.arg for keyword in node.keywords}
        mode = "".join(str(each.value) for each in node.args if isinstance(each, ast.Constant))
        if name in ("read_text", "write_text") or (name == "open" and "b" not in mode):
            assert "encoding" in said or "utf-8" in mode, f"line {node.lineno}: {ast.unparse(node)}"
        if name == "write_text" or (name == "open" and "w" in mode and "b" not in mode):
            assert "newline" in said, f"line {node.lineno}: {ast.unparse(node)}"
