"""Large arguments that are not contiguous: read where they are, with the same results."""

import gc
import os
import pickle
import signal
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.compile import layouts, variants
from workbench.compile.c.toolchain import find_compiler
from workbench.compile.layouts import ANY, LINES, ROWS, layout_of
from workbench.compile.pipeline import make_c_program
from workbench.compile.variants import against_grain
from workbench.config import config
from workbench.debug import CheckedProgram

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    monkeypatch.setattr(layouts, "WORTH", 1)


def numbers(*shape, dtype="float64"):
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)


def frozen(array):
    array.flags.writeable = False
    return array


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    made = memory.view(array.dtype).reshape(array.shape)
    made[...] = array
    return made


LAYOUTS = {
    "transposed": lambda m, n: numbers(n, m).T,
    "transposed part": lambda m, n: numbers(n + 3, m + 2)[1:-2, 1:-1].T,
    "columns": lambda m, n: numbers(m, n + 3)[:, 1:-2],
    "every other row": lambda m, n: numbers(2 * m, n)[::2],
    "backwards": lambda m, n: numbers(m, n)[::-1],
    "backwards in rows": lambda m, n: numbers(m, n)[:, ::-1],
    "every other column": lambda m, n: numbers(m, 2 * n)[:, ::2],
    "transposed backwards": lambda m, n: numbers(n, m).T[::-1],
    "one row": lambda m, n: np.broadcast_to(numbers(n), (m, n)),
    "one column": lambda m, n: np.broadcast_to(numbers(m, 1), (m, n)),
    "one number": lambda m, n: np.broadcast_to(numbers(1, 1), (m, n)),
    "windows": lambda m, n: np.lib.stride_tricks.as_strided(
        numbers(m + n), (m, n), (8, 8)
    ),
    "read only": lambda m, n: frozen(numbers(n, m)).T,
    "unaligned": lambda m, n: unaligned(numbers(n, m)).T,
    "unaligned rows": lambda m, n: unaligned(numbers(m, n)),
}

SHAPES = [(7, 5), (1, 6), (6, 1), (1, 1), (0, 4), (4, 0)]


def programs(x, w):
    """Results of a matrix that loops, libraries, views, joins, branches and scans read."""
    y = T.tanh(x * 2 + 1)
    last, _ = wb.scan(
        lambda row, so_far: so_far + row,
        sequences=x,
        outputs_info=T.zeros_like(x[:1].sum(0)),
    )
    return {
        "elementwise": [y, (x > 0) * 1.0, x],
        "sums": [x.sum(), y.sum(axis=0), y.sum(axis=1), (x * x).mean()],
        "products": [T.dot(x, w), T.dot(x.T, T.dot(x, w)), T.dot(x, x.T)],
        "softmax": [T.nnet.softmax(T.dot(x, w)), T.nnet.softmax(x + 1)],
        "views": [x.T + 1, x[::-1, 1:], x.reshape((-1,)), x.flatten(), x.dimshuffle(1, "x", 0)],
        "joins": [T.concatenate([x, x * 2]), T.set_subtensor(T.zeros_like(x)[1:], x[1:])],
        "host": [T.sort(x, axis=0), T.cumsum(x, axis=1)],
        "gathered": [x[T.arange(x.shape[0])[::-1]], x[:, T.arange(x.shape[1])].sum(axis=0)],
        "standardised": [(x - x.mean(axis=0)) / (1 + x.std(axis=0)), x - x.mean(axis=1, keepdims=True)],
        "gradient": [T.grad((T.dot(T.exp(x), w) ** 2).sum(), x)],
        "loop": [last],
    }  # fmt: skip


PROGRAMS = list(programs(T.matrix(), T.matrix()))


def compiled(name, **kwargs):
    x, w = T.matrix("x"), T.matrix("w")
    outputs = programs(x, w)[name]
    return wb.function([x, w], outputs, on_unused_input="ignore", **kwargs)


