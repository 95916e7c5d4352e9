"""Transforms: what ``convolutions`` do before and after their matrix products, in one pass over memory each.

Images and products are C-contiguous arrays with channels last. Those of bfloat16 come as their 16 bits, uint16; sums of them
are computed in float32 and rounded once.
"""

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.extending import register_jitable
from numpy import ndarray

intrinsic: Any = extending.intrinsic  # whose own type has the context that numba passes
BITS, FLOAT = ir.IntType(32), ir.FloatType()


@intrinsic
def wide(context: Any, value: Any) -> Any:
    """The number that is stored as ``value``: a float as it is, the 16 bits of a bfloat16 as a float32."""
    if isinstance(value, types.Float):
        return value(value), lambda context, builder, signature, given: given[0]

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.bitcast(builder.shl(builder.zext(given[0], BITS), BITS(16)), FLOAT)

    return types.float32(value), build


@intrinsic
def stored(context: Any, value: Any, sample: Any) -> Any:
    """A number as arrays of ``sample``'s type store it; a bfloat16 is rounded to the nearest, ties to even."""
    if isinstance(sample, types.Float):
        return sample(value, sample), lambda context, builder, _, given: context.cast(builder, given[0], value, sample)

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        bits = builder.bitcast(context.cast(builder, given[0], value, types.float32), BITS)
        is_odd = builder.and_(builder.lshr(bits, BITS(16)), BITS(1))
        rounded = builder.add(bits, builder.add(is_odd, BITS(0x7FFF)))
        return builder.trunc(builder.lshr(rounded, BITS(16)), ir.IntType(16))

    return types.uint16(value, sample), build


@register_jitable
def pixel(image: ndarray, row: int, column: int, zeros: ndarray) -> ndarray:
    """The (C,) values of a pixel of (H, W, C), or zeros outside."""
    inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
    return image[row, column] if inside else zeros


@register_jitable
def differences(
    a: ndarray, b: ndarray, c: ndarray, d: ndarray, out0: ndarray, out1: ndarray, out2: ndarray, out3: ndarray
) -> None:
    """F(2, 3)'s input transform of four neighbours."""
    for k in range(len(a)):
        p, q, r, s = wide(a[k]), wide(b[k]), wide(c[k]), wide(d[k])
        out0[k] = stored(p - r, out0[k])
        out1[k] = stored(q + r, out1[k])
        out2[k] = stored(r - q, out2[k])
        out3[k] = stored(q - s, out3[k])


@register_jitable
def sums(a: ndarray, b: ndarray, c: ndarray, d: ndarray, out0: ndarray, out1: ndarray) -> None:
    """F(2, 3)'s output transform of four products."""
    for k in range(len(a)):
        p, q, r, s = wide(a[k]), wide(b[k]), wide(c[k]), wide(d[k])
        out0[k] = p + q + r
        out1[k] = q - r - s


@register_jitable
def active_sums(
    a: ndarray, b: ndarray, c: ndarray, d: ndarray, bias: ndarray, slope: float, out0: ndarray, out1: ndarray
) -> None:
    """The same plus a bias, through a leaky ReLU."""
    for k in range(len(a)):
        p, q, r, s = a[k], b[k], c[k], d[k]
        first, second = p + q + r + bias[k], q - r - s + bias[k]
        out0[k] = stored(max(first, slope * first), out0[k])
        out1[k] = stored(max(second, slope * second), out1[k])


