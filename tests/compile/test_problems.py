"""The texts of errors: one golden file each, the same in every mode and in a notebook.

Refresh them with ``pytest tests/compile/test_problems.py --refresh-golden`` and read the
difference. A script's last line fails; the text is the error's, with the numbers that
change with every rule of the optimiser written as N.
"""

import gc
import linecache
import re
import traceback

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import (
    ArgumentError,
    DisconnectedInputError,
    DTypeError,
    GradientError,
    IndexShapeError,
    MissingInputError,
    OutOfMemoryError,
    OutOfRangeError,
    ShapeError,
    UnusedInputError,
    UpdateTypeError,
    WorkbenchError,
)

MODES = ["FAST_RUN", "FAST_COMPILE", "None"]

MODEL = """\
x, y = T.fmatrix("x"), T.lvector("y")
W = wb.shared(np.zeros((784, 10), "float32"), name="W")
b = wb.shared(np.zeros(10, "float32"), name="b")
p_y = T.nnet.softmax(T.dot(x, W) + b)
cost = -T.log(p_y)[T.arange(y.shape[0]), y].mean()
"""

TRAIN = (
    MODEL
    + """\
gW, gb = wb.grad(cost, [W, b])
updates = [(W, W - 0.1 * gW), (b, b - 0.1 * gb)]
train = wb.function([x, y], cost, updates=updates, mode=MODE)
batch, labels = np.zeros((600, 784), "float32"), np.zeros(600, int)
"""
)