def ready(f, *args):
    """The results of a call when all that is compiled in the background is there."""
    f(*args)
    for variant in f.variants:
        variant.wait()
        assert "Error" not in variant.reason
    return f(*args)


def weights(n):
    return np.random.default_rng(1).uniform(-1, 1, (n, 3))


@pytest.mark.parametrize("program", PROGRAMS)
def test_results_are_those_of_a_contiguous_argument(program):
    f = compiled(program)
    for number, made in enumerate(LAYOUTS.values()):
        x = made(7, 5)
        if number % variants.MOST == 0:
            f.free()
        before = x.copy()

        got = ready(f, x, weights(5))

        for have, want in zip(got, f(x.copy("C"), weights(5)), strict=True):
            np.testing.assert_allclose(have, want, rtol=1e-12, atol=1e-14)
            assert have.flags.c_contiguous
            assert not np.may_share_memory(have, x)
        np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("program", ["elementwise", "sums", "products", "standardised"])
def test_axes_of_one_element_or_of_none_are_right(program, shape, monkeypatch):
    monkeypatch.setattr(layouts, "WORTH", 0)
    f = compiled(program)
    for number, made in enumerate(LAYOUTS.values()):
        x = made(*shape)
        if number % variants.MOST == 0:
            f.free()

        with np.errstate(all="ignore"):
            got = ready(f, x, weights(shape[1]))
            expected = f(x.copy("C"), weights(shape[1]))

        for have, want in zip(got, expected, strict=True):
            np.testing.assert_allclose(have, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mode", ["FAST_RUN", "FAST_COMPILE", "None", "DEBUG"])
@pytest.mark.parametrize("layout", ["transposed", "columns", "every other column"])
def test_every_mode_takes_any_layout(mode, layout):
    x = LAYOUTS[layout](7, 5)
    f = compiled("products", mode=mode)

    got = ready(f, x, weights(5))

    np.testing.assert_allclose(got[0], x @ weights(5))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    "layout", ["transposed part", "columns", "backwards", "every other column"]
)
def test_every_kernel_of_a_variant_agrees_with_numpy(program, layout):
    f, x = compiled(program), LAYOUTS[layout](6, 5)
    found = layout_of(x)
    made = make_c_program(f.compilation.after, layouts=(found, None))
    made.load("variant")

    CheckedProgram(f, made)._run_checked([x.transpose(found.axes), weights(5)])


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("transposed part", ((1, 0), ROWS)),
        ("columns", ((0, 1), ROWS)),
        ("every other row", ((0, 1), ROWS)),
        ("backwards", ((0, 1), LINES)),
        ("one row", ((0, 1), LINES)),
        ("every other column", ((0, 1), ANY)),
        ("transposed backwards", ((1, 0), ANY)),
    ],
)
def test_a_layout_says_the_order_of_axes_and_what_is_known(layout, expected):
    found = layout_of(LAYOUTS[layout](7, 5))

    assert (found.axes, found.kind) == expected


def test_what_is_not_at_multiples_of_its_size_is_copied():
    assert layout_of(unaligned(numbers(5, 4)).T) is None
    fields = np.zeros(5, [("a", "float64"), ("b", "float32")])
    assert layout_of(fields["a"]) is None


def test_an_argument_is_copied_the_first_time_and_then_read_where_it_is():
    f, x = compiled("products"), LAYOUTS["transposed"](300, 200)
    w = weights(200)
    f(x, w)
    (variant,) = f.variants
    assert variant.state == "copied"

    f(x, w)
    assert variant.wait()

    tracemalloc.start()
    f(x, w)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "x: axes as (1, 0)" in repr(variant)
    assert "ready" in repr(variant)
    assert taken < 300 * 300 * 8 + 100_000  # of dot(x, x.T)


def test_a_huge_argument_is_not_even_copied_the_first_time(monkeypatch):
    monkeypatch.setattr(variants, "WAIT", 1)
    f, x = compiled("sums"), LAYOUTS["every other row"](7, 5)

    f(x, weights(5))

    assert [v.state for v in f.variants] == ["ready"]


