"""Arguments that are not contiguous: copied rightly, in memory that is used again."""

import tracemalloc

import numpy as np
import pytest

from tests.programs import ADD_ONE, allocate, runner
from workbench.compile.c.toolchain import find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")

COPY = """
c->output[0].shape[0] = {size};
char *y = c->alloc(c, 0);
if (!y) return WB_OUT_OF_MEMORY;
memcpy(y, c->input[0].data, {size});
"""


@pytest.fixture(params=["extension", "cffi"])
def kind(request):
    return request.param


def bytes_of(dtype, ndim, kind, threads):
    """A function that returns the bytes of its argument as the program sees them."""
    sizes = [f"c->input[0].shape[{axis}]" for axis in range(ndim)]
    size = " * ".join([str(np.dtype(dtype).itemsize), *sizes])
    return runner(
        [COPY.format(size=size)],
        kind,
        before="#include <string.h>",
        arguments=[("x", dtype, (None,) * ndim)],
        outputs=[("uint8", 1)],
        threads=threads,
    )


def strided(random, dtype, ndim):
    """A random view: every other element, backwards, transposed, broadcast, or part of an axis."""
    most = {1: 40_000, 2: 300, 3: 50, 4: 18}[ndim]
    shape = [int(random.integers(0, most)) for _ in range(ndim)]
    whole = random.integers(0, 100, [2 * size + 1 for size in shape]).astype(dtype)
    steps = [slice(None, None, int(random.choice([1, 2, -1, -2]))) for _ in shape]
    view = whole[tuple(steps)].transpose(random.permutation(ndim))
    view = view[tuple(slice(int(random.integers(0, 3)), None) for _ in shape)]
    return np.broadcast_to(view[:1], view.shape) if random.random() < 0.2 else view


@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
@pytest.mark.parametrize(
    "dtype", ["bool", "int16", "float32", "float64", "complex64", "complex128"]
)
def test_any_view_is_copied_in_order(kind, dtype, ndim):
    random = np.random.default_rng(ndim)
    f = bytes_of(dtype, ndim, kind, threads=3)

    for _ in range(10):
        view = strided(random, dtype, ndim)
        for _ in range(2):
            assert f(view).tobytes() == view.tobytes()


def test_the_memory_of_a_copy_is_used_again():
    one = allocate(0, "1") + "*y = *(double *)c->input[0].data;"
    f = runner([one], "extension", arguments=[("x", "float64", (None, None))])
    x = np.zeros((600, 500)).T
    f(x)

    tracemalloc.start()
    for _ in range(3):
        f(x)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert taken < x.nbytes


def test_a_copy_that_somebody_holds_is_left_alone(kind):
    kept = []
    step = """
    wb_array in[1] = {c->input[0]}, out[1];
    int code = c->host(c, 0, in, 1, out, 1);
    if (code) return code;
    """
    f = runner(
        [step + ADD_ONE],
        kind,
        host=lambda step, inputs: [kept.append(inputs[0]) or inputs[0]],
        host_signature={0: ([("float64", 1)], [("float64", 1)])},
    )
    whole = np.arange(200_000.0)

    f(whole[::2])
    f(-whole[::2])

    np.testing.assert_array_equal(kept[0], whole[::2])
