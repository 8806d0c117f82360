"""Kernels of convolutions call functions that are compiled apart, once for all programs."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.pieces import LIBRARY, cut
from workbench.compile.c.toolchain import find_compiler

pytestmark = pytest.mark.skipif(
    find_compiler() is None, reason="there is no C compiler"
)


def convolution(**rest):
    x, w = T.tensor4s("x", "w")
    return wb.function([x, w], T.nnet.conv2d(x, w, **rest))


def library_of(function):
    """The pieces that are no kernels."""
    pieces = cut(function.program.text).pieces
    return {piece.file for piece in pieces if LIBRARY in piece.head}


def test_convolutions_of_every_kind_share_what_they_call():
    plain, padded = convolution(), convolution(border_mode=2, subsample=(2, 1))

    assert len(library_of(plain)) == 1
    assert library_of(plain) == library_of(padded)


def test_groups_and_gradients_call_other_functions():
    x, w = T.tensor4s("x", "w")
    y = T.nnet.conv2d(x, w)
    gradient = wb.function([x, w], wb.grad((y * y).sum(), w))

    assert not library_of(convolution()) & library_of(convolution(num_groups=2))
    assert library_of(convolution()) < library_of(gradient)


def test_a_kernel_does_not_bring_the_text_of_what_it_calls():
    program = convolution().program.text

    kernels = [p for p in cut(program).pieces if LIBRARY not in p.head]

    assert kernels and all("tiles.h" not in piece.file for piece in kernels)
    assert '#include "tiles.h"' in program.code


def test_a_convolution_compiled_apart_is_right():
    f = convolution(filter_flip=False)

    got = f(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))

    np.testing.assert_array_equal(got, [[[[8, 12], [20, 24]]]])