@pytest.mark.parametrize(("strided", "states"), [("now", ["ready"]), ("copy", [])])
def test_a_flag_says_whether_calls_wait_or_always_copy(strided, states):
    f, x = compiled("sums"), LAYOUTS["transposed"](7, 5)

    with config.change(strided=strided):
        for _ in range(3):
            np.testing.assert_allclose(f(x, weights(5))[0], x.sum())

    assert [v.state for v in f.variants] == states


def test_a_small_argument_is_copied(monkeypatch):
    monkeypatch.setattr(layouts, "WORTH", 1 << 20)
    f = compiled("sums")

    ready(f, LAYOUTS["transposed"](7, 5), weights(5))

    assert f.variants == ()


def test_what_would_be_read_against_the_grain_is_copied():
    x, y = T.matrices("x", "y")
    f = wb.function([x, y], x * y)
    a, b = LAYOUTS["transposed"](7, 5), numbers(7, 5)

    np.testing.assert_allclose(ready(f, a, b), a * b)

    (variant,) = f.variants
    assert variant.state == "refused"
    assert "against the grain" in repr(variant)


def test_two_arguments_of_one_order_are_computed_in_that_order():
    x, y = T.matrices("x", "y")
    f = wb.function([x, y], (T.exp(x) * y).sum(axis=0))
    a, b = LAYOUTS["transposed"](7, 5), LAYOUTS["transposed part"](7, 5)

    np.testing.assert_allclose(ready(f, a, b), (np.exp(a) * b).sum(axis=0))

    (variant,) = f.variants
    assert variant.state == "ready"


def test_a_sum_over_a_transposed_argument_runs_along_its_lines():
    x = T.matrix("x")
    f = wb.function([x], T.exp(x).sum(axis=0))
    found = layout_of(LAYOUTS["transposed"](7, 5))

    made = make_c_program(f.compilation.after, layouts=(found,))

    assert against_grain(made.schedule) == 0
    assert "x0[i0 * x0_s0 + i1]" in made.text.code


def test_only_so_many_layouts_get_a_program():
    f = compiled("sums")
    for made in (LAYOUTS[name] for name in list(LAYOUTS)[:8]):
        f(made(7, 5), weights(5))

    assert len(f.variants) == variants.MOST


def test_keywords_and_numbers_of_other_dtypes_are_lent_too():
    f, x = compiled("sums"), LAYOUTS["every other row"](7, 5)

    f(w=weights(5), x=x)
    f(w=weights(5), x=x)
    (variant,) = f.variants
    assert variant.wait()
    got = f(w=weights(5).astype("float32"), x=x)

    np.testing.assert_allclose(got[0], x.sum())


# --- errors, updates, state ----------------------------------------------------------------


def test_an_error_names_the_line_and_the_shape_as_given():
    x, y = T.matrices("x", "y")
    f = wb.function([x, y], [T.exp(x).sum(), T.dot(x, y)], name="f")
    a = LAYOUTS["transposed"](7, 5)
    ready(f, a, weights(5))
    assert [v.state for v in f.variants] == ["ready"]

    with pytest.raises(wb.ShapeError) as copied:
        wb.function([x, y], [T.exp(x).sum(), T.dot(x, y)], name="f")(a, weights(4))
    with pytest.raises(wb.ShapeError) as lent:
        f(a, weights(4))

    def told(error):
        lines = str(error.value).splitlines()
        return [line for line in lines if "call" not in line and "node" not in line]

    assert "(7, 5)" in str(lent.value)
    assert "test_variants.py" in str(lent.value)
    assert told(lent)[1:] == told(copied)[1:] or "T.dot(x, y)" in str(lent.value)


