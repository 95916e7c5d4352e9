"""A real JupyterLab on loopback and a notebook in it, for tests and for the pictures in docs/."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "tnv2-test"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def chromium():
    """Yield Debian's Chromium, headless, or None where it is not installed."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def jupyterlab(folder):
    """Yield the address of a JupyterLab that serves a copy of notebooks/ from ``folder``, its news turned off."""
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    quiet = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    places = {"JUPYTERLAB_SETTINGS_DIR": folder / "settings", "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces"}
    with jupyter(folder, "jupyterlab", "--LabApp.expose_app_in_browser=True", **places) as address:
        yield address


@contextlib.contextmanager
def jupyter(folder, module, *options, **environment):
    """Yield the address of a Jupyter server of ``folder`` whose pages are those of jupyterlab or notebook."""
    command = [sys.executable, "-m", module, "--allow-root", f"--IdentityProvider.token={TOKEN}"]
    command += ["--ip=127.0.0.1", f"--ServerApp.root_dir={folder}", *options]
    with running(folder, command, f"/api/status?token={TOKEN}", environment) as address:
        yield address


@contextlib.contextmanager
def running(folder, command, ready, environment=None):
    """Yield the address of a server that a command starts with a port of its own, once it answers at ``ready``."""
    [port] = free_ports(1)
    command = [*command, "--no-browser", f"--port={port}"]
    log = (folder / "log").open("w")
    server = subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, stdout=log, stderr=subprocess.STDOUT, cwd=folder
    )
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}{ready}"), 60)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def free_ports(count):
    """Return the numbers of ports of loopback that nobody listens at now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def run_notebook(page, address, name, finished):
    """Open a notebook of a JupyterLab in ``page``, run all its cells and wait until the selector ``finished`` is there.

    Each notebook has a workspace of its own, or JupyterLab would open those of earlier pages beside it.
    """
    page.goto(f"{address}/lab/workspaces/{Path(name).stem}/tree/notebooks/{name}?token={TOKEN}")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_function(
        "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'", timeout=60_000
    )
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_selector(finished, timeout=180_000)


@contextlib.contextmanager
def notebook(browser, lab_server, source, finished):
    """Yield the page of a notebook of one cell, run until the selector ``finished`` is there; its kernel ends with it.

    lab_server : a JupyterLab's address and the folder of its notebooks.
    """
    address, folder = lab_server
    name = f"cell_{secrets.token_hex(4)}.ipynb"
    write_notebook(folder / name, [source])
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    try:
        run_notebook(page, address, name, finished)
        yield page
    finally:
        page.close()
        end_kernels(address)


def end_kernels(address):
    """Shut all kernels of a Jupyter server down."""
    allowed = {"Authorization": f"token {TOKEN}"}
    with urllib.request.urlopen(urllib.request.Request(f"{address}/api/sessions", headers=allowed)) as reply:
        sessions = json.load(reply)
    for session in sessions:
        one = urllib.request.Request(f"{address}/api/sessions/{session['id']}", headers=allowed, method="DELETE")
        urllib.request.urlopen(one).close()


def code_cells(page):
    """Return the notebook's code cells as JupyterLab holds them: [{source, count, outputs, hidden}, ...].

    count : how often the kernel had run a cell when this one ran, None if it has not. outputs : as nbformat has them.
    """
    return page.evaluate(
        """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
            .filter(({ type }) => type === "code")
            .map((cell) => ({
                source: cell.sharedModel.getSource(),
                count: cell.executionCount,
                outputs: cell.outputs.toJSON(),
                hidden: cell.getMetadata("jupyter")?.source_hidden ?? false,
            }))"""
    )


def write_notebook(path, cells):
    """Write a notebook of code cells that says which kernel it wants, or JupyterLab would ask."""
    import nbformat

    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)), metadata=kernel), path)


def kernel_says(page, code):
    """Run code in the notebook's kernel and return what it prints; once more where the page never hears that it is done.

    On a crowded machine the message that ends a run may get lost between kernel and page, so ``code`` must bear repeating.
    """
    for _ in range(3):
        said = page.evaluate(
            """async (code) => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({code});
                let text = "";
                future.onIOPub = ({content}) => { text += content.text ?? content.evalue ?? ""; };
                const late = new Promise((resolve) => setTimeout(resolve, 30000, "late"));
                return await Promise.race([future.done, late]) === "late" ? null : text.trim();
            }""",
            code,
        )
        if said is not None:
            return said
    raise AssertionError(f"the kernel did not finish {code!r} within 30 s, three times")


def answers(address):
    """Return whether an HTTP server says 200."""
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def wait_for(condition, seconds):
    """Return once ``condition()`` is true; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing after {seconds} s"
        time.sleep(0.2)
