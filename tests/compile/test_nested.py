"""Loops over steps as C: rows, rings and stacks, failures, interrupts, and loops in loops."""

from __future__ import annotations

import itertools
import signal
import time

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.toolchain import find_compiler
from workbench.config import config
from workbench.core.errors import OutOfRangeError, ParameterError, ShapeError
from workbench.core.evaluate import evaluate
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")

STEPS = (0, 1, 2, 7)


def kinds(f):
    return [kernel.kind for kernel in f.compilation.kernels]


def loop(taps, n_sequences, until, backwards, keep):
    """A loop over vectors of 4, and its inputs but for the number of steps."""
    rows = [T.dvector() for _ in range(n_sequences)]
    states = [T.dvector() for _ in taps or ()]
    weights, count = T.dmatrix("weights"), T.dscalar("count")
    total = sum([*states, *rows], T.constant(0.1))
    new = T.tanh(T.dot(total, weights)) if total.ndim else weights[0] * total
    outputs, inputs, all_taps = [new * 2, (new**2).sum()], [*rows, *states], []
    if taps:
        outputs.insert(0, new)
        all_taps.append(taps)
    if until is not None:
        outputs.insert(len(all_taps), count + 1)
        outputs.append(T.gt(count + 1, until))
        all_taps.append((-1,))
        inputs.append(count)
    body = Body([*inputs, weights], outputs)
    n_outputs = len(outputs) - (until is not None)
    op = Scan(
        body,
        n_sequences,
        tuple(all_taps),
        until is not None,
        backwards,
        (keep,) * n_outputs,
    )
    given = [T.dmatrix() for _ in range(n_sequences + bool(taps))]
    given += [T.dvector()] if until is not None else []
    return op, [*given, T.dmatrix()]


@pytest.mark.parametrize("taps", [None, (-1,), (-3, -1), (-2,)])
def test_every_kind_of_loop_is_that_of_numpy(taps):
    rng = np.random.default_rng(0)
    n = T.lscalar("n")
    for n_sequences, until, backwards, keep in itertools.product(
        (0, 2), (None, 0.5, 3.5, 99), (False, True), (None, 1, 2)
    ):
        if until is not None and backwards:
            continue
        op, inputs = loop(taps, n_sequences, until, backwards, keep)
        node = op.make_node(n, *inputs)
        f = wb.function([n, *inputs], list(node.outputs))
        assert "host" not in kinds(f) and f.compilation.backend == "c"

        for steps in STEPS:
            sizes = [(steps, 4)] * n_sequences
            sizes += [(-min(taps), 4)] if taps else []
            sizes += [(1,)] if until is not None else []
            values = [rng.normal(size=s) for s in (*sizes, (4, 4))]
            if until is not None:
                values[-2][:] = 0
            given = dict(zip([n, *inputs], [steps, *values], strict=True))
            try:
                expected = evaluate(list(node.outputs), given)
            except OutOfRangeError:
                with pytest.raises(OutOfRangeError):
                    f(steps, *values)
                continue
            for got, wanted in zip(f(steps, *values), expected, strict=True):
                np.testing.assert_allclose(got, wanted, rtol=1e-12, strict=True)


def power(keep=None):
    x, h, n = T.dvector("x"), T.dvector("h"), T.lscalar("n")
    op = Scan(Body([h, x], [h * x]), 0, ((-1,),), keep=(keep,), title="power")
    start = T.ones_like(x)[None]
    return wb.function([n, x], op.make_node(n, start, x).outputs[0])


def test_a_ring_keeps_the_last_rows_alone():
    f = power(keep=1)

    np.testing.assert_array_equal(f(3, [2.0, 3.0]), [[8.0, 27.0]])
    assert "% 2" in f.source


def test_a_negative_number_of_steps_is_an_error():
    with pytest.raises(ParameterError, match="the number of steps is -1"):
        power()(-1, [2.0])


def test_a_loop_in_a_loop_is_one_program():
    x, h, g, n = T.dvector("x"), T.dvector("h"), T.dvector("g"), T.lscalar("n")
    inner = Scan(Body([g, x], [g * x + 1]), 0, ((-1,),), keep=(1,))
    end = inner.make_node(3, h[None], x).outputs[0][0]
    outer = Scan(Body([h, x], [end / 2]), 0, ((-1,),))
    result = outer.make_node(n, T.ones_like(x)[None], x).outputs[0]

    f = wb.function([n, x], result)

    assert kinds(f).count("loop") == 1 and "host" not in kinds(f)
    value = np.array([0.5, 1.5])
    np.testing.assert_allclose(f(4, value), evaluate([result], {n: 4, x: value})[0])


def test_arrays_that_a_step_holds_are_read():
    h, n = T.dvector("h"), T.lscalar("n")
    table = T.constant([1.0, 2.0, 3.0])
    op = Scan(Body([h], [h * table]), 0, ((-1,),))
    start = T.dmatrix("start")

    f = wb.function([n, start], op.make_node(n, start).outputs[0])

    np.testing.assert_array_equal(f(2, [[1.0, 1.0, 1.0]])[-1], [1, 4, 9])


