"""How does a room of people fare on one JupyterHub: how long do they wait, how much memory does each take?

    python benchmarks/hub.py [--users 8] [--lessons 00 03] [--seconds 8] [--config FILE] [--no-tuner]

A real JupyterHub with docs/hub/jupyterhub_config.py on loopback (pip install -e ".[hub,test]"). Everybody logs in with the
room's password and starts a server, all in the same moment; then each lesson runs once for one person alone and once for
all together: each in a kernel of their own, every code cell in turn, by the hub's websockets, as a page would do it. Last,
all run the first of the lessons once more while one more person drags a tuner in headless Chromium, which is on the same
cores, as nobody's browser is in a real room.

Seconds are from asking for the kernel to the last cell's reply, and to that of the third; CPU seconds and memory are a
person's JupyterLab and kernel together. Memory is PSS, a person's part of what all take when they take most, of a look every
four seconds. An error in a cell, or a kernel that dies, ends the run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path

import nbformat
import psutil
import requests
import websocket
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from lab import answers, chromium, free_ports, run_notebook, wait_for, write_notebook  # noqa: E402
from lessons import NOTEBOOKS, share, watching  # noqa: E402
from slider import PREPARE, TUNER, measured  # noqa: E402

CONFIG = ROOT / "docs" / "hub" / "jupyterhub_config.py"
PASSWORD = "known to the room"
DRAGGER = "dragger"
V1 = "v1.kernel.websocket.jupyter.org"  # how JupyterLab's page talks with kernels


@contextmanager
def started(config, kept):
    """Yield (address, psutil.Process) of a JupyterHub on loopback that keeps what it must in a folder."""
    port, inner, api = free_ports(3)
    command = [sys.executable, "-m", "jupyterhub", "-f", config, "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--JupyterHub.hub_port={inner}", f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{api}"]
    place = {"TNV2_HUB": str(kept), "TNV2_HUB_PASSWORD": PASSWORD}
    with (kept / "log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | place, stdout=log, stderr=subprocess.STDOUT, cwd=kept)
        try:
            wait_for(lambda: process.poll() is not None or answers(f"http://127.0.0.1:{port}/hub/health"), 180)
            assert process.poll() is None, "the hub ended"
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        except BaseException:
            print("".join((kept / "log").read_text().splitlines(keepends=True)[-30:]), file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(60)


class Person:
    """One who is logged in at a hub, with a token for what she does there."""

    def __init__(self, address, name):
        self.name, self.api, self.own = name, f"{address}/hub/api/users/{name}", f"{address}/user/{name}"
        self.web = requests.Session()
        self.web.get(f"{address}/hub/login").raise_for_status()
        form = {"username": name, "password": PASSWORD, "_xsrf": self.secret()}
        self.web.post(f"{address}/hub/login", data=form, allow_redirects=False).raise_for_status()
        reply = self.web.post(f"{self.api}/tokens", headers={"X-XSRFToken": self.secret()})
        reply.raise_for_status()
        self.web = requests.Session()  # from here on by token alone
        self.web.headers["Authorization"] = f"token {reply.json()['token']}"

    def secret(self):
        """What a form must carry, against forgery."""
        return next(cookie.value for cookie in self.web.cookies if cookie.name == "_xsrf")

    def start(self, hub):
        """Start the person's JupyterLab; return the seconds until it is ready."""
        start = time.monotonic()
        self.web.post(f"{self.api}/server").raise_for_status()
        wait_for(lambda: self.web.get(self.api).json()["servers"].get("", {}).get("ready"), 180)
        seconds = time.monotonic() - start
        [self.lab] = [each for each in hub.children() if each.environ().get("JUPYTERHUB_USER") == self.name]
        return seconds

    def processes(self):
        """The processes of the person's JupyterLab and its kernels."""
        return [self.lab, *self.lab.children(recursive=True)]

    def run(self, lesson, start, end):
        """Run a lesson's code cells between two barriers that all people pass together; return its times."""
        cells = [cell.source for cell in nbformat.read(lesson, as_version=4).cells if cell.cell_type == "code"]
        start.wait()
        try:
            cpu, began, ends = spent(self.processes()), time.monotonic(), []
            reply = self.web.post(f"{self.own}/api/kernels", json={"name": "python3", "path": "tnv2-lessons"})
            reply.raise_for_status()
            kernel = f"{self.own}/api/kernels/{reply.json()['id']}"
            header = [f"Authorization: {self.web.headers['Authorization']}"]
            line = websocket.create_connection(
                f"{kernel}/channels".replace("http", "ws", 1), header=header, subprotocols=[V1], timeout=300
            )
            for cell in cells:
                execute(line, cell, f"{self.name}, {lesson.stem}")
                ends.append(time.monotonic() - began)
            times = {"s": ends[-1], "three_s": ends[2], "cpu_s": spent(self.processes()) - cpu}
        finally:
            end.wait()
        line.close()
        self.web.delete(kernel).raise_for_status()
        return times


