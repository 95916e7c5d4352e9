"""A real HTTP server on loopback that serves bytes from memory, and fails as it is told."""

import http.server
import re
import socket
import struct
import threading
from collections import defaultdict

XML = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code></Error>'
HTML = b"<!DOCTYPE html><html><head><title>Sign in to this network</title></head></html>"


class Server(http.server.ThreadingHTTPServer):
    """What it holds, what it was asked for, and the faults that await a path's next requests, one each.

    files : {path: bytes}.
    faults : {path: [function(handler, content), ...]}; a path without one is served whole.
    asked : [(path, Range header or None), ...].
    ranges : whether it resumes where a Range header says.
    halfway : is set when a fault has sent half and waits; ``released`` ends the waiting.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.faults, self.asked, self.ranges = {}, defaultdict(list), [], True
        self.halfway, self.released = threading.Event(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that went away, which is what some tests are about

    def close(self):
        self.released.set()
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        faults, content = server.faults[self.path], server.files.get(self.path)
        if faults:
            faults.pop(0)(self, content)
        elif content is None:
            answer(XML, 404)(self, None)
        else:
            serve(self, content)

    def do_HEAD(self):
        content = self.server.files.get(self.path)
        self.head(404 if content is None else 200, len(content or b""), Accept_Ranges="bytes")

    def log_message(self, *arguments):
        pass

    def head(self, code, length, **headers):
        self.send_response(code)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()


def begin(handler, content):
    """Send the head of an answer with the whole file, or with the rest that was asked for; return that content."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
    if not asked or not handler.server.ranges:
        handler.head(200, len(content))
        return content
    rest = content[int(asked[1]) : int(asked[2]) + 1 if asked[2] else None]
    last = int(asked[1]) + len(rest) - 1
    handler.head(206, len(rest), Content_Range=f"bytes {asked[1]}-{last}/{len(content)}")
    return rest


def serve(handler, content):
    """Answer as asked."""
    handler.wfile.write(begin(handler, content))


def answer(body, code=200):
    """A fault: another body, with its true length."""

    def fault(handler, content):
        handler.head(code, len(body))
        handler.wfile.write(body)

    return fault


def cut(handler, content):
    """A fault: the connection ends after half of the announced bytes."""
    content = begin(handler, content)
    handler.wfile.write(content[: len(content) // 2])


def reset(handler, content):
    """A fault: the connection is torn down after half of the announced bytes."""
    cut(handler, content)
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def stall(handler, content):
    """A fault: nothing comes after half of the announced bytes, until the test goes on; then the rest."""
    content = begin(handler, content)
    half = len(content) // 2
    handler.wfile.write(content[:half])
    handler.wfile.flush()
    handler.server.halfway.set()
    handler.server.released.wait(60)
    handler.wfile.write(content[half:])


def drip(handler, content):
    """A fault that is none: the file comes whole, in twenty small pieces."""
    content = begin(handler, content)
    step = -(-len(content) // 20)
    for start in range(0, len(content), step):
        handler.wfile.write(content[start : start + step])
        handler.wfile.flush()
        handler.server.released.wait(0.02)
