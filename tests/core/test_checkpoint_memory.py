"""What a gradient is said to keep of the steps of a loop, against what it does keep."""

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile.c.toolchain import find_compiler
from workbench.core.errors import ArgumentError
from workbench.core.evaluate import evaluate
from workbench.core.ops.scan import Scan

X, H, W = T.dmatrix("x"), T.dvector("h"), T.dmatrix("w")


def step(x, h, w):
    return T.sin(T.exp(T.dot(h, w))) + x


def given(steps, size=4):
    return {X: (steps, size), H: (size,), W: (size, size)}


def kept_in_numpy(monkeypatch, steps, **every):
    """Bytes of the results of the forward loops of a gradient, the largest of each kind."""
    loop = wb.scan_checkpoints if every else wb.scan
    out, _ = loop(step, X, H, W, **every)
    gradients = wb.grad(T.sum(out[-1]), [X, H, W])
    seen: dict[bool, int] = {}
    run = Scan.evaluate

    def noted(op, node, inputs):
        results = run(op, node, inputs)
        if not op.title.startswith("gradient"):
            chunks = op.recompute
            nbytes = sum(a.nbytes for a in results)
            seen[chunks] = max(seen.get(chunks, 0), nbytes)
        return results

    monkeypatch.setattr(Scan, "evaluate", noted)
    rng = np.random.default_rng(0)
    evaluate(gradients, {v: rng.normal(size=s) for v, s in given(steps).items()})
    return sum(seen.values())


def test_a_gradient_keeps_what_is_said(monkeypatch):
    said = wb.checkpoint_memory(step, X, H, W, given=given(12))

    assert said.scan == kept_in_numpy(monkeypatch, 12)


@pytest.mark.parametrize("every", [1, 3, 4, 12])
def test_a_gradient_with_checkpoints_keeps_what_is_said(monkeypatch, every):
    said = wb.checkpoint_memory(step, X, H, W, given=given(12))

    assert said.every(every) == kept_in_numpy(monkeypatch, 12, save_every_N=every)


def test_sequences_that_are_padded_are_counted():
    even, padded = (
        wb.checkpoint_memory(step, X, H, W, given=given(n)).every(4) for n in (16, 15)
    )

    assert padded - even == 16 * 4 * 8


def test_the_best_choice_keeps_least():
    said = wb.checkpoint_memory(step, X, H, W, given=given(100))

    least = min(said.every(n) for n in range(1, 101))
    assert said.every(said.best) == least < said.scan / 4
    assert f"save_every_N={said.best} (least)" in str(said)


@pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")
def test_a_compiled_gradient_keeps_what_is_said():
    n = T.lscalar("n")

    def power(h, w):
        return T.tanh(T.dot(h, w))

    plain, _ = wb.scan(power, None, H, W, n)
    saved, _ = wb.scan_checkpoints(power, None, H, W, n_steps=n, save_every_N=10)
    sizes = {H: (4,), W: (4, 4), n: 1000}
    said = wb.checkpoint_memory(power, None, H, W, n, given=sizes)

    planned = [
        wb.memory(
            wb.function([H, W, n], wb.grad(T.sum(out[-1]), H)),
            np.ones(4),
            np.ones((4, 4)),
            1000,
        )
        for out in (plain, saved)
    ]

    rows = [
        nbytes
        for memory in planned
        for block in memory.blocks
        for name, nbytes in block.values
        if name.startswith(("scan(", "scan{checkpoints}("))
    ]
    assert rows == [said.scan, (100 + 1) * said.state]
    assert planned[0].peak > 5 * planned[1].peak


def test_a_size_that_is_not_given_is_asked_for():
    with pytest.raises(ArgumentError, match="sizes depend on h, w, not given"):
        wb.checkpoint_memory(step, X, H, W, given={X: (5, 4)})
