"""Convolutions: 3x3 ones as matrix products with fewer multiplications, for prediction on a CPU.

Both are exact rearrangements; only rounding differs. Images are (N, C, H, W) with channels last in memory.
"""

from concurrent.futures import ThreadPoolExecutor

import torch

WORKING_SET = 8 << 20  # bytes of intermediate values at a time for each thread: what stays in a cache
FILTER = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
DIFFERENCES = torch.tensor([[1.0, 1, 1], [-1, 0, 0], [0, 0, 1]])


def winograd_weights(weight):
    """Return (16, C, K) for ``winograd`` of a convolution's (K, C, 3, 3) weight."""
    outer, inner, *_ = weight.shape
    return torch.einsum("ia,kcab,jb->ijck", FILTER.to(weight), weight, FILTER.to(weight)).reshape(16, inner, outer)


def winograd(parts, weights, bias):
    """Return ``conv2d(cat(parts), weight, bias, padding=1)``, for even H and W: 16 products where the plain sum has 36.

    F(2x2, 3x3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
    """
    x, inner, outer = framed(parts), *weights.shape[1:]
    images, height, width = x.shape[0], x.shape[1] - 2, x.shape[2] - 2
    result = x.new_empty(images, height // 2, 2, width // 2, 2, outer)

    def strip(image, top, rows):
        tall = x.new_empty(4, rows, width + 2, inner)
        spread(x[image, 2 * top : 2 * (top + rows) + 2], tall)
        wide = x.new_empty(4, 4, rows, width // 2, inner)
        spread(tall.permute(2, 0, 1, 3), wide.permute(1, 3, 0, 2, 4))
        products = x.new_empty(4, 4, rows, width // 2, outer)
        for pair, weight, product in zip(wide.view(16, -1, inner), weights, products.view(16, -1, outer), strict=True):
            torch.mm(pair, weight, out=product)
        products[1, 1] += bias  # it goes into each of the four pixels once
        half = x.new_empty(2, 4, rows, width // 2, outer)
        gather(products, half)
        gather(half.transpose(0, 1), result[image, top : top + rows].permute(3, 1, 0, 2, 4))

    in_strips(strip, images, height // 2, 8 * width * (inner + outer) * x.element_size())
    return result.view(images, height, width, outer).permute(0, 3, 1, 2)


def spread(x, out):
    """Write what ``winograd`` multiplies, four sums of two neighbours in ``x`` (2 n + 2, ...), to ``out`` (4, n, ...)."""
    end = len(x) - 2
    first, second, third, fourth = (x[i : i + end : 2] for i in range(4))
    torch.sub(first, third, out=out[0])
    torch.add(second, third, out=out[1])
    torch.sub(third, second, out=out[2])
    torch.sub(second, fourth, out=out[3])


def gather(products, out):
    """Write the two pixels that four products (4, ...) make to ``out`` (2, ...)."""
    torch.add(products[0], products[1], out=out[0])
    out[0] += products[2]
    torch.sub(products[1], products[2], out=out[1])
    out[1] -= products[3]


def doubled_weights(weight):
    """Return (9, C, K) for ``doubled`` of a convolution's (K, C, 3, 3) weight."""
    outer, inner, *_ = weight.shape
    return torch.einsum("ia,kcab,jb->ijck", DIFFERENCES.to(weight), weight, DIFFERENCES.to(weight)).reshape(9, inner, outer)


def doubled(parts, weights, bias):
    """Return ``conv2d(upsample(cat(parts)), weight, bias, padding=1)``, (N, K, 2 H, 2 W); upsampling repeats each pixel.

    9 products where the plain sum has 36: along an axis, the repeated pixel x[i] becomes (w0 + w1 + w2) x[i] minus
    w0 (x[i] - x[i - 1]) and (w0 + w1 + w2) x[i] plus w2 (x[i + 1] - x[i]).
    """
    x, inner, outer = framed(parts), *weights.shape[1:]
    images, height, width = x.shape[0], x.shape[1] - 2, x.shape[2] - 2
    result = x.new_empty(images, height, 2, width, 2, outer)

    def strip(image, top, rows):
        pixels = x[image, top : top + rows + 2]
        down = pixels[1:] - pixels[:-1]  # (rows + 1, W + 2, C)
        across = pixels[1:-1, 1:] - pixels[1:-1, :-1]  # (rows, W + 1, C)
        both = down[:, 1:] - down[:, :-1]  # (rows + 1, W + 1, C)
        centre = times(pixels[1:-1], weights[0])[:, 1:-1] + bias
        beside = [times(across, weights[1 + j])[:, j : j + width] for j in (0, 1)]
        for i in (0, 1):
            below = times(down[i : i + rows], weights[3 + 3 * i])[:, 1:-1] + centre
            for j in (0, 1):
                out = torch.add(below, beside[j], out=result[image, top : top + rows, i, :, j])
                out += times(both[i : i + rows], weights[4 + 3 * i + j])[:, j : j + width]

    in_strips(strip, images, height, 2 * width * (2 * inner + 6 * outer) * x.element_size())
    return result.view(images, 2 * height, 2 * width, outer).permute(0, 3, 1, 2)


def times(x, weight):
    """Return (h, w, K), the product of each pixel of ``x`` (h, w, C) and a (C, K) weight."""
    return torch.mm(x.reshape(-1, x.shape[2]), weight).view(*x.shape[:2], -1)


def framed(parts):
    """Return (N, H + 2, W + 2, C): the (N, C1, H, W), (N, C2, H, W), ... as one image in a frame of zeros."""
    images, _, height, width = parts[0].shape
    frame = parts[0].new_empty(images, height + 2, width + 2, sum(part.shape[1] for part in parts))
    frame[:, :: height + 1] = frame[:, :, :: width + 1] = 0
    for part, place in zip(parts, frame[:, 1:-1, 1:-1].split([part.shape[1] for part in parts], 3), strict=True):
        place.copy_(part.permute(0, 2, 3, 1))
    return frame


def in_strips(work, images, rows, size):
    """Call ``work`` with each image's number and strips of its rows, (first, count), that fit into the working set.

    size : bytes that a row needs. Each of torch's threads takes the next strip as it comes free, so that they wait for each
    other once a convolution rather than after every step of it.
    """
    threads = torch.get_num_threads()
    most = max(1, min(WORKING_SET // size, -(-rows // threads)))
    most = -(-rows // -(-rows // most))  # as many strips, but even ones
    strips = [(image, top, min(most, rows - top)) for image in range(images) for top in range(0, rows, most)]

    def alone(strip):
        with torch.inference_mode():
            work(*strip)

    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(alone, strips))
    torch.set_num_threads(threads)  # of threads that start later, too
