"""A real Firefox, headless, driven by WebDriver BiDi, which it speaks itself: no driver beside it is needed."""

import json
import re
import subprocess
import time
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import websocket  # of JupyterLab's own dependencies

PREFERENCES = 'user_pref("remote.active-protocols", 1);\nuser_pref("browser.shell.checkDefaultBrowser", false);\n'


class Page:
    """A page of Firefox: ``open``, ``evaluate``, ``set_files``."""

    def __init__(self, address):
        self._socket = websocket.create_connection(f"{address}/session", timeout=180, suppress_origin=True)
        self._number = 0
        self._ask("session.new", capabilities={})
        self._context = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def _ask(self, method, **params):
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while (answer := json.loads(self._socket.recv())).get("id") != self._number:
            pass  # an event
        assert answer["type"] == "success", answer
        return answer["result"]

    def close(self):
        """Leave the page."""
        self._socket.close()

    def open(self, url):
        """Go to a page, and wait until it has loaded."""
        self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, expression):
        """Return what a JavaScript expression gives, awaited, as Python has it."""
        wrapped = f"Promise.resolve({expression}).then((value) => JSON.stringify(value ?? null))"
        target = {"context": self._context}
        answer = self._ask("script.evaluate", expression=wrapped, target=target, awaitPromise=True)
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    def set_files(self, selector, paths):
        """Give files to an input."""
        found = self._ask("browsingContext.locateNodes", context=self._context, locator={"type": "css", "value": selector})
        element = {"sharedId": found["nodes"][0]["sharedId"]}
        self._ask("input.setFiles", context=self._context, element=element, files=[str(path) for path in paths])

    def wait(self, expression, seconds=120):
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"{expression} did not become true in {seconds} s"
            time.sleep(0.1)


@contextmanager
def firefox(command="firefox-esr"):
    """Yield the Page of a new Firefox with a profile of its own."""
    with TemporaryDirectory() as profile:
        with open(f"{profile}/user.js", "w", encoding="utf-8") as file:
            file.write(PREFERENCES)
        order = [command, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
        process = subprocess.Popen(order, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        try:
            for line in process.stderr:
                if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
                    break
            else:
                raise RuntimeError("Firefox did not start")
            page = Page(found[1])
            yield page
            page.close()
        finally:
            process.terminate()
            process.wait(20)
            process.stderr.close()