SCRIPTS = {
    "dot_mismatch": (
        ShapeError,
        TRAIN.replace("784, 10", "748, 10") + "train(batch, labels)",
    ),
    "wrong_dtype": (DTypeError, TRAIN + "train(batch.astype(float), labels)"),
    "wrong_dtype_by_name": (DTypeError, TRAIN + "train(y=labels / 1,\n      x=batch)"),
    "wrong_rank": (ShapeError, TRAIN + "train(batch[0], labels[:1])"),
    "wrong_size": (
        ShapeError,
        'v = T.tensor("float64", (3, None), "v")\nf = wb.function([v], v * 2, mode=MODE)\nf(np.zeros((4, 2)))',
    ),
    "python_number_too_large": (
        DTypeError,
        'n = T.bscalar("n")\nf = wb.function([n], n + 1, mode=MODE)\nf(300)',
    ),
    "too_few_arguments": (ArgumentError, TRAIN + "train(batch)"),
    "too_many_arguments": (ArgumentError, TRAIN + "train(batch, labels, 0.1)"),
    "unknown_argument": (ArgumentError, TRAIN + "train(batch, Y=labels)"),
    "argument_twice": (ArgumentError, TRAIN + "train(batch, labels, x=batch)"),
    "label_out_of_range": (
        OutOfRangeError,
        TRAIN + "labels[41] = 10\ntrain(batch, labels)",
    ),
    "more_labels_than_rows": (OutOfRangeError, TRAIN + "train(batch[:500], labels)"),
    "row_out_of_range": (
        OutOfRangeError,
        'data, k = wb.shared(np.zeros((3, 2)), "data"), T.lscalar("k")\nrow = wb.function([k], data[k] + 1, mode=MODE)\nrow(-4)',
    ),
    "mask_of_another_size": (
        IndexShapeError,
        'data, keep = wb.shared(np.zeros((3, 2)), "data"), T.tensor("bool", (None,), "keep")\nkept = wb.function([keep], data[keep] * 2, mode=MODE)\nkept([True, False])',
    ),
    "slice_of_step_zero": (
        ShapeError,
        'v, k = T.vector("v"), T.lscalar("k")\neach = wb.function([v, k], v[::k] + 1, mode=MODE)\neach(np.zeros(5), 0)',
    ),
    "empty_batch": (
        ShapeError,
        MODEL
        + "peak = wb.function([x], T.dot(x, W).max(axis=0), mode=MODE)\npeak(np.zeros((0, 784), 'f4'))",
    ),
    "sizes_differ": (
        ShapeError,
        "u, v = T.matrices('u', 'v')\nmix = wb.function([u, v], T.exp(u + v) * 2, mode=MODE)\nmix(np.zeros((2, 3)), np.zeros((2, 4)))",
    ),
    "size_of_one_not_declared": (
        ShapeError,
        "u, v = T.matrices('u', 'v')\nmix = wb.function([u, v], u * v, mode=MODE)\nmix(np.zeros((2, 3)), np.zeros((1, 3)))",
    ),
    "reshape": (
        ShapeError,
        'v, n = T.vector("v"), T.lscalar("n")\nfold = wb.function([v, n], v.reshape((n, 2)), mode=MODE)\nfold(np.zeros(5), 2)',
    ),
    "join": (
        ShapeError,
        "u, v = T.matrices('u', 'v')\njoin = wb.function([u, v], T.concatenate([u, v]), mode=MODE)\njoin(np.zeros((2, 3)), np.zeros((2, 4)))",
    ),
    "missing_input": (
        MissingInputError,
        MODEL + "train = wb.function([x], cost, mode=MODE)",
    ),
    "missing_input_over_lines": (
        MissingInputError,
        MODEL + "train = wb.function(\n    outputs=cost,\n    inputs=[y],\n)",
    ),
    "unused_input": (
        UnusedInputError,
        MODEL + "predict = wb.function([x, y], p_y, mode=MODE)",
    ),
    "duplicate_input": (ArgumentError, MODEL + "predict = wb.function([x, x], p_y)"),
    "inputs_no_list": (ArgumentError, MODEL + "predict = wb.function(x, p_y)"),
    "disconnected": (
        DisconnectedInputError,
        MODEL
        + "error = T.neq(T.argmax(p_y, axis=1), y).mean()\ngW, gb = wb.grad(error, [W, b])",
    ),
    "not_in_the_graph": (
        DisconnectedInputError,
        MODEL + 'z = T.vector("z")\ngb, gz = wb.grad(cost, [b, z])',
    ),
    "cost_is_no_scalar": (GradientError, MODEL + "wb.grad(p_y, W)"),
    "integer_gradient": (GradientError, MODEL + "wb.grad(cost, y)"),
    "update_dtype": (
        UpdateTypeError,
        MODEL
        + "gW = wb.grad(cost, W)\nlr = np.float64(0.1)\nupdates = [(W, W - lr * gW)]\n"
        + "train = wb.function([x, y], cost, updates=updates, mode=MODE)",
    ),
    "update_dtype_shared": (
        UpdateTypeError,
        MODEL
        + 'gW = wb.grad(cost, W)\nlr = wb.shared(0.1, "lr")\nstep = gW * lr\n'
        + "train = wb.function([x, y], cost, updates={W: W - step}, mode=MODE)",
    ),
    "update_dtype_made_inside": (
        UpdateTypeError,
        'n = T.lscalar("n")\nmean = wb.shared(np.float32(0), "mean")\nf = wb.function([n], updates=[(mean, mean + 1 / n)])',
    ),
    "update_rank": (
        UpdateTypeError,
        MODEL + "train = wb.function([x, y], cost, updates=[(b, cost)])",
    ),
    "update_number": (
        UpdateTypeError,
        'n = wb.shared(0, "n")\ncount = wb.function([], n, updates=[(n, 0.5)])',
    ),
    "update_of_no_shared": (
        UpdateTypeError,
        MODEL + "train = wb.function([x, y], cost, updates=[(y, y + 1)])",
    ),
    "given_dtype": (
        DTypeError,
        MODEL + "train = wb.function([x], cost, givens={y: x[:, 0]})",
    ),
    "out_of_memory": (
        OutOfMemoryError,
        'n = T.lscalar("n")\nw = wb.shared(np.zeros(3), "w")\nbig = wb.function([n], updates=[(w, T.arange(n) * 0.5)], mode=MODE)\nbig(10**16)',
    ),
}

