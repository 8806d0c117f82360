"""Graphs for the rules of loops: a maker builds the loop of a step on inputs that are drawn."""

from collections.abc import Callable, Sequence
from typing import Any

import workbench.tensor as T
from tests.compile.rules.drawing import Draw, matches, stretch
from workbench.core.graph import Variable, as_variable
from workbench.core.ops.bodies import Body
from workbench.core.ops.scan import Scan
from workbench.core.ops.shape import SizeOf


def steps(d: Draw, low: int = 0) -> Variable:
    """A number of steps, known beforehand or not."""
    n = d.size(low)
    if d.static:
        return as_variable(n, "int64")
    v = d.new(dtype="int64")
    d.values[v] = d.values[v] * 0 + n
    return v


def value_of(d: Draw, n: Variable) -> int:
    return int(d.values[n]) if n in d.values else int(n.data)  # type: ignore[attr-defined]


def loop(
    n: Any,
    step: Callable[..., Sequence[Variable]],
    sequences: Sequence[Variable] = (),
    states: Sequence[Variable] = (),
    others: Sequence[Variable] = (),
    taps: Sequence[tuple[int, ...]] | None = None,
    **options: Any,
) -> list[Variable]:
    """The outputs of a loop whose step is a function of rows, states at their taps, and others."""
    taps = tuple(taps or [(-1,)] * len(states))

    def row(v: Variable) -> Variable:
        return Variable(v.type.with_shape(v.type.shape[1:]), v.name)

    inner = [row(s) for s in sequences]
    inner += [row(s) for s, places in zip(states, taps, strict=True) for _ in places]
    inner += [Variable(v.type, v.name) for v in others]
    op = Scan(Body(inner, list(step(*inner))), len(sequences), taps, **options)
    return list(op.make_node(as_variable(n), *sequences, *states, *others).outputs)


def rnn(d: Draw, low: int = 0, k: int = 3, m: int = 2, **options: Any) -> Any:
    """n, a sequence [n, m, k], first rows [1, m, k], a matrix [k, k]."""
    n = steps(d, low)
    return n, d.new(value_of(d, n), m, k), d.new(1, m, k), d.new(k, k)


def backwards(d: Draw) -> dict[str, bool]:
    return {"backwards": bool(d.rng.random() < 0.5)}


# --- the body ----------------------------------------------------------------------------


@matches("step_of_loop")
def _(d):
    n, x, h, w = rnn(d)
    return loop(n, lambda x, h, w: [T.tanh(T.neg(-x) + T.dot(h, w))], [x], [h], [w])[0]


@matches("step_of_loop")
def _(d):
    """A loop within a loop."""
    n, x, h, w = rnn(d)

    def step(x, h, w):
        return [
            loop(2, lambda h, w: [T.dot(T.neg(-h), w)], [], [h[None]], [w])[0][1:][-1]
        ]

    return loop(n, step, [x], [h], [w])[0]


@matches("step_of_loop")
def _(d):
    """Sizes that are equal outside are equal inside."""
    n, x, h, _ = rnn(d)
    same = T.exp(h)
    return loop(
        n,
        lambda x, s: [stretch(s[0], *map(T.shape(x).__getitem__, (0, 1))) + x],
        [x],
        [],
        [same],
    )[0]


# --- two loops ---------------------------------------------------------------------------


@matches("loops_with_equal_states")
def _(d):
    n, x, h, w = rnn(d)
    options = backwards(d)
    one = loop(n, lambda x, h, w: [T.tanh(x + T.dot(h, w))], [x], [h], [w], **options)

    def more(x, h, w):
        a = T.dot(h, w)
        return [T.tanh(x + a), a, x + a]

    return (*one, *loop(n, more, [x], [h], [w], **options))


@matches("loops_with_equal_states")
def _(d):
    """One of them keeps fewer rows; the other has a state more."""
    n, x, h, w = rnn(d, low=2)
    keep = int(d.rng.choice([1, 2]))
    options = backwards(d)

    def few(x, h, w):
        return [T.tanh(x + T.dot(h, w)), T.exp(x)]

    one = loop(n, few, [x], [h], [w], keep=(keep, keep), **options)
    s = d.new(1, 2, 3)

    def many(x, s, h, w):
        new = T.tanh(x + T.dot(h, w))
        return [s + new, new, T.exp(x), s * 2]

    return (*one, *loop(n, many, [x], [s, h], [w], **options))


