"""Random bits from a counter, and numbers from bits, in NumPy: what compiled code must match.

Philox4x32-10 turns a key and a counter into 128 bits that look random. There is no state to
step through, so element i of a draw can be computed alone: by any thread, in any kernel,
always with the same bits. A block is named by ``(key, counter, index)``, 64 bits each; the
index is the place of the element in its array, the counter says which call and which part
of a distribution's recipe asks (:data:`LANE`).

The conversions below use only operations that IEEE 754 rounds exactly (and a logarithm made
of them) in one fixed order; ``prelude.h`` repeats them, and the bits agree.

Read next: :mod:`workbench.core.samplers`.

References
----------
Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators.
Wichura (1988), Algorithm AS 241: The percentage points of the normal distribution.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workbench.core.types import Array

LANE = 1 << 56
"""Added to the counter, up to 255 times, for a further independent array of the same draw."""

ATTEMPT = 1 << 40
"""Added to the index for a further block of the same element; arrays are shorter than this."""

PIECE = 1 << 14
"""Elements worked on at once, so that the words of all rounds stay in the cache."""

_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_MASK64 = (1 << 64) - 1


def mix(number: int) -> int:
    """The SplitMix64 finaliser, a bijection of 64 bits: close numbers become far apart."""
    z = (number + 0x9E3779B97F4A7C15) & _MASK64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK64
    return z ^ (z >> 31)


def philox(key: Array, counter: Array, index: Array) -> tuple[Array, Array]:
    """The block named by three uint64 arrays that broadcast: its first and second 64 bits."""
    arrays = [np.asarray(a, "uint64") for a in (key, counter, index)]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    halves = np.empty(shape, "uint64"), np.empty(shape, "uint64")
    flat = [
        a.reshape(1) if a.size == 1 else np.broadcast_to(a, shape).ravel()
        for a in arrays
    ]
    first, second = (half.reshape(-1) for half in halves)
    for start in range(0, first.size, PIECE):
        piece = slice(start, start + PIECE)
        x = _rounds(*(a[piece] if a.size != 1 else a for a in flat))
        first[piece] = x[1] << _32 | x[0]
        second[piece] = x[3] << _32 | x[2]
    return halves


def _rounds(key: Array, counter: Array, index: Array) -> list[Array]:
    """The four 32-bit words of a block, each in a uint64."""
    k0, k1 = key & _LOW, key >> _32
    x = [index & _LOW, index >> _32, counter & _LOW, counter >> _32]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * x[0], np.uint64(0xCD9E8D57) * x[2]
        x = [(b >> _32) ^ x[1] ^ k0, b & _LOW, (a >> _32) ^ x[3] ^ k1, a & _LOW]
        k0 = (k0 + np.uint64(0x9E3779B9)) & _LOW
        k1 = (k1 + np.uint64(0xBB67AE85)) & _LOW
    return x


# --- numbers from 64 bits ----------------------------------------------------------------


def uniform(bits: Array, dtype: str, digits: int) -> Array:
    """A number in [0, 1): the first `digits` bits as a fraction; exact in `dtype`."""
    whole = (bits >> np.uint64(64 - digits)).astype(dtype)
    return np.asarray(whole * whole.dtype.type(2.0**-digits))


def below(first: Array, second: Array, size: Array) -> Array:
    """floor(x size / 2^128) for the 128 bits x: an integer in [0, size), 0 when `size` is 0.

    Any two results differ in probability by less than 2^-64 of it (Lemire 2019, Fast random
    integer generation in an interval, without its rejection).
    """
    with np.errstate(over="ignore"):
        low = first * size
        return _high(first, size) + (low + _high(second, size) < low)


def _high(x: Array, y: Array) -> Array:
    """The upper 64 bits of a product."""
    x0, x1, y0, y1 = x & _LOW, x >> _32, y & _LOW, y >> _32
    middle = x1 * y0 + (x0 * y0 >> _32)
    carried = (middle & _LOW) + x0 * y1 >> _32
    return np.asarray(x1 * y1 + (middle >> _32) + carried)


def exponential(bits: Array, dtype: str) -> Array:
    """-log(v) for a number v in (0, 1] made of 63 bits, or 31 for float32."""
    shift, scale = (33, 2.0**-31) if dtype == "float32" else (1, 2.0**-63)
    v = (bits >> np.uint64(shift) | np.uint64(1)).astype(dtype)
    return -logarithm(v * v.dtype.type(scale))


def normal(bits: Array, dtype: str) -> Array:
    """The point below which a normal variable stays with a probability made of `bits`.

    One bit is the sign; the others, 63 of them or 31 for float32, are the probability v in
    (0, 1/2] of lying further out, so that tails are fine: to 9.1, or 6.3, deviations.
    """
    single = dtype == "float32"
    shift, scale, sign = (33, 2.0**-32, 32) if single else (1, 2.0**-64, 0)
    v = (bits >> np.uint64(shift) | np.uint64(1)).astype(dtype)
    z = upper_point(v * v.dtype.type(scale))
    return np.where(bits >> np.uint64(sign) & np.uint64(1), -z, z)


def upper_point(v: Array) -> Array:
    """The point beyond which a normal variable lies with probability v in (0, 1/2], AS 241."""
    single = v.dtype == "float32"
    result = np.empty_like(v)
    q = v.dtype.type(0.5) - v
    central = q <= v.dtype.type(0.425)
    near = q[central]
    above, under = _parts(
        CENTRE_32 if single else CENTRE, v.dtype.type(0.180625) - near * near
    )
    result[central] = near * above / under
    root = np.sqrt(-logarithm(v[~central]))
    above, under = _parts(TAIL_32 if single else TAIL, root - v.dtype.type(1.6))
    tail = above / under
    far = root > 5
    if not single:  # in float32 the root is at most 4.8
        above, under = _parts(FAR, root[far] - 5)
        tail[far] = above / under
    result[~central] = tail
    return result


def _parts(row: Sequence[Sequence[float]], r: Array) -> list[Array]:
    """Numerator and denominator."""
    return [_polynomial(coefficients, r) for coefficients in row]


def logarithm(x: Array) -> Array:
    """The natural logarithm of normal positive numbers, within 4 ulp.

    x = 2^e m with m in [√½, √2), and log m = 2 artanh((m - 1) / (m + 1)) as a series.
    """
    single, one = x.dtype == "float32", x.dtype.type(1)
    # The bits of √½, and how many of them are the mantissa.
    root, width = (0x3F3504F3, 23) if single else (0x3FE6A09E667F3BCD, 52)
    word = x.view("int32" if single else "int64")
    e = (word - word.dtype.type(root)) >> word.dtype.type(width)
    m = (word - (e << e.dtype.type(width))).view(x.dtype)
    s = (m - one) / (m + one)
    z = s * s
    p = _polynomial(ARTANH_32 if single else ARTANH, z)
    return np.asarray(e.astype(x.dtype) * x.dtype.type(LN2) + (s + s * (z * p)) * 2)


def _polynomial(coefficients: Sequence[float], x: Array) -> Array:
    """Horner's scheme; the highest power's coefficient comes first."""
    result = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        result = result * x + x.dtype.type(c)
    return result


LN2 = 0.6931471805599453
ARTANH = tuple(1 / k for k in range(21, 1, -2))
ARTANH_32 = tuple(1 / k for k in range(11, 1, -2))

# Numerators and denominators of AS 241, PPND16 and PPND7, from the highest power down.
CENTRE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
TAIL = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
     3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)  # fmt: skip
FAR = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
)  # fmt: skip
CENTRE_32 = (
    (5.9109374720e1, 1.5929113202e2, 5.0434271938e1, 3.3871327179e0),
    (6.7187563600e1, 7.8757757664e1, 1.7895169469e1, 1.0),
)  # fmt: skip
TAIL_32 = (
    (1.7023821103e-1, 1.3067284816e0, 2.7568153900e0, 1.4234372777e0),
    (1.2021132975e-1, 7.3700164250e-1, 1.0),
)