MADE_BY_CALLS = {
    name
    for name, (_, text) in SCRIPTS.items()
    if not re.search(r"function\(|grad\(", text.split("\n")[-1])
}
MADE_BY_CALLS -= {"missing_input_over_lines"}


def names(mode="FAST_RUN"):
    return {"np": np, "wb": wb, "T": T, "MODE": mode}


def fail(text, mode="FAST_RUN", kind=WorkbenchError):
    """The error of a script, which is known as the file model.py while it runs."""
    lines = text.splitlines(keepends=True)
    linecache.cache["model.py"] = (len(text), None, lines, "model.py")
    with pytest.raises(kind) as caught:
        exec(compile(text, "model.py", "exec"), names(mode))
    return caught.value


def masked(error):
    """Its text, without the numbers of nodes and steps, which every new rule changes."""
    text = f"{type(error).__name__}: {error}"
    text = re.sub(
        r"(?m)^(  node .*)",
        lambda found: re.sub(r"#\d+|of \d+|step \d+", masked_number, found[0]),
        text,
    )
    return re.sub(r"\d+\.\d ([KMGTPE]iB)", r"N.N \1", text)


def masked_number(found):
    return re.sub(r"\d+", "N", found[0])


@pytest.mark.parametrize("name", SCRIPTS)
def test_text_of(name, golden):
    kind, script = SCRIPTS[name]

    error = fail(script, kind=kind)

    golden(f"errors/{name}", masked(error))
    assert type(error) is kind
    assert error.line is not None and error.line.text in script
    code = set(script.split("\n"))
    for line in str(error).split("\n"):
        assert len(line) <= 120 or any(c and c in line for c in code), line


def common(error):
    """What does not depend on the mode: all but what was made of the operation."""
    lines = [
        line
        for line in masked(error).split("\n")
        if not re.match(r"  (node|large|      ) ", line)
    ]
    return "\n".join(re.sub(r"mode \S+$", "mode", line) for line in lines)


@pytest.mark.parametrize("name", sorted(MADE_BY_CALLS))
def test_the_text_is_the_same_in_every_mode(name):
    kind, script = SCRIPTS[name]

    modes = MODES if kind is OutOfMemoryError else [*MODES, "DEBUG"]
    first, *others = [common(fail(script, mode, kind)) for mode in modes]

    assert others == [first] * len(others)


@pytest.mark.parametrize("mode", MODES)
def test_an_error_has_its_node_inputs_and_line(mode):
    error = fail(TRAIN + "labels[41] = 10\ntrain(batch, labels)", mode)

    assert str(error.node) == "take(log(…), arange(0, …, 1), y)"
    assert [a.shape for a in error.inputs] == [(600, 10), (600,), (600,)]
    assert (error.line.file, error.line.line) == ("model.py", 5)
    assert isinstance(error, IndexError)


@pytest.mark.parametrize("mode", MODES)
def test_the_traceback_has_no_frames_below_the_call(mode):
    error = fail(TRAIN + "train(batch[:, 1:], labels)", mode)

    shown = "".join(traceback.format_exception(error))
    frames = [f.filename for f in traceback.extract_tb(error.__traceback__)]

    assert "During handling" not in shown and "direct cause" not in shown
    assert not any("evaluate.py" in file or "/ops/" in file for file in frames)


def test_what_a_rule_made_says_so():
    script = """\
x, d = T.matrices("x", "d")
W = wb.shared(np.zeros((4, 2)), name="W")
train = wb.function([x, d], updates=[(W, W - 0.5 * T.dot(x.T, d))])
train(np.zeros((3, 4)), np.zeros((5, 2)))
"""

    text = str(fail(script))

    assert "has 3 columns but d has 5 rows" in text
    assert re.search(
        r"  node   gemm #\d+ of \d+, made from dot #\d+ by gemm \(step \d+\)\n", text
    )


def test_each_call_is_counted():
    script = (
        TRAIN
        + "for n in range(37):\n    train(batch[:2], labels[:2])\ntrain(batch, labels[:599] - 11)"
    )

    assert "call 38, mode FAST_RUN" in str(fail(script))