def execute(line, code, who):
    """Run code in the kernel at the other end of a websocket; return when it is done, whatever it shows."""
    asked = uuid.uuid4().hex
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    header = {"msg_id": asked, "msg_type": "execute_request", "username": who, "session": asked, "version": "5.3"}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    line.send_binary(serialize_msg_to_ws_v1(message, "shell", lambda part: json.dumps(part).encode()))
    waiting = {"execute_reply", "idle"}
    while waiting:
        _, parts = deserialize_msg_from_ws_v1(line.recv())
        kind = json.loads(parts[0])["msg_type"]
        if kind not in ("execute_reply", "status"):
            continue
        parent, content = json.loads(parts[1]), json.loads(parts[3])
        if content.get("execution_state") in ("dead", "restarting"):
            raise RuntimeError(f"{who}: the kernel died in {code[:60]!r}")
        if parent.get("msg_id") == asked:
            if content.get("status") == "error":
                raise RuntimeError(f"{who}: {content['ename']}: {content['evalue']} in {code[:60]!r}")
            waiting.discard(content.get("execution_state", kind))


def spent(processes):
    """CPU seconds of processes, and of their children that have ended."""
    return sum(sum(process.cpu_times()[:4]) for process in processes)


def held(people):
    """PSS of the people's processes in GB, divided by their number."""
    megabytes = 0.0
    for process in chain.from_iterable(person.processes() for person in people):
        with suppress(psutil.Error, OSError):  # it has just ended
            megabytes += share(process)
    return megabytes / 1000 / len(people)


def together(people, lesson, meanwhile=None):
    """Run a lesson for all people at once; return their figures as one row, and those of ``meanwhile()``."""
    start, end = (threading.Barrier(len(people) + 1) for _ in range(2))
    seen = []
    with ThreadPoolExecutor(len(people)) as pool:
        runs = [pool.submit(person.run, lesson, start, end) for person in people]
        with watching(lambda: seen.append(held(people)), 4):
            start.wait()
            other = meanwhile() if meanwhile else None
            end.wait()
        runs = [run.result() for run in runs]
    times = [run["s"] for run in runs]
    row = {"median_s": statistics.median(times), "worst_s": max(times), "gb": max(seen)}
    return row | {name: statistics.mean(run[name] for run in runs) for name in ("three_s", "cpu_s")}, other


def opened(browser, address, kept):
    """Return the page of a person with a tuner in her notebook; she logs in and starts her server by hand."""
    home = kept / "people" / DRAGGER
    (home / "notebooks").mkdir(parents=True)
    write_notebook(home / "notebooks" / "tuner.ipynb", ["FOLDER = None\n" + PREPARE, TUNER])
    (home / ".jupyter").mkdir()
    (home / ".jupyter" / "jupyter_server_config.json").write_text('{"LabApp": {"expose_app_in_browser": true}}')
    page = browser.new_page(viewport={"width": 1360, "height": 1000})
    page.goto(f"{address}/hub/login")
    page.fill("input[name=username]", DRAGGER)
    page.fill("input[name=password]", PASSWORD)
    page.click("[type=submit]")
    page.wait_for_url("**/lab/**", timeout=120_000)
    run_notebook(page, f"{address}/user/{DRAGGER}", "tuner.ipynb", ".tnv2-tuner canvas")
    page.wait_for_timeout(4000)
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--lessons", nargs="+", default=["00", "03"], metavar="NUMBER")
    parser.add_argument("--seconds", type=float, default=8, help="for which the tuner is dragged")
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--no-tuner", dest="tuner", action="store_false")
    given = parser.parse_args()
    lessons = [path for path in NOTEBOOKS if path.stem[:2] in given.lessons]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        kept, cores = Path(folder), os.cpu_count()
        address, hub = stack.enter_context(started(given.config, kept))
        people = [Person(address, f"person{number}") for number in range(given.users)]
        first = people[0].start(hub)
        with ThreadPoolExecutor(given.users) as pool:
            last = max(pool.map(partial(Person.start, hub=hub), people[1:]), default=first)
        record = {"users": given.users, "cores": cores, "server_s": first, "servers_s": last, "server_gb": held(people)}
        print(
            f"{given.users} people on {cores} cores. JupyterLab starts in {first:.1f} s for the first, in {last:.1f} s for"
        )
        print(f"the others at once, and takes {record['server_gb']:.2f} GB each.")
        titles = ("alone s", "three cells", "together s", "worst s", "three cells", "CPU s", "GB each")
        print(f"{'lesson':28}" + "".join(f"{title:>12}" for title in titles))
        for lesson in lessons:
            alone, everybody = (together(some, lesson)[0] for some in (people[:1], people))
            record[lesson.stem] = {"alone": alone, "together": everybody}
            report(lesson.stem, alone, everybody)
        if given.tuner:
            page = opened(stack.enter_context(chromium()), address, kept)
            drag = partial(measured, page, "tuner", given.seconds, 10)
            before = drag()["updates_per_s"]
            everybody, meanwhile = together(people, lessons[0], drag)
            record["tuner"] = {"alone": before, "together": meanwhile["updates_per_s"], "lesson": everybody}
            report(f"{lessons[0].stem} and a tuner", None, everybody)
            print(f"tuner: {before:.0f} updates/s alone, {meanwhile['updates_per_s']:.0f} meanwhile")
    print(json.dumps(rounded(record)))


def report(title, alone, everybody):
    """Print a row of the table."""
    first = [f"{alone['median_s']:12.1f}{alone['three_s']:12.1f}" if alone else " " * 24]
    rest = [f"{everybody[name]:12.1f}" for name in ("median_s", "worst_s", "three_s", "cpu_s")]
    print(f"{title:28}" + "".join([*first, *rest]) + f"{everybody['gb']:12.2f}", flush=True)


def rounded(value):
    """The same with its floats rounded to hundredths."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    return round(value, 2) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