def spread(image: ndarray, top: int, zeros: ndarray, wall: ndarray, out: ndarray) -> None:
    """Write what ``winograd`` multiplies for the rows from ``top`` on of ``image`` (H, W, C) to ``out`` (4, 4, n, W / 2, C).

    Axes: difference along a column and along a row, then which two rows and two columns. wall : (4, 4, C), overwritten.
    """
    for row in range(out.shape[2]):
        for column in range(out.shape[3]):
            r, c = top + 2 * row - 1, 2 * column - 1
            for j in range(4):
                first, second = pixel(image, r, c + j, zeros), pixel(image, r + 1, c + j, zeros)
                third, fourth = pixel(image, r + 2, c + j, zeros), pixel(image, r + 3, c + j, zeros)
                differences(first, second, third, fourth, wall[0, j], wall[1, j], wall[2, j], wall[3, j])
            for i in range(4):
                first, second = out[i, 0, row, column], out[i, 1, row, column]
                third, fourth = out[i, 2, row, column], out[i, 3, row, column]
                differences(wall[i, 0], wall[i, 1], wall[i, 2], wall[i, 3], first, second, third, fourth)


def gather(products: ndarray, bias: ndarray, slope: float, wall: ndarray, out: ndarray) -> None:
    """Write the pixels that ``products`` (4, 4, n, W / 2, K) make, through a leaky ReLU, to ``out`` (n, 2, W / 2, 2, K).

    bias : (K,). slope : of negative values. wall : (4, 2, K), overwritten.
    """
    for row in range(out.shape[0]):
        for column in range(out.shape[2]):
            for i in range(4):
                first, second = products[i, 0, row, column], products[i, 1, row, column]
                third, fourth = products[i, 2, row, column], products[i, 3, row, column]
                sums(first, second, third, fourth, wall[i, 0], wall[i, 1])
            for j in range(2):
                upper, lower = out[row, 0, column, j], out[row, 1, column, j]
                active_sums(wall[0, j], wall[1, j], wall[2, j], wall[3, j], bias, slope, upper, lower)


def steps(image: ndarray, top: int, channel: int, zeros: ndarray, out: ndarray) -> None:
    """Write what ``doubled`` multiplies for the rows from ``top`` on of ``image`` (H, W, C) to ``out`` (4, n + 1, W + 1, D).

    A pixel, its difference from the one on its left, from the one above, and the difference of differences; the last row and
    column are beyond those asked for. channel : which of the D channels is the image's first.
    """
    for row in range(out.shape[1]):
        for column in range(out.shape[2]):
            above, here = top + row - 1, top + row
            a, b = pixel(image, above, column - 1, zeros), pixel(image, above, column, zeros)
            c, d = pixel(image, here, column - 1, zeros), pixel(image, here, column, zeros)
            end = channel + len(a)
            value, across = out[0, row, column, channel:end], out[1, row, column, channel:end]
            down, both = out[2, row, column, channel:end], out[3, row, column, channel:end]
            for k in range(len(a)):
                p, q, r, s = wide(a[k]), wide(b[k]), wide(c[k]), wide(d[k])
                value[k] = d[k]
                across[k] = stored(s - r, d[k])
                down[k] = stored(s - q, d[k])
                both[k] = stored((s - r) - (q - p), d[k])


def stairs(value: ndarray, across: ndarray, down: ndarray, both: ndarray, bias: ndarray, slope: float, out: ndarray) -> None:
    """Write the pixels that products make, through a leaky ReLU, to ``out`` (n, 2, W, 2, K).

    value, across, down, both : products of ``steps``, (n + 1, W + 1, K or 2 K or 2 K or 4 K). bias : (K,). slope : of
        negative values.
    """
    size = len(bias)
    for row in range(out.shape[0]):
        for column in range(out.shape[2]):
            centre = value[row, column]
            for i in range(2):
                for j in range(2):
                    beside = across[row, column + j, j * size : (j + 1) * size]
                    below = down[row + i, column, i * size : (i + 1) * size]
                    corner = both[row + i, column + j, (2 * i + j) * size : (2 * i + j + 1) * size]
                    to = out[row, i, column, j]
                    for k in range(size):
                        total = wide(centre[k]) + wide(beside[k]) + wide(below[k]) + wide(corner[k]) + bias[k]
                        to[k] = stored(max(total, slope * total), to[k])
