"""Runs: what is ordered, by whom it is done, and what keeps two of them apart."""

import json
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

from ..files import PathLike, write_text
from ..instances import PACKAGES, Thresholds
from ..network import FILES, TernausNetV2, as_model, checked_precision, sha256, weights_file, weights_name
from .sheets import Order, Outcome, name_of, room_in

if TYPE_CHECKING:
    from distributed import Client

REMEDY = "Pass another folder as out, or remove this one."
Item = TypeVar("Item")
Ordered = TypeVar("Ordered", bound=Order)


def check_client(client: "Client", ahead: int) -> None:
    """Raise ValueError unless these are a Dask client that waits for its results and a number of tiles."""
    from distributed import Client

    if not isinstance(client, Client) or client.asynchronous:
        raise ValueError(f"client is {client!r}; pass a dask.distributed.Client, such as Client(LocalCluster()).")
    if not isinstance(ahead, int) or ahead < 1:
        raise ValueError(f"ahead is {ahead!r}; at least 1 tile a thread is under way. Leave it out for 2.")


def ordered(folder: Path, model: TernausNetV2 | PathLike, precision: str, thresholds: Thresholds | None, crs: str) -> Order:
    """Return the Order of a run; raises ValueError for what it cannot be, FileNotFoundError without weights."""
    name = weights_name(model)
    thresholds = as_model(model).thresholds if thresholds is None else thresholds
    if not isinstance(thresholds, Thresholds):
        raise ValueError(f"thresholds are {thresholds!r}; pass Thresholds. load_model(model).thresholds are recommended.")
    if precision != "auto":
        checked_precision(precision)
    path = weights_file(name)
    digest = sha256(path)
    if isinstance(model, TernausNetV2) and model.origin["sha256"] != digest:
        raise ValueError(f"{path} is not what the model was loaded from any more. Load it again, and pass that.")
    return Order(folder, name if name in FILES else str(Path(path).absolute()), digest, precision, thresholds, crs)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a lock on the map's folder, which ends with this process; raises RuntimeError where another holds it."""
    lock = FileLock(folder / ".lock", timeout=0)
    with room_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise RuntimeError(f"another run is at work in {folder}. Wait for it, or pass another folder.") from None
    try:
        yield
    finally:
        lock.release()


def keep_recipe(order: Order) -> None:
    """Write ``recipe.json``; raises ValueError where the folder's maps were made otherwise than ordered."""
    path = order.folder / "recipe.json"
    record = {**asdict(order), "versions": {name: metadata.version(name) for name in PACKAGES}}
    record = json.loads(json.dumps({"format": record.pop("format")} | record | {"folder": None}))
    del record["folder"]
    if path.is_file():
        try:
            old = json.loads(path.read_text(encoding="utf-8"))
            other = [key for key in order.fixed if old[key] != record[key]]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} is no recipe of a map ({type(error).__name__}: {error}). {REMEDY}") from error
        if other:
            told = "; ".join(f"{key} {str(old[key])[:60]}, not {str(record[key])[:60]}" for key in other)
            raise ValueError(f"the maps in {order.folder} were made with {old.get('weights')!r}: {told}. {REMEDY}")
    elif (order.folder / "maps").exists():
        raise ValueError(f"{order.folder} has maps and no recipe.json, so nobody knows their weights. {REMEDY}")
    with room_in(order.folder):
        write_text(path, json.dumps(record, indent=2) + "\n")


def work(
    client: "Client | None",
    function: Callable[[Sequence[Item], Ordered], list[Outcome]],
    items: Iterable[Item],
    order: Ordered,
    ahead: int,
) -> Iterator[Outcome]:
    """Yield what ``function(items, order)`` returns, from a client's workers, or from this process without one.

    A call gets one item, and as many as an Outcome asks for from then on. At most ``ahead`` calls a thread of the workers
    there are now are under way. Those over which workers died are tried again one by one.
    """
    waiting, again, together = iter(items), deque[Item](), 1
    if client is None:
        for item in waiting:
            yield from function([item], order)
        return
    from distributed import Future, KilledWorker, as_completed

    done, running = as_completed(), dict[Future, list[Item]]()
    try:
        while True:
            most = ahead * max(1, sum(client.nthreads().values()))
            while len(running) < most and (group := [again.popleft()] if again else list(islice(waiting, together))):
                future = client.submit(function, group, order, pure=False)
                running[future] = group
                done.add(future)
            if not running:
                return
            future = next(done)
            group = running.pop(future)
            try:
                outcomes = future.result()
            except KilledWorker as error:
                if len(group) > 1:
                    again.extend(group)
                    continue
                told = f"workers died over it, of memory perhaps: {error}"
                outcomes = [Outcome(name_of(group[0]), error=told)]
            together = max([together, *(outcome.together for outcome in outcomes)])
            yield from outcomes
    finally:
        client.cancel(list(running))


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written."""
    for pattern in (".*.*", "*/.*.*", "instances/*/.*.*"):
        for path in filter(Path.is_dir, list(folder.glob(pattern))):
            shutil.rmtree(path)
