"""Rows for random numbers: bits, what becomes of them, and samplers.

The references work on one element at a time, in Python's own numbers; the samplers' rows say
how they are applied, and `tests.core.test_distributions` tests what they give.
"""

import math

import numpy as np
from scipy import stats

from tests.cases.base import Array, Case, Places, Values
from workbench.core import samplers
from workbench.core.ops import random as R

LOW = 2**32 - 1


def words(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Array:
    """64 random bits an element."""
    return rng.integers(0, 2**64, shape, dtype="uint64")


def philox(key: int, counter: int, place: int) -> tuple[int, int]:
    """Philox4x32-10 as its authors write it."""
    k = [key & LOW, key >> 32]
    c = [place & LOW, place >> 32, counter & LOW, counter >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & LOW, a >> 32 ^ c[3] ^ k[1], a & LOW]
        k = [k[0] + 0x9E3779B9 & LOW, k[1] + 0xBB67AE85 & LOW]
    return c[1] << 32 | c[0], c[3] << 32 | c[2]


def bits(half: int):
    one = np.frompyfunc(lambda *abc: philox(*map(int, abc))[half], 3, 1)
    return lambda *arrays: np.asarray(one(*arrays)).astype("uint64")


def below(first: Array, second: Array, size: Array) -> Array:
    one = np.frompyfunc(lambda a, b, s: ((int(a) << 64) + int(b)) * int(s) >> 128, 3, 1)
    return np.asarray(one(first, second, size)).astype("uint64")


def fraction(word: int, single: bool, digits: int) -> float:
    """The upper 31 or 63 bits, the last one set, over 2^digits, rounded once."""
    whole = word >> (33 if single else 1) | 1
    return float(np.float32(whole) if single else float(whole)) / 2**digits


def normal(word: int, single: bool) -> float:
    z = stats.norm.isf(fraction(word, single, 32 if single else 64))
    return -z if word >> (32 if single else 0) & 1 else z


def exponential(word: int, single: bool) -> float:
    return -math.log(fraction(word, single, 31 if single else 63))


def of_word(function, dtype: str):
    one = np.frompyfunc(lambda w: function(int(w), dtype == "float32"), 1, 1)
    return lambda x: np.asarray(one(x)).astype(dtype)


ONE = (((3, 4),), ((),), ((0, 3),), ((1, 5),))
KEYED = (((), (), ()), ((1,), (1,), (4,)), ((1, 1), (1, 1), (3, 2)), ((1,), (1,), (0,)))


def sampler(op: R.Sampler, reference, *makers, note: str = "") -> Case:
    """A row for a sampler: key, counter and places, then parameters."""
    return Case(
        type(op),
        op,
        reference,
        tuple((*three, *[three[2]] * len(makers)) for three in KEYED),
        ("float64",),
        (words, words, words, *makers),
        note=note,
    )


RANDOM = [
    Case(
        R.Places,
        lambda *sizes: R.Places()(*sizes),
        lambda m, n: np.arange(m * n, dtype="uint64").reshape(m, n),
        (((), ()),),
        ("int64",),
        (Places(0, 5), Places(0, 5)),
    ),
    *(
        Case(
            R.RandomBits,
            R.RandomBits(half),
            bits(half),
            KEYED,
            ("float64",),
            (words, words, words),
            note=f"half{half}",
        )
        for half in (0, 1)
    ),
    Case(
        R.BelowFromBits,
        R.BelowFromBits(),
        below,
        KEYED,
        ("float64",),
        (words, words, words),
    ),
    *(
        Case(
            op, build(dtype), reference, ONE, (dtype,), (words,), ulps=ulps, note=dtype
        )
        for dtype, digits in (("float32", 24), ("float64", 53))
        for op, build, reference, ulps in (
            (
                R.UniformFromBits,
                lambda d, n=digits: R.UniformFromBits(d, n),
                of_word(lambda w, s, n=digits: (w >> 64 - n) / 2**n, dtype),
                0,
            ),
            (R.NormalFromBits, R.NormalFromBits, of_word(normal, dtype), 32),
            (
                R.ExponentialFromBits,
                R.ExponentialFromBits,
                of_word(exponential, dtype),
                8,
            ),
        )
    ),
    Case(
        R.NormalPoint,
        R.NormalPoint(),
        stats.norm.ppf,
        ONE,
        ("float64",),
        (Values(0.01, 0.99),),
        differentiable=(0,),
        ulps=64,
    ),
    sampler(R.DrawGamma(), lambda *a: samplers.gamma(*a, False), Values(0.1, 5)),
    sampler(
        R.DrawGamma(True),
        lambda *a: samplers.gamma(*a, True),
        Values(0.1, 5),
        note="log",
    ),
    sampler(R.DrawVonMises(), samplers.von_mises, Values(0.1, 5)),
    sampler(R.DrawPoisson(), samplers.poisson, Values(0, 50)),
    sampler(R.DrawBinomial(), samplers.binomial, Places(0, 90), Values(0, 1)),
    sampler(
        R.DrawHypergeometric(),
        samplers.hypergeometric,
        Places(3, 9),
        Places(3, 9),
        Places(0, 6),
    ),
    sampler(R.DrawZipf(), samplers.zipf, Values(1.5, 5)),
    Case(
        R.PickCategory,
        R.PickCategory(),
        samplers.category,
        (((4,), (1, 3)), ((2, 3), (2, 3, 2)), ((), (4,)), ((0,), (1, 2))),
        ("float64",),
        (Values(0, 1), Values(0.1, 1)),
    ),
    Case(
        R.DrawMultinomial,
        R.DrawMultinomial(),
        samplers.multinomial,
        (
            ((1,), (1,), (4,), (1,), (1, 3)),
            ((1, 1), (1, 1), (2, 3), (2, 3), (2, 3, 2)),
            ((), (), (), (), (1,)),
        ),
        ("float64",),
        (words, words, words, Places(0, 30), Values(0.1, 1)),
    ),
    Case(
        R.RandomOrder,
        R.RandomOrder(),
        lambda x: np.argsort(x, -1, kind="stable"),
        (((5,),), ((2, 3),), ((0,),)),
        ("float64",),
        (words,),
    ),
]
