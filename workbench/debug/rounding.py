"""How far a result may move by rounding alone.

Where numbers cancel, one unit in the last place of an intermediate value may be all that is
left of a result, so no bound relative to the result holds. Here a graph is evaluated a few
times with every intermediate value moved at random by about what an operation may round; how
far its results move is how much of them is noise (the idea is that of the CESTAC method,
J. Vignes, Mathematics and Computers in Simulation 35, 1993, 233).

Read next: :mod:`workbench.debug.verify`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from workbench.core.evaluate import evaluate, run_node
from workbench.core.graph import Apply, Variable
from workbench.core.op import Elementwise, Opaque, Reduction
from workbench.core.types import Array

TRIES = 8
"""How often a graph is evaluated."""

ULPS = 4
"""By how many units in the last place one value is moved at most."""


def spread(outputs: Sequence[Variable], values: Mapping[Variable, Any]) -> list[Array]:
    """For every element of the outputs how far it moves at most, a float64.

    It is infinite where an element is at times finite and at times not, or where the shape
    of the output changes.

    Parameters
    ----------
    outputs, values
        As :func:`~workbench.core.evaluate.evaluate` has them.
    """
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        plain = evaluate(outputs, values)
        far = [np.zeros(a.shape) for a in plain]
        for _ in range(TRIES):
            moved = evaluate(outputs, values, partial(_run_moved, rng))
            for most, a, b in zip(far, plain, moved, strict=True):
                np.maximum(most, _distance(a, b), out=most)
    return far


def _run_moved(
    rng: np.random.Generator, node: Apply, inputs: Sequence[Any]
) -> list[Array]:
    """The reference of a node, its results moved; of a sum or product each term, too."""
    if isinstance(node.op, Reduction | Opaque):
        inputs = [_moved(rng, x) for x in inputs]
    results = run_node(node, inputs)
    if isinstance(node.op, Reduction | Opaque):
        # Of terms that overflow both ways the order decides: infinity, or NaN.
        results = [_overflowed(rng, x) for x in results]
    if isinstance(node.op, Elementwise | Reduction | Opaque):
        results = [_moved(rng, x) for x in results]
    return results


def _moved(rng: np.random.Generator, x: Any) -> Any:
    if x is None or x.dtype.kind not in "fc":
        return x
    eps = float(np.finfo(x.dtype).eps)
    by = ULPS * eps * rng.uniform(-1, 1, x.shape)
    if x.dtype.kind == "c":
        by = by + 1j * ULPS * eps * rng.uniform(-1, 1, x.shape)
    return np.where(np.isfinite(x), x * (1 + by), x).astype(x.dtype)


def _overflowed(rng: np.random.Generator, x: Array) -> Array:
    if x.dtype.kind not in "fc" or np.isfinite(x).all():
        return x
    other = rng.choice([np.inf, -np.inf, np.nan], x.shape)
    return np.where(np.isfinite(x), x, other).astype(x.dtype)


def _distance(a: Array, b: Array) -> Array:
    if a.shape != b.shape:
        return np.full(a.shape, np.inf)
    if a.dtype.kind not in "fc":
        apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
        return np.asarray(apart)
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    apart = np.abs(a.astype(wide) - b.astype(wide))
    is_same = (a == b) | (np.isnan(a) & np.isnan(b))
    apart = np.where(np.isfinite(a) & np.isfinite(b), apart, np.inf)
    return np.where(is_same, 0.0, apart)