@matches("loops_with_equal_states")
def _(d):
    """Both have a condition."""
    n, x, h, w = rnn(d)

    def step(x, h, w):
        new = T.tanh(x + T.dot(h, w))
        return [new, T.gt(new[0, 0], 0)]

    def more(x, h, w):
        new = T.tanh(x + T.dot(h, w))
        return [new, new * x, T.gt(new[0, 0], 0)]

    return (
        *loop(n, step, [x], [h], [w], until=True),
        *loop(n, more, [x], [h], [w], until=True),
    )


@matches("loops_with_equal_states")
def _(d):
    """Without states, one gives all that the other does."""
    n, x, _, w = rnn(d)
    one = loop(n, lambda x, w: [T.dot(x, w)], [x], [], [w])
    return (*one, *loop(n, lambda x, w: [T.exp(x), T.dot(x, w)], [x], [], [w]))


# --- its parts ---------------------------------------------------------------------------


@matches("unread_parts_of_loop")
def _(d):
    n, x, h, w = rnn(d)
    s, y = d.new(1, 2, 3), T.exp(x)

    def step(x, y, h, s, w):
        new = T.tanh(x + T.dot(h, w))
        return [new, s + y, T.exp(new), new * 2]

    out = loop(n, step, [x, y], [h, s], [w], **backwards(d))
    return out[0], out[3]


@matches("unread_parts_of_loop")
def _(d):
    n, x, h, w = rnn(d)

    def step(x, h, w):
        new = T.tanh(x + T.dot(h, w))
        return [new, new * 2, T.exp(new), T.gt(new[0, 0], 0)]

    out = loop(n, step, [x], [h], [w], until=True)
    return out[1], out[3]


@matches("equal_parts_of_loop")
def _(d):
    n, x, h, w = rnn(d)

    def step(x, y, h, s, v, w):
        return [T.tanh(x + T.dot(h, v)), T.tanh(y + T.dot(s, w)), h + s, s + h, h + h]

    return tuple(loop(n, step, [x, x], [h, h], [w, w], **backwards(d)))


@matches("equal_parts_of_loop")
def _(d):
    """States that start alike and go on otherwise."""
    n, x, h, _ = rnn(d)

    def step(x, a, b, c):
        return [a + x, b - x, c + x]

    return tuple(loop(n, step, [x], [h, h, h]))


@matches("constants_of_loop")
def _(d):
    n, x, h, _ = rnn(d)
    two = as_variable(2.0, "float64")
    return loop(n, lambda x, h, c: [h * c + x], [x], [h], [two], **backwards(d))[0]


@matches("repeated_rows")
def _(d):
    n, x, h, _ = rnn(d)
    ones = stretch(T.constant([[1.0]]), n, SizeOf(2)(x))
    rows = stretch(d.new(1, 2, 3), n, 2, 3)

    def step(x, r, s, h):
        return [h * r[None, :] + x, s + 1]

    return tuple(loop(n, step, [x, ones, rows], [h], **backwards(d)))


@matches("sizes_of_rows")
def _(d):
    _, x, h, _ = rnn(d)

    def step(x, y, h):
        return [h + stretch(T.constant([[1.0]]), SizeOf(0)(y), 1), x * 2]

    return tuple(loop(SizeOf(0)(x), step, [x, x * 2], [h], **backwards(d)))


@matches("states_that_stay")
def _(d):
    n, x, h, _ = rnn(d)
    s = d.new(1, 2, 3)
    return tuple(loop(n, lambda x, h, s: [h * s + x, s], [x], [h, s], **backwards(d)))


@matches("states_that_stay")
def _(d):
    n = steps(d)
    return loop(n, lambda s: [s], [], [d.new(1, 2)], keep=(1,))[0]


@matches("results_known_before")
def _(d):
    n, x, _, w = rnn(d)
    return tuple(
        loop(n, lambda x, w: [x * 2, T.dot(w, w)], [x], [], [w], **backwards(d))
    )


@matches("results_known_before")
def _(d):
    w = d.new(2, 3)
    return loop(steps(d), lambda w: [T.exp(w)], [], [], [w])[0]


# --- rows --------------------------------------------------------------------------------


