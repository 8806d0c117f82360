"""Choices in the steps of loops, and loops in choices: one program, whatever their sizes follow from."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.toolchain import find_compiler
from workbench.compile.planning import plan_program
from workbench.compile.record import Graph
from workbench.core.errors import ShapeError
from workbench.core.evaluate import evaluate
from workbench.core.graph import toposort

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")

X, H, W, K = T.dmatrix("x"), T.dvector("h"), T.dmatrix("w"), T.lvector("k")


def values(steps=5, size=3):
    rng = np.random.default_rng(0)
    return {
        X: rng.normal(size=(steps, size)),
        H: rng.normal(size=size),
        W: rng.normal(size=(size, size)),
        K: rng.integers(0, size + 1, steps),
    }


def inner_loop(h, r, w):
    out, _ = wb.scan(lambda e, s, w: T.tanh(s * e + T.dot(h, w)), r, h, w)
    return out[-1]


def two_at_once(r, h, w):
    a, b = wb.ifelse(h.sum() > 0, [T.tanh(T.dot(h, w)), r], [h * 2, T.exp(r)])
    return T.tanh(a * b + h)


def choice_of_choice(r, h, w):
    inner = h - wb.ifelse(h.sum() > 0, T.dot(h, w), r)
    return T.tanh(wb.ifelse(inner.sum() > 0, T.dot(inner, w), inner) + h)


STEPS = {
    "elementwise": lambda r, k, h, w: wb.ifelse(r.sum() > 0, T.tanh(h + r), h * r),
    "product": lambda r, k, h, w: wb.ifelse(r.sum() > 0, T.tanh(T.dot(h, w)), h * r),
    "state decides": lambda r, k, h, w: wb.ifelse(h.sum() > 0, T.dot(h, w) / 9, r),
    "part of a row": lambda r, k, h, w: (
        h / 2 + wb.ifelse(h.sum() > 0, T.exp(r[:k]).sum(), r.sum())
    ),
    "two at once": lambda r, k, h, w: two_at_once(r, h, w),
    "choice of choice": lambda r, k, h, w: choice_of_choice(r, h, w),
    "loop": lambda r, k, h, w: wb.ifelse(h.sum() > 0, inner_loop(h, r, w), h * r),
    "in a loop": lambda r, k, h, w: inner_loop(
        wb.ifelse(h.sum() > 0, T.dot(h, w), r), r, w
    ),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("steps", [0, 5])
def test_a_loop_with_a_choice_and_its_gradient_are_in_the_program(name, steps):
    out, _ = wb.scan(STEPS[name], [X, K], H, W)
    cost = T.sum(out**2)
    outputs = [out, *wb.grad(cost, [X, H, W], disconnected_inputs="ignore")]
    given = values(steps)

    f = wb.function([X, H, W, K], outputs, on_unused_input="ignore")

    assert "host" not in [kernel.kind for kernel in f.compilation.kernels]
    for got, expected in zip(
        f(*(given[v] for v in (X, H, W, K))), evaluate(outputs, given), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12, strict=True)


def test_a_loop_in_a_branch_and_its_gradient_are_in_the_program():
    out, _ = wb.scan(lambda r, h, w: T.tanh(T.dot(h, w) + r), X, H, W)
    chosen = wb.ifelse(H.sum() > 0, out, X * 2)
    outputs = [chosen, *wb.grad(T.sum(chosen**2), [X, H, W])]
    given = values()

    f = wb.function([X, H, W], outputs)

    assert "host" not in [kernel.kind for kernel in f.compilation.kernels]
    for sign in (1, -1):
        given[H] = sign * np.abs(given[H])
        expected = evaluate(outputs, given)
        for a, b in zip(f(*(given[v] for v in (X, H, W))), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_a_branch_that_changes_the_size_of_a_state_fails_when_it_is_taken():
    def step(r, h, w):
        return wb.ifelse(r.sum() > 0, T.tanh(T.dot(h, w)), h * 2)

    out, _ = wb.scan(step, X, H, W)
    f = wb.function([X, H, W], out)
    wide = np.ones((3, 4))

    assert f(-np.ones((2, 3)), np.ones(3), wide).shape == (2, 3)
    with pytest.raises(ShapeError, match="state"):
        f(np.ones((2, 3)), np.ones(3), wide)


def test_sizes_that_differ_by_step_are_no_array_of_all_steps():
    # A warning of a rule that gives up would be an error here.
    kinds = [
        lambda k, r: T.exp(r[:k]).sum(),
        lambda k, r: T.dot(r[:k], W[:k]),
        lambda k, r: T.concatenate([r[:k], r[k:]]),
    ]
    for kind in kinds:
        out, _ = wb.scan(kind, [K, X])
        gradient = wb.grad(T.sum(out**2), X)
        given = values()
        for mode in ("FAST_COMPILE", "FAST_RUN"):
            f = wb.function(
                [X, W, K], [out, gradient], mode=mode, on_unused_input="ignore"
            )
            expected = evaluate([out, gradient], given)
            for a, b in zip(f(*(given[v] for v in (X, W, K))), expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_what_a_size_follows_from_stays_until_it_is_compared():
    limits, n = T.dvector("limits"), T.lscalar("n")

    def until(limit):
        def step(s):
            return s + 0.5, wb.until(s > limit)

        return wb.scan(step, outputs_info=T.constant(0.0), n_steps=n)[0]

    first = until(limits[0])
    second = until(limits[1] + first[-1])

    planned = plan_program(Graph((limits, n), (first * second,)), lambda node: False)

    sizes, last = planned.sizes, planned.sizes.last_reads()
    (check,) = planned.schedule.extents.checks
    known = [sizes.known_after(s) for s in (check.a, check.b)]
    assert known[0] != known[1]
    for size in (check.a, check.b):
        counts = [v for node in toposort([size]) for v in node.inputs if v in last]
        assert counts and all(last[v] >= max(known) for v in counts)
