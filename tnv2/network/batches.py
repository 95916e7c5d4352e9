"""Batches: many tiles one after the other, read ahead of the network, and on a GPU seen several at a time."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import groupby, islice
from typing import Any

import torch

from ..files import PathLike
from ..instances import Probabilities
from ..tiles import Tile, TileFiles, read_tile
from .inference import Eye, Metres, View, scaled_bands, standardised
from .ternausnet import TernausNetV2
from .weights import as_model
from .windows import SIZE, mirrored, padded

READERS = 8  # threads that read for a GPU, at most: unpacking a tile's files takes several times what the GPU takes
Seen = tuple[View, torch.Tensor | None]  # and (h, w, channels) on the GPU, None for what is seen alone


def predict_many(
    model: TernausNetV2 | PathLike,
    tiles: Iterable[Tile | TileFiles | PathLike],
    precision: str = "auto",
    metres: Metres = "auto",
) -> Iterator[Probabilities]:
    """Return an iterator over the Probabilities of many tiles, in their order: what ``predict`` returns of each.

    tiles : Tiles, or what is still to be read, as TileFiles or the path of an RGB file, in a list or any other iterable;
        ``find_tiles(folder)``, say. It may be endless: no more is asked of it than what is read ahead.
    model, precision, metres : as ``predict`` takes them; a name is loaded once.

    Files are read in threads, ahead of the network: one on a CPU, where tiles are seen one by one and the maps are
    ``predict``'s to the last bit; a batch on a GPU, which sees tiles together that follow each other and are padded to one
    size. There it is at work on the next batch while you label and write the last one, and the maps differ from
    ``predict``'s by what another order of summing makes.

    Warns as ``predict`` does, and raises what reading and ``predict`` raise, each when the tile's turn comes, so that the
    maps of those before it have come. Raises ValueError at once for a model that cannot predict, and for one tile or folder
    instead of several tiles.
    """
    if isinstance(tiles, str | os.PathLike) or not isinstance(tiles, Iterable):
        raise ValueError(
            f"tiles is {type(tiles).__name__}; pass several tiles: a list of Tiles, or find_tiles(folder) of a folder's. "
            "predict(model, tile) takes one."
        )
    model = as_model(model)
    return maps_of(tiles, model, Eye.of(model, precision), metres)


def maps_of(
    tiles: Iterable[Tile | TileFiles | PathLike], model: TernausNetV2, eye: Eye, metres: Metres
) -> Iterator[Probabilities]:
    """Yield the Probabilities of tiles in their order."""
    readers = min(READERS, eye.batch, os.cpu_count() or 1)
    with closing(ahead(partial(seen, eye, metres), tiles, eye.batch, readers)) as coming:
        for view, maps in looked(coming, eye):
            view.check(model, eye)
            yield view.back(maps.cpu().numpy() * view.images[1], model, eye.dtype, metres)


def looked(coming: Iterable[Future[Seen]], eye: Eye) -> Iterator[tuple[View, torch.Tensor]]:
    """Yield each View and its maps, on a GPU once the batch after it has begun; raises what one failed with in its turn."""
    failed, begun = None, deque[Iterator[tuple[View, torch.Tensor]]]()
    for group in batches(coming, eye.batch):
        if failed := group[0].exception():
            break
        views, inputs = zip(*(future.result() for future in group), strict=True)
        begun.append(zip(views, look(eye, views, inputs), strict=True))  # a GPU is at work, and this goes on
        if len(begun) > (eye.batch > 1):
            yield from begun.popleft()
    for some in begun:
        yield from some
    if failed:
        raise failed


def ahead(
    function: Callable[[Any], Seen], items: Iterable[Any], count: int, threads: int
) -> Generator[Future[Seen], None, None]:
    """Yield a Future of ``function(item)`` of each item in order, while threads work on up to ``count`` that follow.

    What ``items`` itself raises is in a Future, too, and the last one.
    """

    def futures() -> Iterator[Future[Seen]]:
        try:
            for item in items:
                yield pool.submit(function, item)
        except Exception as error:  # of a generator that reads, say
            failed: Future[Seen] = Future()
            failed.set_exception(error)
            yield failed

    pool, coming, waiting = ThreadPoolExecutor(threads, "tnv2 reads"), futures(), deque[Future[Seen]]()
    try:
        while True:
            waiting.extend(islice(coming, count + 1 - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft()
    finally:
        pool.shutdown(cancel_futures=True)


def seen(eye: Eye, metres: Metres, tile: Tile | TileFiles | PathLike) -> Seen:
    """Return the View of a tile, read if it must be, and where it is to be seen with others, what the network gets."""
    if isinstance(tile, TileFiles):
        tile = tile.read()
    elif isinstance(tile, str | os.PathLike):
        tile = read_tile(tile)
    view = View.of(tile, eye, metres)
    (above, tall), (left, wide) = (padded(length) for length in view.shape)
    if eye.batch == 1 or max(tall, wide) > SIZE:
        return view, None
    rows, columns = mirrored(above, tall, view.shape[0]), mirrored(left, wide, view.shape[1])
    with torch.inference_mode():
        bands = standardised(scaled_bands(view.images, view.limits, eye.channels, eye.device))
        return view, bands[torch.from_numpy(rows).to(eye.device)][:, torch.from_numpy(columns).to(eye.device)]


def batches(coming: Iterable[Future[Seen]], size: int) -> Iterator[list[Future[Seen]]]:
    """Yield lists of at most ``size`` Futures that follow each other and whose tiles the network gets in one size."""
    for shape, alike in groupby(coming, shape_of):
        while group := list(islice(alike, size if shape else 1)):
            yield group


def shape_of(future: Future[Seen]) -> tuple[int, ...]:
    """Return (h, w, channels) of what the network gets of a tile; () for one that is seen alone, or cannot be."""
    x = None if future.exception() else future.result()[1]
    return () if x is None else tuple(x.shape)


def look(eye: Eye, views: Sequence[View], inputs: Sequence[torch.Tensor | None]) -> list[torch.Tensor]:
    """Return the (2, H, W) maps of tiles that are seen together, or of one that is seen alone."""
    together = [x for x in inputs if x is not None]
    if not together:
        return [torch.from_numpy(eye.at(view)) for view in views]
    with torch.inference_mode():
        maps = torch.sigmoid(eye.network(torch.stack(together).permute(0, 3, 1, 2)))  # (N, 2, h, w)
    found = []
    for each, view in zip(maps, views, strict=True):
        (top, _), (left, _), (height, width) = *(padded(length) for length in view.shape), view.shape
        found.append(each[:, top : top + height, left : left + width])
    return found