@matches("rows_that_are_read")
def _(d):
    n, x, h, w = rnn(d, low=2)
    out = loop(n, lambda x, h, w: [T.tanh(x + T.dot(h, w)), h * 2], [x], [h], [w])
    return out[0][1:][-1], out[1][-2, 1:]


@matches("rows_that_are_read")
def _(d):
    n, x, h, w = rnn(d, low=2)
    out = loop(
        n,
        lambda x, h, w: [T.tanh(x + T.dot(h, w)), h * 2],
        [x],
        [h],
        [w],
        backwards=True,
    )
    return out[0][:-1][0], out[0][1], out[1][:1] if d.static else out[1][0]


@matches("rows_that_are_read")
def _(d):
    """As users see the results of a loop that goes backwards: in the order of the steps."""
    n, x, h, w = rnn(d, low=2)

    def step(x, h, w):
        return [T.tanh(x + T.dot(h, w)), h * 2]

    s, y = loop(n, step, [x], [h], [w], backwards=True)
    return s[-2::-1][-1], y[::-1][-2, 1:]


@matches("rows_that_are_read")
def _(d):
    n, x, _, _ = rnn(d)
    h = d.new(2, 2, 3)
    out = loop(n, lambda x, a, b: [a + b * x], [x], [h], taps=[(-2, -1)])
    return out[0][-1], out[0][-2:]


@matches("rows_that_are_read")
def _(d):
    n, x, h, _ = rnn(d, low=2)

    def step(x, h):
        return [h + x, x * h, T.gt(h.sum(), 0)]

    s, y, count = loop(n, step, [x], [h], until=True)
    return s[1 : count + 1][-1], y[:count][-1], count


# --- no loop -----------------------------------------------------------------------------


@matches("loop_of_one_step")
def _(d):
    x, h = d.new(1, 2, 3), d.new(2, 2, 3)
    out = loop(
        1, lambda x, a, b: [a + b * x, a * 2], [x], [h], taps=[(-2, -1)], **backwards(d)
    )
    kept = loop(1, lambda x, h: [h + x, x], [x], [d.new(1, 2, 3)], keep=(1, 1))
    return (*out, *kept)


@matches("loop_of_one_step")
def _(d):
    x, h = d.new(1, 3), d.new(1, 3)
    return tuple(loop(1, lambda x, h: [h + x, T.gt(h[0], 0)], [x], [h], until=True))


@matches("loop_of_no_step")
def _(d):
    x, h = stretch(d.new(1, 2, 3), 0, 2, 3), d.new(1, 2, 3)
    return tuple(loop(0, lambda x, h: [h + x, h * 2], [x], [h], **backwards(d)))


# --- moves -------------------------------------------------------------------------------


@matches("same_at_every_step")
def _(d):
    n, x, h, w = rnn(d)

    def step(x, h, w):
        return [T.dot(h, T.exp(w).T) + x * w.sum(axis=0, keepdims=True)]

    return loop(n, step, [x], [h], [w], **backwards(d))[0]


@matches("products_before_loop")
def _(d):
    n, x, h, w = rnn(d)

    def step(x, h, w):
        return [T.tanh(T.tanh(T.dot(x, w) + w[0]) + h), T.dot(x, w)]

    return tuple(loop(n, step, [x], [h], [w], **backwards(d)))


@matches("products_before_loop")
def _(d):
    n = steps(d)
    x, h, w = d.new(value_of(d, n), 3), d.new(1, 4), d.new(3, 4)

    def step(x, h, w):
        return [T.tanh(T.dot(x, w) + h), T.dot(w.T, x)[1:]]

    return tuple(loop(n, step, [x], [h], [w], **backwards(d)))


@matches("results_of_sequences")
def _(d):
    _, x, h, _ = rnn(d, low=2)
    keep = {} if d.static else {"least": 1}
    out = loop(SizeOf(0)(x), lambda x, h: [h + x, T.exp(x), x[1:]], [x], [h], **keep)
    return tuple(out)


@matches("results_that_are_parts")
def _(d):
    n, x, h, w = rnn(d)

    def step(x, h, w):
        a = T.dot(h, w) + x
        return [T.tanh(a), a[:, :1], a[:, 1:]]

    return tuple(loop(n, step, [x], [h], [w], **backwards(d)))


