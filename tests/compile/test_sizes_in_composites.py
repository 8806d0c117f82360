"""Expressions that stand under one name and ask for the size of a computed value."""

from dataclasses import dataclass

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.op import Composite, Opaque
from workbench.core.ops.shape import SizeOf


@dataclass(frozen=True)
class ByRows(Composite):
    """The input over the number of its rows."""

    def output_types(self, *inputs):
        return [inputs[0].type]

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def reference(self, *inputs):
        (x,) = inputs
        return x / np.asarray(x.shape[0], x.dtype)

    def expand(self, *inputs):
        (x,) = inputs
        return x / T.cast(SizeOf(0)(x), x.dtype)


@dataclass(frozen=True)
class Filled(Opaque):
    """The elements that are not zero."""

    def output_types(self, *inputs):
        return [inputs[0].type]

    def reference(self, *inputs):
        (x,) = inputs
        return x[np.nonzero(x)]


by_rows, filled = ByRows(), Filled()

PROGRAMS = {
    "elementwise": lambda x, v: by_rows(T.exp(x)),
    "rows": lambda x, v: by_rows(T.exp(x).sum(axis=1)),
    "softmax": lambda x, v: by_rows(T.nnet.softmax(by_rows(T.exp(x)))),
    "late": lambda x, v: by_rows(T.exp(filled(v))),
    "late twice": lambda x, v: by_rows(filled(T.exp(filled(v)) + 1) * 2) + filled(v),
    "late part": lambda x, v: by_rows(T.exp(x)[: filled(v).shape[0]]),
    "late range": lambda x, v: by_rows(
        T.arange(T.exp(x).shape[0] + filled(v).shape[0]) * 1.0
    ),
    "late outer": lambda x, v: by_rows(
        T.exp(filled(v))[:, None] * T.sin(filled(v))[None, :]
    ),
}


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "DEBUG"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_composite_asks_for_the_size_of_what_it_is_given(program, mode):
    x, v = T.matrix("x"), T.vector("v")
    random = np.random.default_rng(0)
    given = random.random((4, 5)), np.array([0.0, 1, 2, 0, 3])
    result = PROGRAMS[program](x, v)
    f = wb.function([x, v], result, mode=mode, on_unused_input="ignore")
    plain = wb.function([x, v], result, mode="None", on_unused_input="ignore")

    got = f(*given)

    np.testing.assert_allclose(got, plain(*given), rtol=1e-12)


def test_it_shares_a_loop_with_what_it_is_given():
    x = T.matrix("x")

    f = wb.function([x], by_rows(T.exp(x)), mode="FAST_RUN")

    assert len(f.compilation.kernels) == 1