def test_updates_are_made_once_and_not_after_an_error():
    x, y = T.matrices("x", "y")
    total = wb.shared(np.zeros((5, 3)), "total")
    f = wb.function([x, y], updates=[(total, total + T.dot(x.T, y))])
    a, b = LAYOUTS["columns"](7, 5), numbers(7, 3)
    ready(f, a, b)
    ready(f, a, b)
    calls = 4

    np.testing.assert_allclose(total.get_value(), calls * (a.T @ b))
    with pytest.raises(wb.ShapeError):
        f(a, numbers(6, 3))
    np.testing.assert_allclose(total.get_value(), calls * (a.T @ b))


def test_an_argument_may_share_memory_with_what_is_updated():
    x = T.matrix("x")
    state = wb.shared(numbers(6, 6), "state")
    f = wb.function([x], x.sum(axis=0), updates=[(state, state * 2 + x)])
    ready(f, LAYOUTS["transposed"](6, 6))
    state.set_value(numbers(6, 6))
    view = state.get_value(borrow=True).T
    expected = numbers(6, 6) * 2 + numbers(6, 6).T

    f(view)

    np.testing.assert_allclose(state.get_value(), expected)


def test_a_result_given_back_transposed_is_not_written():
    x = T.matrix("x")
    f = wb.function([x], T.exp(-x))
    y = ready(f, LAYOUTS["columns"](5, 5))
    for _ in range(3):
        kept, before = y.T, y.copy()

        y = f(kept)

        np.testing.assert_array_equal(kept, before.T)
        np.testing.assert_allclose(y, np.exp(-before.T))


def test_a_copy_and_a_pickled_function_make_their_own():
    f, x = compiled("sums"), LAYOUTS["transposed"](7, 5)
    want = ready(f, x, weights(5))

    for other in (f.copy(), pickle.loads(pickle.dumps(f))):
        assert other.variants == ()
        for have, expected in zip(ready(other, x, weights(5)), want, strict=True):
            np.testing.assert_allclose(have, expected)


def test_a_function_with_variants_is_collected():
    f = compiled("sums")
    ready(f, LAYOUTS["transposed"](7, 5), weights(5))
    gone = weakref.ref(f)

    del f
    gc.collect()

    assert gone() is None