@matches("products_after_loop")
def _(d):
    n, x, h, w = rnn(d)

    def step(x, h, w):
        new = T.tanh(h * x)
        return [new, T.nnet.softmax(T.dot(new, w) + x), T.dot(h * new, w), h + new]

    return tuple(loop(n, step, [x], [h], [w], **backwards(d)))


@matches("products_after_loop")
def _(d):
    """Of the last rows only."""
    n, x, h, w = rnn(d, low=2)

    def step(x, h, w):
        new = T.tanh(h * x)
        return [new, T.dot(new, w) + x]

    return tuple(loop(n, step, [x], [h], [w], keep=(None, 2), least=2, **backwards(d)))


@matches("sums_after_loop")
def _(d):
    n, x, h, w = rnn(d)
    y, s = d.new(*d.values[x].shape), d.new(1, 3)

    def step(x, y, h, a, s, w):
        g = T.tanh(x * h)
        return [
            h + y,
            (a + T.dot(x.T, g)) - T.dot(h.T, y),
            s + g.sum(axis=0),
        ]

    out = loop(
        n,
        step,
        [x, y],
        [h, d.new(1, 3, 3), s],
        [w],
        keep=(None, 1, 1),
        **backwards(d),
    )
    return tuple(out)


@matches("sums_after_loop")
def _(d):
    """Of vectors the product is an outer one; of what is joined it is made at once."""
    n = steps(d)
    m = value_of(d, n)
    x, h, v = d.new(m, 3), d.new(1, 3), d.new(6, 3)

    def step(x, h, a, b, c, v):
        g, k = T.tanh(x * h), T.sigmoid(h)
        new = T.dot(T.concatenate([g, k]), v)
        return [
            new,
            a + T.outer(x, g),
            T.outer(k, x) + b,
            c + T.outer(x, k),
        ]

    firsts = [h, d.new(1, 3, 3), d.new(1, 3, 3), d.new(1, 3, 3)]
    out = loop(n, step, [x], firsts, [v], keep=(1, 1, 1, 1), **backwards(d))
    return tuple(out)


@matches("sums_after_loop")
def _(d):
    n, x, h, v = rnn(d)

    def step(x, h, a, b, c, v):
        g, k = T.tanh(x * h), T.sigmoid(h)
        new = T.dot(T.concatenate([g, k], axis=1), v)
        return [new, a + T.dot(x.T, g), b + T.dot(x.T, k), c + k.sum(axis=0)]

    firsts = [h, d.new(1, 3, 3), d.new(1, 3, 3), d.new(1, 3)]
    v = d.new(6, 3)
    return tuple(loop(n, step, [x], firsts, [v], keep=(1,) * 4, **backwards(d)))


# --- products ----------------------------------------------------------------------------


@matches("products_that_share_an_operand")
def _(d):
    n, x, h, w = rnn(d)
    v = d.new(3, 4)

    def step(x, h, w, v):
        a = T.dot(h, w)
        return [T.tanh(a + x), T.dot(h, v), T.dot(h * a, w), T.dot(h * a, v)]

    return tuple(loop(n, step, [x], [h], [w, v], **backwards(d)))


@matches("products_that_share_an_operand")
def _(d):
    n = steps(d)
    x, h, w, v = d.new(value_of(d, n), 3), d.new(1, 3), d.new(3, 3), d.new(2, 3)

    def step(x, h, w, v):
        return [T.tanh(T.dot(w, h) + x), T.dot(v, h)]

    return tuple(loop(n, step, [x], [h], [w, v], **backwards(d)))


@matches("products_that_are_added")
def _(d):
    n, x, h, w = rnn(d)
    v = d.new(3, 3)

    def step(x, h, w, v):
        return [T.dot(T.tanh(h), w) + x + T.dot(T.sin(h), v)]

    return tuple(loop(n, step, [x], [h], [w, v], **backwards(d)))


@matches("products_that_are_added")
def _(d):
    n = steps(d)
    x, h, w, v = d.new(value_of(d, n), 3), d.new(1, 3), d.new(3, 3), d.new(3, 3)

    def step(x, h, w, v):
        return [T.dot(w, h * x) + T.dot(v, T.sin(h)), T.dot(h, w) + T.dot(x * h, v)]

    return tuple(loop(n, step, [x], [h], [w, v], **backwards(d)))