def test_names_of_any_kind_stay_on_one_short_line():
    x, y = T.vectors("x" * 10_000, "two\nlines\x1b[31m")
    f = wb.function([x, y], x + y, name="f\n" * 1000)

    with pytest.raises(ShapeError) as caught:
        f([1.0, 2.0], [1.0, 2.0, 3.0])

    text = str(caught.value)
    assert "\x1b" not in text
    assert max(map(len, text.split("\n"))) < 200
    assert len(text.split("\n")) == 9


def test_the_mean_of_nothing_is_nan_as_in_numpy():
    x = T.matrix("x")

    for mode in MODES:
        f = wb.function(
            [x], [x.mean(), x.mean(axis=0), x.sum(axis=0), x.prod()], mode=mode
        )
        whole, column, total, product = f(np.zeros((0, 3)))
        assert np.isnan(whole) and np.isnan(column).all() and column.shape == (3,)
        assert (total == 0).all() and product == 1


# --- in a notebook -----------------------------------------------------------------------


@pytest.fixture
def shell():
    interactiveshell = pytest.importorskip("IPython.core.interactiveshell")
    interactiveshell.InteractiveShell.clear_instance()
    made = interactiveshell.InteractiveShell.instance()
    made.history_manager.enabled = False
    made.push(names())
    yield made
    interactiveshell.InteractiveShell.clear_instance()
    gc.collect()


@pytest.mark.parametrize(
    "name",
    ["dot_mismatch", "missing_input", "wrong_dtype", "disconnected", "update_dtype"],
)
def test_text_in_a_notebook(name, shell, golden, capsys):
    *cells, last = SCRIPTS[name][1].split("\n")
    shell.run_cell("\n".join(cells[:3]), store_history=True)
    shell.run_cell("\n" + "\n".join(cells[3:]), store_history=True)

    result = shell.run_cell(last, store_history=True)

    golden(f"errors/{name}_in_notebook", masked(result.error_in_exec))
    capsys.readouterr()


# --- nothing changes when a call fails ---------------------------------------------------


def chain_of_updates(mode, length=6):
    """A function with a place to fail before, between and after the values it commits."""
    index, factor = T.lvector("index"), T.vector("factor")
    states = [wb.shared(np.arange(4.0) + k, f"s{k}") for k in range(length)]
    updates, at = [], factor
    for k, state in enumerate(states):
        at = (
            T.tanh(at + state)
            if k % 2
            else at[index[k] :][T.arange(4) * 0 + index[k]] + state
        )
        updates.append((state, at + state * 0.5))
    gemm = wb.shared(np.eye(4), "gemm")
    updates.append((gemm, gemm + 0.5 * T.dot(gemm * 2, T.outer(at, at))))
    f = wb.function([index, factor], at.sum(), updates=updates, mode=mode)
    return f, [*states, gemm]


@pytest.mark.parametrize("mode", MODES)
def test_no_shared_variable_changes_when_a_call_fails(mode):
    f, states = chain_of_updates(mode)
    good = np.zeros(6, int)
    before = [s.get_value() for s in states]

    for k in range(0, 6, 2):
        for bad in (7, -9):
            index = good.copy()
            index[k] = bad
            with pytest.raises(OutOfRangeError):
                f(index, np.ones(4))
            for state, value in zip(states, before, strict=True):
                np.testing.assert_array_equal(state.get_value(), value)
    for wrong in range(7):
        states[wrong].set_value(np.ones((3, 3)) if wrong == 6 else np.ones(3))
        with pytest.raises(ShapeError):
            f(good, np.ones(4))
        states[wrong].set_value(before[wrong])
        for state, value in zip(states, before, strict=True):
            np.testing.assert_array_equal(state.get_value(), value)

    fresh, others = chain_of_updates("None")
    np.testing.assert_allclose(f(good, np.ones(4)), fresh(good, np.ones(4)), rtol=1e-12)
    for state, other in zip(states, others, strict=True):
        np.testing.assert_allclose(state.get_value(), other.get_value(), rtol=1e-12)
