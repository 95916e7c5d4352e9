"""Downloads: a file has its name when it is whole and right, whatever the server does; nothing else has."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from server import HTML, XML, answer, cut, drip, reset, stall

from tnv2.downloads import DAY, NotOnServerError, fetch, web_page

CONTENT = bytes(range(256)) * 2000  # eight chunks
CHILD = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born deaf to it
import sys
from tnv2 import downloads
try:
    downloads.fetch(sys.argv[1], sys.argv[2], lambda path: None)
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


def same(path):
    """Take nothing but the right bytes."""
    if path.read_bytes() != CONTENT:
        raise ValueError(f"{path} has other bytes. Look at them.")


@pytest.fixture
def url(server):
    server.files["/a.bin"] = CONTENT
    return f"{server.url}/a.bin"


def left(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_comes_once_and_whole(server, url, tmp_path):
    path = tmp_path / "city" / "a.bin"
    assert fetch(url, path, same) == path
    assert fetch(url, str(path), same) == path
    assert path.read_bytes() == CONTENT
    assert server.asked == [("/a.bin", None)]
    assert left(tmp_path) == ["a.bin", "city"]


def test_a_file_is_as_readable_as_any_other(url, tmp_path):
    (tmp_path / "mine").touch()
    assert fetch(url, tmp_path / "a.bin", same).stat().st_mode == (tmp_path / "mine").stat().st_mode


@pytest.mark.parametrize("fault", [cut, reset, answer(XML, 500), answer(XML, 503)])
@pytest.mark.parametrize("times", [1, 2])
def test_a_fault_that_passes_is_overcome(server, url, tmp_path, fault, times):
    server.faults["/a.bin"] = [fault] * times
    assert fetch(url, tmp_path / "a.bin", same).read_bytes() == CONTENT
    assert server.asked == [("/a.bin", None)] * (times + 1)
    assert left(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("fault", "asked", "message"),
    [
        (cut, 3, r"could not be fetched .*(IncompleteRead|256000 of 512000 bytes came)"),
        (reset, 3, r"could not be fetched \("),
        (stall, 3, r"could not be fetched .*Read timed out"),
        (answer(XML, 500), 3, r"500 Server Error"),
        (answer(XML, 403), 1, r"403 Client Error"),
        (answer(HTML), 1, r"a web page or a message that begins '<!DOCTYPE html><html><head><title>Sign in to this network"),
        (answer(XML), 1, r"begins '<\?xml version.*NoSuchKey"),
        (answer(CONTENT[:-1]), 1, r"ValueError: what came has other bytes\. Look at them\."),
        (answer(b""), 1, r"what came has other bytes"),
        (lambda handler, content: None, 3, r"could not be fetched \("),
    ],
    ids=["cut", "reset", "stalled", "500", "403", "page", "xml", "short", "empty", "mute"],
)
def test_after_a_lasting_fault_nothing_is_left_and_a_later_call_succeeds(
    server, url, tmp_path, monkeypatch, fault, asked, message
):
    monkeypatch.setattr("tnv2.downloads.TIMEOUT", 0.3)
    server.faults["/a.bin"] = [fault] * 3
    with pytest.raises(ConnectionError, match=message) as caught:
        fetch(url, tmp_path / "a.bin", same)
    assert url in str(caught.value)
    assert "run this again" in str(caught.value)
    assert ".part" not in str(caught.value)
    assert left(tmp_path) == []
    assert len(server.asked) == asked
    server.faults.clear()
    monkeypatch.setattr("tnv2.downloads.TIMEOUT", 2)
    assert fetch(url, tmp_path / "a.bin", same).read_bytes() == CONTENT


def test_a_missing_file_is_told_apart(server, tmp_path):
    with pytest.raises(NotOnServerError, match=r"/gone\.bin does not exist \(404\)"):
        fetch(f"{server.url}/gone.bin", tmp_path / "a.bin", same)
    assert left(tmp_path) == []
    assert len(server.asked) == 1


def test_a_server_that_refuses_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("tnv2.downloads.PAUSES", (0,))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ConnectionError, match=r"\(ConnectionError: NewConnectionError.*refused.*\)\. Check the network"):
        fetch(f"http://127.0.0.1:{port}/a.bin", tmp_path / "a.bin", same)
    assert left(tmp_path) == []


def test_a_slow_server_is_waited_for_with_a_bar(server, url, tmp_path, capsys):
    server.faults["/a.bin"] = [drip]
    assert fetch(url, tmp_path / "a.bin", same).read_bytes() == CONTENT
    assert re.search(r"a\.bin: +[1-9]\d%\|.*/512k", capsys.readouterr().err)


def test_a_folder_that_cannot_be_written_is_said(url, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file.a\.bin cannot be written .* Pass a folder of yours"):
        fetch(url, tmp_path / "file" / "a.bin", same)


def child(url, path):
    return subprocess.Popen([sys.executable, "-c", CHILD, url, path], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("blow", "kept"), [(signal.SIGINT, 0), (signal.SIGKILL, 1)])
def test_an_interrupted_process_leaves_no_half_file(server, url, tmp_path, blow, kept):
    server.faults["/a.bin"] = [stall]
    with child(url, tmp_path / "a.bin") as process:
        assert server.halfway.wait(60)
        process.send_signal(blow)
        _, error = process.communicate(timeout=60)
    assert process.returncode
    assert ("interrupted" in error) == (blow == signal.SIGINT)
    parts = [path for path in tmp_path.iterdir() if path.name.startswith(".a.bin.") and path.suffix == ".part"]
    assert list(tmp_path.iterdir()) == parts
    assert len(parts) == kept
    assert fetch(url, tmp_path / "a.bin", same).read_bytes() == CONTENT


def test_what_a_killed_process_left_goes_after_a_day(url, tmp_path):
    old, new = tmp_path / ".a.bin.x.part", tmp_path / ".a.bin.y.part"
    for folder in (old, new):
        folder.mkdir()
        (folder / "part").touch()
    os.utime(old, times=(time.time() - DAY - 1,) * 2)
    fetch(url, tmp_path / "a.bin", same)
    assert left(tmp_path) == [".a.bin.y.part", "a.bin", "part"]


def test_two_processes_at_once_both_end_with_a_whole_file(server, url, tmp_path):
    server.faults["/a.bin"] = [stall, drip]
    with child(url, tmp_path / "a.bin") as first:
        assert server.halfway.wait(60)
        with child(url, tmp_path / "a.bin") as second:
            second.communicate(timeout=60)
        assert (tmp_path / "a.bin").read_bytes() == CONTENT
        server.released.set()
        first.communicate(timeout=60)
    assert (first.returncode, second.returncode, len(server.asked)) == (0, 0, 2)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert left(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("content", "page"),
    [
        (HTML, True),
        (XML, True),
        (b"\xef\xbb\xbf \n<html>", True),
        (b"", False),
        (b"II*\0", False),
        (b"PK\3\4<html>", False),
        (b'{"type": "<html>"}', False),
        (b" <\0\0\0\0\0\0{}", False),  # a safetensors file whose header has 15392 bytes
    ],
)
def test_web_pages_are_told_from_files(tmp_path, content, page):
    (tmp_path / "a").write_bytes(content)
    assert bool(web_page(tmp_path / "a")) == page
