"""Convolutions: 3x3 ones as matrix products with fewer multiplications, for prediction on a CPU.

Both are exact rearrangements; only rounding differs. Images are (N, C, H, W) with channels last in memory, weights
are matrices, biases float32 (float64 for an image of float64); negative values of a result are multiplied by a slope.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Self

import numpy as np
import torch

from ...compiled import compiled

Step = Callable[..., torch.Tensor]  # from an image, or several, to an image

WORKING_SET = 16 << 20  # bytes of intermediate values at a time for each thread: what stays in a cache
FILTER = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
DIFFERENCES = torch.tensor([[1.0, 1, 1], [-1, 0, 0], [0, 0, 1]])


def winograd_weights(weight: torch.Tensor) -> torch.Tensor:
    """Return the 16 matrices, (16, C, K), for ``winograd`` of a convolution's (K, C, 3, 3) weight."""
    return torch.einsum("ia,kcab,jb->ijck", FILTER.to(weight), weight, FILTER.to(weight)).flatten(0, 1)


def winograd(
    strips: "Strips",
    parts: Sequence[torch.Tensor],
    weights: torch.Tensor,
    bias: torch.Tensor,
    slope: float = 1.0,
    before: Step | None = None,
    shortcut: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return ``conv2d(cat(parts), weight, bias, padding=1)``, for even H and W: 16 products where the plain sum has 36.

    before : what to do with each pixel first. shortcut : an image (N, K, H, W) to add, which is overwritten by the result.

    F(2x2, 3x3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
    """
    from .transforms import gather, spread

    x = channels_last(parts[0] if len(parts) == 1 else torch.cat(list(parts), 1))
    (images, height, width, inner), outer = x.shape, len(bias)
    result = x.new_empty(images, height, width, outer) if shortcut is None else channels_last(shortcut)
    zeros, shift = np.zeros_like(array(x[0, 0, 0])), bias.numpy()

    def strip(scratch: "Scratch", image: int, top: int, rows: int) -> None:
        first, shape = max(2 * top - 1, 0), (4, 4, rows, width // 2)
        factors, products = scratch.take("factors", (*shape, inner), x), scratch.take("products", (*shape, outer), x)
        seen = x[image, first : 2 * (top + rows) + 1]  # with the rows next to them
        if before:
            seen = channels_last(before(seen.permute(2, 0, 1)[None]))[0]
        compiled(spread)(array(seen), 2 * top - first, zeros, np.empty((4, 4, inner), shift.dtype), array(factors))
        torch.bmm(factors.view(16, -1, inner), weights, out=products.view(16, -1, outer))
        place = result[image, 2 * top : 2 * (top + rows)].view(rows, 2, width // 2, 2, outer)
        out = place if shortcut is None else scratch.take("out", place.shape, x)
        compiled(gather)(array(products), shift, shift.dtype.type(slope), np.empty((4, 2, outer), shift.dtype), array(out))
        if shortcut is not None:
            place += out

    strips.each(strip, images, height // 2, 8 * width * (inner + outer) * x.element_size())
    return result.permute(0, 3, 1, 2)


def doubled_weights(weight: torch.Tensor) -> list[torch.Tensor]:
    """Return the matrices (C, K), (C, 2 K), (C, 2 K) and (C, 4 K) for ``doubled`` of a convolution's (K, C, 3, 3) weight."""
    both = torch.einsum("ia,kcab,jb->ijck", DIFFERENCES.to(weight), weight, DIFFERENCES.to(weight))
    return [torch.cat(list(each.flatten(0, 1)), 1) for each in (both[:1, :1], both[:1, 1:], both[1:, :1], both[1:, 1:])]


def doubled(
    strips: "Strips", parts: Sequence[torch.Tensor], weights: list[torch.Tensor], bias: torch.Tensor, slope: float = 1.0
) -> torch.Tensor:
    """Return ``conv2d(upsample(cat(parts)), weight, bias, padding=1)``, (N, K, 2 H, 2 W); upsampling repeats each pixel.

    9 products where the plain sum has 36: along an axis, the repeated pixel x[i] becomes (w0 + w1 + w2) x[i] minus
    w0 (x[i] - x[i - 1]) and (w0 + w1 + w2) x[i] plus w2 (x[i + 1] - x[i]).
    """
    from .transforms import stairs, steps

    parts = [channels_last(part) for part in parts]
    like, (images, height, width, _) = parts[0], parts[0].shape
    inner, outer = sum(part.shape[3] for part in parts), len(bias)
    result = like.new_empty(images, height, 2, width, 2, outer)
    shift = bias.numpy()

    def strip(scratch: "Scratch", image: int, top: int, rows: int) -> None:
        shape = rows + 1, width + 1
        factors = scratch.take("factors", (4, *shape, inner), like)
        products = [scratch.take(i, (*shape, weight.shape[1]), like) for i, weight in enumerate(weights)]
        channel = 0
        for part in parts:
            zeros = np.zeros_like(array(part[0, 0, 0]))
            compiled(steps)(array(part[image]), top, channel, zeros, array(factors))
            channel += part.shape[3]
        for factor, weight, product in zip(factors, weights, products, strict=True):
            torch.mm(factor.flatten(0, 1), weight, out=product.flatten(0, 1))
        out = array(result[image, top : top + rows])
        compiled(stairs)(*map(array, products), shift, shift.dtype.type(slope), out)

    strips.each(strip, images, height, (width + 1) * (4 * inner + 9 * outer) * like.element_size())
    return result.view(images, 2 * height, 2 * width, outer).permute(0, 3, 1, 2)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """Return an image (N, C, H, W) as contiguous (N, H, W, C)."""
    return x.permute(0, 2, 3, 1).contiguous()


def array(x: torch.Tensor) -> np.ndarray:
    """Return a tensor as an array, one of bfloat16 as its 16 bits."""
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()


class Strips:
    """Threads that convolve strips of images, as many as torch has; a context, after which torch's are as before."""

    def __enter__(self) -> Self:
        self.threads = torch.get_num_threads()
        self.pool = ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,))
        self.free: SimpleQueue[Scratch] = SimpleQueue()
        for _ in range(self.threads):
            self.free.put(Scratch())
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown()
        torch.set_num_threads(self.threads)  # of threads that start later, too

    def each(self, work: Callable[["Scratch", int, int, int], None], images: int, rows: int, size: int) -> None:
        """Call ``work`` with a Scratch, an image's number, and a strip's first row and count, for all strips of all images.

        size : bytes that a row needs; strips are chosen such that theirs fit into the working set. A thread takes the next
        one as it comes free, so that threads wait for each other once a convolution rather than after every step of it.
        """
        most = max(1, WORKING_SET // size)
        count = min(rows, -(-rows // most // self.threads) * self.threads)  # as many for each thread
        ends = [rows * (i + 1) // count for i in range(count)]

        def alone(strip: tuple[int, int, int]) -> None:
            scratch = self.free.get()
            try:
                with torch.inference_mode():
                    work(scratch, *strip)
            finally:
                self.free.put(scratch)

        strips = [(image, top, end - top) for image in range(images) for top, end in zip([0, *ends], ends, strict=False)]
        list(self.pool.map(alone, strips))


class Scratch(dict[str | int, torch.Tensor]):
    """Memory that is used again and again, as fresh memory is slow at first: tensors of bytes by name."""

    def take(self, name: str | int, shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
        """Return a tensor of a shape and of the type of ``like``, with anything in it, until the name is taken again."""
        size = int(np.prod(shape)) * like.element_size()
        if name not in self or len(self[name]) < size:
            self[name] = torch.empty(size, dtype=torch.uint8)
        return self[name][:size].view(like.dtype).view(shape)