def test_threads_call_at_the_same_time():
    f = compiled("sums")
    arrays = [LAYOUTS[name](40, 30) for name in ("transposed", "columns", "backwards")]
    wrong = []

    def call(x):
        for _ in range(30):
            got = f(x, weights(30))[0]
            if not np.isclose(got, x.sum()):
                wrong.append(got)

    threads = [threading.Thread(target=call, args=(x,)) for x in arrays * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_goes_on():
    f, x = compiled("sums"), LAYOUTS["transposed"](7, 5)
    f(x, weights(5))
    f(x, weights(5))  # compiling in the background

    child = os.fork()
    if child == 0:
        good = np.isclose(ready(f, x, weights(5))[0], x.sum())
        os._exit(0 if good and f.variants[0].state == "ready" else 1)

    assert os.waitpid(child, 0)[1] == 0


def test_without_the_extension_it_is_the_same(monkeypatch):
    monkeypatch.setattr("workbench.compile.c.runner._extension", lambda: None)
    f = compiled("products")
    for name in ("transposed", "columns", "backwards", "every other column"):
        x = LAYOUTS[name](7, 5)

        got = ready(f, x, weights(5))

        np.testing.assert_allclose(got[0], x @ weights(5))
    assert [v.state for v in f.variants].count("ready") >= 2


# --- more axes -----------------------------------------------------------------------------

CUBES = {
    "channels last": lambda: numbers(2, 6, 5, 3).transpose(0, 3, 1, 2),
    "batch last": lambda: numbers(3, 6, 5, 2).transpose(3, 0, 1, 2),
    "part": lambda: numbers(2, 3, 8, 9)[:, :, 1:-1, 2:-2],
    "every other": lambda: numbers(4, 3, 6, 5)[::2],
    "reversed axes": lambda: numbers(5, 6, 3, 2).T,
    "stretched": lambda: np.broadcast_to(numbers(1, 3, 1, 5), (2, 3, 6, 5)),
    "backwards": lambda: numbers(2, 3, 6, 5)[:, ::-1, :, ::-1],
}


@pytest.mark.parametrize("grain", ["kept", "any"])
@pytest.mark.parametrize("cube", CUBES)
def test_more_axes_are_read_in_any_order(cube, grain, monkeypatch):
    if grain == "any":  # also those that would rather be copied
        monkeypatch.setattr(variants, "against_grain", lambda schedule: 0)
    x, filters = T.tensor4("x"), T.tensor4("filters")
    results = [
        T.nnet.conv2d(x, filters),
        T.tanh(x).sum(axis=(0, 2, 3)),
        x.max(axis=1),
        T.batched_dot(x[:, 0], x[:, 1].dimshuffle(0, 2, 1)),
        (x - x.mean(axis=(0, 2, 3), keepdims=True)).std(axis=2),
        T.exp(x).argmax(axis=3),
        x.dimshuffle(0, 2, 3, 1) * 2,
        T.signal.pool.pool_2d(x, (2, 2)),
    ]
    f = wb.function([x, filters], results)
    value, weights = CUBES[cube](), numbers(4, 3, 3, 2)

    got = ready(f, value, weights)

    for have, want in zip(got, f(value.copy("C"), weights), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-12, atol=1e-13)
    assert grain == "kept" or [v.state for v in f.variants] == ["ready"]


def test_a_long_vector_with_steps_is_read_where_it_is():
    v = T.vector("v")
    f = wb.function([v], [T.exp(v).sum(), v * 2, v.max(), T.dot(v, v)])
    for value in (numbers(3000)[::3], numbers(1000)[::-1], numbers(1000, 7)[:, 2]):
        value = value[:1000]

        got = ready(f, value)

        for have, want in zip(got, f(value.copy()), strict=True):
            np.testing.assert_allclose(have, want, rtol=1e-12)
    assert [v.state for v in f.variants] == ["ready"]


def test_sizes_may_follow_from_such_an_argument():
    n, x = T.lvector("n"), T.matrix("x")
    f = wb.function([n, x], [x[: n[1]], T.arange(n[0])])
    counts, value = np.arange(10)[1::4], numbers(6, 8)[:, ::2]

    got = ready(f, counts, value)

    np.testing.assert_array_equal(got[0], value[:5])
    np.testing.assert_array_equal(got[1], [0])
    assert [v.state for v in f.variants] == ["ready"]


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "int64", "float16", "float32", "complex128"]
)
def test_every_dtype_is_read_in_place(dtype):
    x = T.TensorType(dtype, (None, None))("x")
    f = wb.function([x], [x[1:, ::2], x.sum(axis=0), x.T, T.eq(x, x)])
    for made in (LAYOUTS["transposed"], LAYOUTS["columns"], LAYOUTS["backwards"]):
        value = made(6, 5)
        value = (value * 50 if dtype != "bool" else value > 0).astype(dtype, order="K")
        whole = np.zeros((12, 12), dtype)
        whole[::2, 1:11:2] = value

        for given in (value, whole[::2, 1:11:2], whole[::2, 1:11:2][::-1]):
            got = ready(f, given)
            for have, want in zip(got, f(given.copy("C")), strict=True):
                np.testing.assert_allclose(have, want, rtol=1e-3)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_an_interrupt_leaves_shared_variables_alike():
    x = T.matrix("x")
    states = [wb.shared(np.zeros((300, 200)), f"s{k}") for k in range(3)]
    f = wb.function([x], updates=[(s, s + T.tanh(x * 0) + 1) for s in states])
    value = LAYOUTS["every other row"](300, 200)
    ready(f, value)
    assert [v.state for v in f.variants] == ["ready"]
    random = np.random.default_rng(0)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(100):
            seconds = random.uniform(1e-5, 2e-3)
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, seconds)
                while True:
                    f(value)
            totals = {float(s.get_value()[0, 0]) for s in states}
            assert len(totals) == 1
            for s in states:
                assert np.ptp(s.get_value()) == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
