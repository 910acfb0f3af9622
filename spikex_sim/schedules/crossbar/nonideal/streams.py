"""Random numbers by index: words of Philox4x64-10 and normal deviates (docs/imc.md, Section 4)."""

from __future__ import annotations

from math import factorial, log, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from spikex_sim.core.jit import kernel

READ, WRITE, STUCK, CALIBRATION = range(4)
"""What for: noise of reads, deviations of writes, stuck cells, noise of reads while calibrating."""

_FACTOR_A, _FACTOR_C = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_BUMP_SEED, _BUMP_STREAM = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_LOW, _HALF, _DROPPED, _ONE = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(11), np.uint64(1)
_UNIT = 2.0**-53

_MANTISSA_BITS, _MANTISSA = 52, (1 << 52) - 1
_ROOT_HALF = 0x3FE6A09E00000000
_TO_ROOT_HALF = 0x3FF0000000000000 - _ROOT_HALF
_LN2 = log(2.0)
_L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8, _L9, _L10 = (1 / (2 * k + 1) for k in range(1, 11))
_S1, _S2, _S3, _S4, _S5, _S6, _S7, _S8, _S9, _S10 = ((-1) ** k / factorial(2 * k + 1) for k in range(1, 11))


def streams(purpose: int, layer: int, sample: int = 0, points: int = 1) -> NDArray[np.uint64]:
    """Second words of the keys of ``points`` time points; the first is the seed.

    Parameters
    ----------
    purpose : int
        Of :data:`READ` and its like.
    layer : int
        Number of the conv or linear layer, below 2^16.
    sample : int
        24 bits.
    points : int
        Time points from 0, at most 2^20.
    """
    base = (purpose << 60) + (layer << 44) + (sample << 20)
    return np.uint64(base) + np.arange(points, dtype=np.uint64)


@kernel
def _high(a: np.uint64, b: np.uint64) -> np.uint64:
    """Upper half of a product."""
    a_high, a_low, b_high, b_low = a >> _HALF, a & _LOW, b >> _HALF, b & _LOW
    middle = a_high * b_low + ((a_low * b_low) >> _HALF)
    return a_high * b_high + (middle >> _HALF) + ((a_low * b_high + (middle & _LOW)) >> _HALF)


@kernel
def philox(
    counter: np.uint64, seed: np.uint64, stream: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Four words of a counter, of Philox4x64 with ten rounds."""
    a, b, c, d = counter, np.uint64(0), np.uint64(0), np.uint64(0)
    for _ in range(10):
        a_high, c_high = _high(_FACTOR_A, a), _high(_FACTOR_C, c)
        a, b, c, d = c_high ^ b ^ seed, _FACTOR_C * c, a_high ^ d ^ stream, _FACTOR_A * a
        seed += _BUMP_SEED
        stream += _BUMP_STREAM
    return a, b, c, d


@kernel
def fill_uniforms(seed: np.uint64, stream: np.uint64, first: int, into: NDArray[np.float64]) -> None:
    """Uniform numbers ``first``, ``first + 1``, ... of a stream."""
    at = -(first % 4)
    counter = np.uint64(first // 4)
    while at < len(into):
        counter += _ONE
        words = philox(counter, seed, stream)
        for word in words:
            if 0 <= at < len(into):
                into[at] = np.float64(word >> _DROPPED) * _UNIT
            at += 1


@kernel(error_model="numpy")
def fill_normals(
    seed: np.uint64,
    stream: np.uint64,
    first: int,
    into: NDArray[np.float64],
    radius: NDArray[np.float64],
    angle: NDArray[np.float64],
) -> None:
    """Normal deviates ``first``, ``first + 1``, ... of a stream.

    Logarithm and cosine are series that the compiler does several of at a time, and that give the same bits
    on every machine; both are within 4e-16 of the true values, the logarithm relatively.

    Parameters
    ----------
    seed, stream : uint64
        Key.
    first : int
        Index of the first.
    into : float64 array
        Where they go; its length says how many.
    radius, angle : float64 arrays
        Room for two more than that.
    """
    count, odd = len(into), first % 2
    counter = np.uint64(first // 2)
    for pair in range((odd + count + 1) // 2):
        counter += _ONE
        a, b, c, d = philox(counter, seed, stream)
        radius[2 * pair] = (np.float64(a >> _DROPPED) + 1.0) * _UNIT
        angle[2 * pair] = np.float64(b >> _DROPPED) * _UNIT
        radius[2 * pair + 1] = (np.float64(c >> _DROPPED) + 1.0) * _UNIT
        angle[2 * pair + 1] = np.float64(d >> _DROPPED) * _UNIT
    bits = radius.view(np.int64)
    for i in range(count):  # radius = 2^power * mantissa, the latter from sqrt(1/2) to sqrt(2)
        shifted = bits[odd + i] + _TO_ROOT_HALF
        into[i] = np.float64(shifted >> _MANTISSA_BITS) - 1023.0
        bits[odd + i] = (shifted & _MANTISSA) + _ROOT_HALF
    for i in range(count):
        part = radius[odd + i] - 1.0
        s = part / (2.0 + part)
        z = s * s
        series = z * (_L1 + z * (_L2 + z * (_L3 + z * (_L4 + z * (_L5 + z * (
            _L6 + z * (_L7 + z * (_L8 + z * (_L9 + z * _L10)))))))))  # fmt: skip
        logarithm = into[i] * _LN2 + 2.0 * (s + s * series)
        x = (2.0 * pi) * (abs(angle[odd + i] - 0.5) - 0.25)  # cos(2 pi u) = sin(x)
        z = x * x
        series = z * (_S1 + z * (_S2 + z * (_S3 + z * (_S4 + z * (_S5 + z * (
            _S6 + z * (_S7 + z * (_S8 + z * (_S9 + z * _S10)))))))))  # fmt: skip
        into[i] = sqrt(-2.0 * logarithm) * (x + x * series)


@kernel
def _rows_of_normals(
    seed: np.uint64, stream: np.uint64, rows: NDArray[np.int64], into: NDArray[np.float64]
) -> None:
    columns = into.shape[1]
    radius, angle = np.empty(columns + 2), np.empty(columns + 2)
    for row in range(len(rows)):
        fill_normals(seed, stream, rows[row] * columns, into[row], radius, angle)


@kernel
def _rows_of_uniforms(
    seed: np.uint64, stream: np.uint64, rows: NDArray[np.int64], into: NDArray[np.float64]
) -> None:
    for row in range(len(rows)):
        fill_uniforms(seed, stream, rows[row] * into.shape[1], into[row])


def of_rows(
    purpose: int, seed: int, layer: int, rows: NDArray[np.int64], columns: int
) -> NDArray[np.float64]:
    """Numbers of cells, ``[rows, columns]``: normal for :data:`WRITE`, uniform for :data:`STUCK`.

    Parameters
    ----------
    purpose, seed, layer : int
        Key.
    rows : int64 array
        Number of each row; its cells have indices from ``row * columns``.
    columns : int
        Cells of a row.
    """
    found = np.empty((len(rows), columns))
    [stream] = streams(purpose, layer)
    fill = _rows_of_normals if purpose == WRITE else _rows_of_uniforms
    with np.errstate(over="ignore"):  # without JIT, words wrap around as NumPy's numbers
        fill(np.uint64(seed), stream, rows, found)
    return found