def test_a_step_that_c_has_not_runs_on_the_host():
    h, n, start = T.dvector("h"), T.lscalar("n"), T.dmatrix("start")
    op = Scan(Body([h], [T.sort(h) * 2]), 0, ((-1,),))

    f = wb.function([n, start], op.make_node(n, start).outputs[0])

    assert "host" in kinds(f)
    np.testing.assert_array_equal(f(2, [[3.0, 1.0]])[-1], [4, 12])


# Failures


def test_an_index_out_of_range_in_a_step_names_the_step():
    i, x, n = T.lscalar("i"), T.dvector("x"), T.lscalar("n")
    indices = T.lvector("indices")
    op = Scan(Body([i, x], [x[i]]), 1, ())
    f = wb.function([n, indices, x], op.make_node(n, indices, x).outputs[0])
    assert f(2, [0, 1], [5.0, 6.0]).tolist() == [5, 6]

    with pytest.raises(OutOfRangeError) as caught:
        f(3, [0, 1, 2], [5.0, 6.0])

    assert "in step 2 of scan" in "".join(caught.value.__notes__)


def test_sequences_of_another_length_are_an_error():
    x, n, xs = T.dvector("x"), T.lscalar("n"), T.dmatrix("xs")
    f = wb.function(
        [n, xs], Scan(Body([x], [x * 2]), 1, ()).make_node(n, xs).outputs[0]
    )

    with pytest.raises(ShapeError, match="2 elements for 3 steps"):
        f(3, np.zeros((2, 4)))


def test_a_failing_loop_leaves_shared_variables_as_they_were():
    i, x, n = T.lscalar("i"), T.dvector("x"), T.lscalar("n")
    indices, calls = T.lvector("indices"), wb.shared(0.0, "calls")
    op = Scan(Body([i, x], [x[i]]), 1, ())
    total = op.make_node(n, indices, x).outputs[0].sum()
    f = wb.function([n, indices, x], total, updates=[(calls, calls + total)])

    with pytest.raises(OutOfRangeError):
        f(2, [0, 9], [5.0, 6.0])

    assert calls.get_value() == 0
    assert f(2, [0, 1], [5.0, 6.0]) == calls.get_value() == 11


@pytest.mark.parametrize("size", [4, 4000])
def test_a_long_loop_is_interrupted(size):
    h, n, start = T.dvector("h"), T.lscalar("n"), wb.shared(np.ones((1, size)), "start")
    op = Scan(Body([h], [T.tanh(h) + 1]), 0, ((-1,),), keep=(1,))
    end = op.make_node(n, start).outputs[0]
    f = wb.function([n], end.sum(), updates=[(start, end)])
    f(10)
    before = start.get_value()

    def ring(*_):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            f(10**10)
        took = time.monotonic() - begun
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

    assert took < 30  # In truth 0.15; it would be hours.
    np.testing.assert_array_equal(start.get_value(), before)
    f(10)


# Other ways to run it


@pytest.mark.parametrize("mode", ["DEBUG", "FAST_COMPILE", None])
def test_other_modes_give_the_same(mode):
    op, inputs = loop((-3, -1), 1, None, False, None)
    n = T.lscalar("n")
    outputs = list(op.make_node(n, *inputs).outputs)
    rng = np.random.default_rng(0)
    values = [rng.normal(size=s) for s in ((5, 4), (3, 4), (4, 4))]

    expected = wb.function([n, *inputs], outputs)(5, *values)

    for a, b in zip(
        wb.function([n, *inputs], outputs, mode=mode)(5, *values), expected, strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_long_rows_are_shared_by_threads_with_equal_bits():
    x, h, n = T.dvector("x"), T.dvector("h"), T.lscalar("n")
    op = Scan(Body([x, h], [T.tanh(h * 0.5 + x)]), 1, ((-1,),))
    xs, first = T.dmatrix("xs"), T.dmatrix("first")
    result = op.make_node(n, xs, first).outputs[0]
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 100_000)), rng.normal(size=(1, 100_000))

    found = []
    for threads in (1, 2):
        with config.change(threads=threads):
            found.append(wb.function([n, xs, first], result)(3, *values))

    np.testing.assert_array_equal(*found)


def test_a_second_loop_of_the_same_step_finds_its_kernels():
    h, x, n = T.dmatrix("h"), T.dmatrix("x"), T.lscalar("n")
    start = T.dtensor3("start")
    for extra in (0.0, 1.0):
        op = Scan(Body([h, x], [T.tanh(T.dot(h, x) + x)]), 0, ((-1,),))
        out = op.make_node(n, start, x).outputs[0]
        f = wb.function([n, start, x], out + extra)
        a = np.full((1, 2, 2), 0.5)
        np.testing.assert_allclose(f(2, a, a[0]), f(2, a, a[0]))
