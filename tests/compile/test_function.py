"""``function()``: every option, what a call takes and gives, and what it never changes."""

import warnings

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T
from workbench.core.errors import (
    ArgumentError,
    DTypeError,
    ShapeError,
    UnusedInputError,
    UpdateTypeError,
)

MODES = ["FAST_RUN", "FAST_COMPILE", "None"]


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


# --- outputs -----------------------------------------------------------------------------


def test_outputs_have_the_form_that_was_asked_for(mode):
    x = T.vector("x")
    total = x.sum()

    assert wb.function([x], total, mode=mode)([1, 2]) == 3
    assert wb.function([x], [total], mode=mode)([1, 2]) == [3]
    assert wb.function([x], [total, -total], mode=mode)([1, 2]) == [3, -3]
    assert wb.function([x], {"a": total, "b": -total}, mode=mode)([1, 2]) == {
        "a": 3,
        "b": -3,
    }
    assert wb.function([], [], mode=mode)() == []
    assert wb.function([], mode=mode)() is None


def test_every_output_is_an_array_of_the_declared_type(mode):
    x = T.fvector("x")
    f = wb.function([x], [x.sum(), x > 0, x, T.argmax(x), T.constant(3.0)], mode=mode)

    outputs = f(np.ones(3, "f4"))

    assert all(type(a) is np.ndarray for a in outputs)
    assert [a.dtype.name for a in outputs] == [
        "float32",
        "bool",
        "float32",
        "int64",
        "float64",
    ]
    assert [a.shape for a in outputs] == [(), (3,), (3,), (), ()]
    assert all(a.flags.writeable and a.flags.c_contiguous for a in outputs)


def test_inputs_constants_and_shared_variables_may_be_outputs(mode):
    x, n = T.vector("x"), T.constant(np.arange(3.0))
    w = wb.shared(np.ones(3), "w")
    f = wb.function([x], [x, n, w, x, w], mode=mode)
    value = np.zeros(3)

    first = f(value)
    for array in (*first, value):
        array += 7
    second = f(np.zeros(3))

    for got, want in zip(second, [0, [0, 1, 2], 1, 0, 1], strict=True):
        np.testing.assert_array_equal(got, np.broadcast_to(want, 3))
    assert len({a.ctypes.data for a in (*first, *second, value)}) == 11


def test_a_variable_may_be_asked_for_twice(mode):
    x = T.vector("x")
    y = T.exp(x)

    a, b, c = wb.function([x], [y, y, y + 0], mode=mode)([0.0])
    a[0] = 5

    assert (b[0], c[0]) == (1, 1)


# --- updates -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", [list, dict])
def test_updates_are_applied_after_the_outputs(mode, form):
    count = wb.shared(10, "count")
    step = wb.function([], count, updates=form([(count, count + 1)]), mode=mode)

    assert [int(step()), int(step()), int(count.get_value())] == [10, 11, 12]


def test_shared_variables_may_change_places(mode):
    a, b = wb.shared(np.arange(3.0), "a"), wb.shared(np.ones(2), "b")
    swap = wb.function([], [a + 0], updates=[(a, b), (b, a)], mode=mode)

    swap()
    np.testing.assert_array_equal(a.get_value(), np.ones(2))
    np.testing.assert_array_equal(b.get_value(), np.arange(3.0))
    swap()
    a.set_value([5.0])

    np.testing.assert_array_equal(b.get_value(), np.ones(2))


def test_every_update_sees_the_old_values(mode):
    a, b, c = (
        wb.shared(np.full(4, v), n) for v, n in [(1.0, "a"), (2.0, "b"), (3.0, "c")]
    )
    x = T.vector("x")
    f = wb.function(
        [x],
        a + b + c,
        updates=[(a, a + x), (b, a + b), (c, T.dot(a, b) * a)],
        mode=mode,
    )

    total = f(np.ones(4))

    np.testing.assert_array_equal(total, np.full(4, 6))
    for shared, want in [(a, 2), (b, 3), (c, 8)]:
        np.testing.assert_array_equal(shared.get_value(), np.full(4, want))


def test_an_update_may_be_a_number_an_array_or_another_input(mode):
    a, b = wb.shared(np.float32(1), "a"), wb.shared(np.zeros(2), "b")
    c, d = wb.shared(np.zeros(3), "c"), wb.shared(1, "d")
    x = T.vector("x")
    f = wb.function(
        [x], updates=[(a, 2.5), (b, np.array([1.0, 2.0])), (c, x), (d, 7)], mode=mode
    )
    value = np.ones(3)

    f(value)
    value[:] = 9
    b.get_value(borrow=True)[:] = 4
    f(np.zeros(3))

    assert a.get_value() == np.float32(2.5)
    np.testing.assert_array_equal(b.get_value(), [1, 2])
    np.testing.assert_array_equal(c.get_value(), [0, 0, 0])
    assert d.get_value() == 7


def test_an_update_may_change_the_size(mode):
    a = wb.shared(np.ones(1), "a")
    grow = wb.function([], a.sum(), updates=[(a, T.concatenate([a, a]))], mode=mode)

    assert [float(grow()) for _ in range(4)] == [1, 2, 4, 8]
    assert a.get_value().shape == (16,)


def test_one_value_may_go_to_two_shared_variables_and_the_output(mode):
    a, b, x = wb.shared(np.zeros(2), "a"), wb.shared(np.zeros(2), "b"), T.vector("x")
    y = x * 2
    f = wb.function([x], y, updates=[(a, y), (b, y)], mode=mode)

    out = f([1.0, 2.0])
    out += 1
    a.get_value(borrow=True)[:] = 0

    np.testing.assert_array_equal(b.get_value(), [2, 4])


def test_default_updates_are_applied_unless_left_out(mode):
    counter, other = wb.shared(0, "counter"), wb.shared(0, "other")
    counter.default_update = counter + other
    other.default_update = other + 1

    wb.function([], counter, mode=mode)()
    assert (counter.get_value(), other.get_value()) == (0, 1)
    wb.function([], counter, mode=mode)()
    assert (counter.get_value(), other.get_value()) == (1, 2)
    wb.function([], counter, no_default_updates=True, mode=mode)()
    assert (counter.get_value(), other.get_value()) == (1, 2)
    wb.function([], counter + other, no_default_updates=[counter], mode=mode)()
    assert (counter.get_value(), other.get_value()) == (1, 3)
    wb.function([], counter, updates=[(counter, 50)], mode=mode)()
    assert (counter.get_value(), other.get_value()) == (50, 3)


def test_functions_that_share_a_variable_see_each_others_updates(mode):
    w, x = wb.shared(np.zeros(3), "w"), T.vector("x")
    add = wb.function([x], updates=[(w, w + x)], mode=mode)
    look = wb.function([], w * 1, mode="FAST_RUN")

    add(np.ones(3))
    add(np.ones(3))

    np.testing.assert_array_equal(look(), [2, 2, 2])


# --- givens and where a function starts --------------------------------------------------


@pytest.mark.parametrize("form", [list, dict])
def test_givens_replace_all_at_once(mode, form):
    x, y = T.vector("x"), T.vector("y")

    f = wb.function([x, y], x - 2 * y, givens=form([(x, y), (y, x)]), mode=mode)

    np.testing.assert_array_equal(f([1.0], [10.0]), [8])


def test_givens_may_be_parts_of_a_shared_variable(mode):
    data = wb.shared(np.arange(12.0).reshape(6, 2), "data")
    x, k = T.matrix("x"), T.lscalar("k")
    w = wb.shared(0.0, "w")
    f = wb.function(
        [k],
        x.sum(),
        updates=[(w, w + x.sum())],
        givens={x: data[k * 2 : (k + 1) * 2]},
        mode=mode,
    )

    assert [float(f(k)) for k in range(3)] == [6, 22, 38]
    assert w.get_value() == 66


def test_givens_may_be_numbers_and_arrays(mode):
    x, y, n = T.vector("x"), T.scalar("y"), T.lscalar("n")

    f = wb.function([], x * y + n, givens={x: np.arange(3.0), y: 2, n: 1}, mode=mode)

    np.testing.assert_array_equal(f(), [1, 3, 5])


def test_a_function_may_start_from_computed_variables(mode):
    x = T.matrix("x")
    h = T.tanh(T.dot(x, x))
    y = (h * 2).sum()
    unused = wb.function([h], y, mode=mode)
    both = wb.function([x, h], y + x.sum(), mode=mode)

    assert unused(np.ones((2, 2))) == 8
    assert both(np.ones((3, 3)), np.ones((1, 1))) == 11


def test_a_function_may_start_from_a_shared_variable(mode):
    w = wb.shared(np.ones(3), "w")

    f = wb.function([w], w.sum(), mode=mode)

    assert f([1.0, 1.5]) == 2.5
    np.testing.assert_array_equal(w.get_value(), np.ones(3))


# --- how a call passes its arguments -----------------------------------------------------


def test_arguments_may_be_given_by_name(mode):
    x, y, z = T.scalars("x", "y", "z")
    f = wb.function([x, y, z], x + 10 * y + 100 * z, mode=mode)

    assert f(1, 2, 3) == f(1, z=3, y=2) == f(z=3, y=2, x=1) == 321
    for args, names in [
        ((1, 2), {}),
        ((1, 2, 3, 4), {}),
        ((1, 2, 3), {"z": 3}),
        ((1, 2), {"w": 3}),
        ((1,), {"z": 1}),
    ]:
        with pytest.raises(ArgumentError):
            f(*args, **names)


def test_inputs_without_a_name_are_given_by_position(mode):
    x, y = T.scalar(), T.scalar()
    f = wb.function([x, y], x - y, mode=mode)

    assert f(3, 1) == 2
    with pytest.raises(ArgumentError, match="argument 0, argument 1"):
        f(3)


def test_a_shared_variable_may_be_an_argument(mode):
    x = T.vector("x")

    assert wb.function([x], x.sum(), mode=mode)(wb.shared(np.ones(4))) == 4


def test_a_function_may_have_no_inputs(mode):
    f = wb.function([], T.constant(2.0) * 3, mode=mode)

    assert f() == 6
    with pytest.raises(ArgumentError, match="takes 0 arguments, got 1"):
        f(1)


LAYOUTS = {
    "every other": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
    "reversed": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "Fortran": np.asfortranarray,
    "transposed": lambda a: a.T.copy().T,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "stretched": lambda a: np.broadcast_to(a[:1], a.shape),
    "unaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(
        a.shape
    ),
    "subclass": lambda a: np.ma.masked_array(a, a > 3),
    "list": lambda a: a.tolist(),
    "empty": lambda a: a[:0],
    "empty columns": lambda a: a[:, :0],
}


def test_arguments_of_every_layout_give_the_same(mode):
    x = T.fmatrix("x")
    f = wb.function([x], [T.exp(x).sum(axis=0), T.dot(x, x.T), x.T, x[::-1]], mode=mode)
    plain = np.arange(12, dtype="f4").reshape(3, 4) / 4

    for name, lay_out in LAYOUTS.items():
        value = lay_out(plain)
        a = np.array(np.asarray(value), dtype="f4")
        before = np.array(value)
        got = f(value)
        for have, want in zip(
            got, [np.exp(a).sum(axis=0), a @ a.T, a.T, a[::-1]], strict=True
        ):
            np.testing.assert_allclose(have, want, rtol=1e-6, err_msg=name)
        np.testing.assert_array_equal(before, np.array(value), err_msg=name)


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "float16",
        "complex64",
        "complex128",
    ],
)
def test_every_dtype_goes_in_and_comes_out(dtype):
    x, w = (
        T.tensor(dtype, (None,), "x"),
        wb.shared(np.array([1, 0, 1]).astype(dtype), "w"),
    )
    outputs = [x, T.concatenate([x, w]), T.eq(x, w)] + (
        [x * w + x] if dtype != "bool" else [x & w]
    )
    values = np.array([1, 0, 3]).astype(dtype)
    results = []

    for mode in MODES:
        w.set_value(np.array([1, 0, 1]).astype(dtype))
        f = wb.function([x], outputs, updates=[(w, outputs[-1])], mode=mode)
        results.append([*f(values), w.get_value()])

    a, b = values, np.array([1, 0, 1]).astype(dtype)
    last = a * b + a if dtype != "bool" else a & b
    for got in results:
        for have, want in zip(
            got, [a, np.concatenate([a, b]), a == b, last, last], strict=True
        ):
            assert have.dtype == want.dtype
            np.testing.assert_array_equal(have, want)


def test_ops_without_a_kernel_run_in_the_same_program():
    z, h = T.zvector("z"), T.tensor("float16", (None,), "h")
    f = wb.function([z, h], [(z * z).sum(), h.sum(), T.exp(h)], mode="FAST_RUN")

    total, half, exponential = f(np.array([1j, 2]), np.array([1, 2], "f2"))

    assert f.compilation.backend == "c"
    assert (total, half) == (3, 3)
    np.testing.assert_allclose(exponential, np.exp(np.array([1, 2], "f2")), rtol=2e-3)


def test_sizes_may_change_from_call_to_call(mode):
    x, y = T.matrix("x"), T.vector("y")
    w = wb.shared(np.ones((3, 2)), "w")
    f = wb.function([x, y], [T.tanh(T.dot(x, w)) + y, x.sum(axis=1)], mode=mode)
    rng = np.random.default_rng(0)

    for rows, inner, columns in [
        (4, 3, 2),
        (1, 3, 2),
        (200, 7, 5),
        (0, 7, 5),
        (3, 0, 5),
        (4, 3, 0),
        (4, 3, 2),
    ]:
        a, b, c = (
            rng.normal(size=(rows, inner)),
            rng.normal(size=columns),
            rng.normal(size=(inner, columns)),
        )
        w.set_value(c)
        first, second = f(a, b)
        np.testing.assert_allclose(first, np.tanh(a @ c) + b, rtol=1e-12)
        np.testing.assert_allclose(second, a.sum(axis=1), rtol=1e-12, atol=1e-14)


def test_outputs_of_earlier_calls_stay_as_they_were(mode):
    x, w = T.vector("x"), wb.shared(np.zeros(50), "w")
    f = wb.function([x], [x + w, w, x], updates=[(w, w + x)], mode=mode)
    kept, expected, total = [], [], np.zeros(50)
    value = np.empty(50)

    for n in range(20):
        value[:] = n
        outputs = f(value)
        kept.append((outputs, w.get_value()))
        expected.append(([n + total, total, np.full(50, n)], total + n))
        total = total + n
        value[:] = -1
        if n % 3 == 0:
            kept[-1][1][:] = 0  # a copy: w itself does not change
            expected[-1] = (expected[-1][0], np.zeros(50))

    for (outputs, after), (want, after_want) in zip(kept, expected, strict=True):
        for got, right in zip([*outputs, after], [*want, after_want], strict=True):
            np.testing.assert_array_equal(got, right)


def test_one_array_may_be_given_for_two_inputs(mode):
    x, y = T.vectors("x", "y")
    a = np.arange(4.0)
    w = wb.shared(a, "w", borrow=True)
    f = wb.function([x, y], [x + y, w + 0], updates=[(w, w + x)], mode=mode)

    both, old = f(a, a)

    np.testing.assert_array_equal(both, 2 * np.arange(4.0))
    np.testing.assert_array_equal(old, np.arange(4.0))
    np.testing.assert_array_equal(w.get_value(), 2 * np.arange(4.0))


# --- what does not fit -------------------------------------------------------------------


def test_nothing_is_rounded_unless_allowed(mode):
    x, n = T.fvector("x"), T.lscalar("n")
    strict = wb.function([x, n], x * n, mode=mode)
    loose = wb.function([x, n], x * n, mode=mode, allow_input_downcast=True)

    for args in [
        (np.ones(2), 1),
        (np.ones(2, "f4"), 1.5),
        (np.arange(2), 1),
        (np.ones(2, "f4"), "a"),
    ]:
        with pytest.raises(DTypeError):
            strict(*args)
    with pytest.raises(ShapeError):
        strict(np.ones((1, 2), "f4"), 1)
    np.testing.assert_array_equal(loose(np.full(2, 1.5), 2.9), [3, 3])
    np.testing.assert_array_equal(strict([1.5, 2.5], 2), [3, 5])


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda x, w: wb.function([x, x], x), ArgumentError),
        (lambda x, w: wb.function(x, x), ArgumentError),
        (lambda x, w: wb.function([3.0], x), ArgumentError),
        (lambda x, w: wb.function([T.constant(1)], x), ArgumentError),
        (lambda x, w: wb.function([x], x, updates=[(x, x)]), UpdateTypeError),
        (lambda x, w: wb.function([x], x, updates=[(w, x), (w, x)]), UpdateTypeError),
        (lambda x, w: wb.function([x], x, updates=[(w, x.sum())]), UpdateTypeError),
        (lambda x, w: wb.function([x], x, updates=[(w, x > 0)]), UpdateTypeError),
        (lambda x, w: wb.function([x], x, updates=[(w, "a")]), UpdateTypeError),
        (
            lambda x, w: wb.function([], updates=[(wb.shared(1, "n"), 1.5)]),
            UpdateTypeError,
        ),
        (lambda x, w: wb.function([], x, givens={x: x > 0}), DTypeError),
        (lambda x, w: wb.function([], x, givens={x: w.sum()}), DTypeError),
        (lambda x, w: wb.function([], x, givens={"x": w}), ArgumentError),
        (
            lambda x, w: wb.function([], T.lscalar() + 1, givens={T.lscalar(): 1.5}),
            DTypeError,
        ),
    ],
)
def test_what_cannot_be_compiled_is_refused(make, error):
    with pytest.raises(error) as caught:
        make(T.vector("x"), wb.shared(np.zeros(2), "w"))

    assert "make=" not in str(caught.value)
    assert "lambda x, w: wb.function" in caught.value.line.text


@pytest.mark.parametrize("set_by", ["option", "config"])
def test_unused_inputs_raise_warn_or_pass(set_by, monkeypatch):
    x, y = T.vectors("x", "y")

    def make(action):
        if set_by == "option":
            return wb.function(
                [x, y], x.sum(), on_unused_input=action, mode="FAST_COMPILE"
            )
        monkeypatch.setattr(wb.config, "on_unused_input", action)
        return wb.function([x, y], x.sum(), mode="FAST_COMPILE")

    with pytest.raises(UnusedInputError, match="input number 1, y"):
        make("raise")
    with pytest.warns(UserWarning, match="input number 1, y"):
        warned = make("warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        silent = make("ignore")

    assert warned([1.0], [2.0]) == silent([1.0], []) == 1


# --- modes and names ---------------------------------------------------------------------


def test_modes_are_named_in_any_case_and_changed_by_tags():
    x = T.vector("x")

    def steps(mode):
        return {
            s.rule for s in wb.function([x], T.log(T.nnet.softmax(x)), mode=mode).steps
        }

    assert (
        steps("fast_compile")
        == steps("FAST_COMPILE")
        == steps(wb.get_mode("Fast_Compile"))
        != set()
    )
    assert steps("none") == set()
    assert "log_of_softmax" in steps("FAST_COMPILE")
    assert "log_of_softmax" not in steps(
        wb.get_mode("FAST_COMPILE").excluding("log_of_softmax")
    )
    assert "log_of_softmax" not in steps(
        wb.get_mode("FAST_COMPILE").excluding("stability")
    )
    assert "log_of_softmax" in steps(wb.get_mode("None").including("log_of_softmax"))


def test_an_unknown_mode_or_rule_names_the_nearest():
    x = T.vector("x")

    with pytest.raises(ValueError, match="did you mean 'FAST_RUN'"):
        wb.function([x], x, mode="FAST_RUM")
    with pytest.raises(ValueError, match="did you mean 'stability'"):
        wb.get_mode("FAST_RUN").excluding("stabilty")
    with pytest.raises(ValueError, match="did you mean 'log_of_softmax'"):
        wb.get_mode("None").including("log_of_softmx")


def test_the_mode_of_the_configuration_is_the_default(monkeypatch):
    x = T.vector("x")
    monkeypatch.setattr(wb.config, "mode", "FAST_COMPILE")

    f = wb.function([x], x * 2)

    assert f.mode.name == f.compilation.mode == "FAST_COMPILE"


class Holder:
    pass


def test_a_function_is_called_as_what_it_is_assigned_to():
    # fmt: off
    x = T.vector("x"); first = wb.function([x], x, mode="None"); y = 1; second = wb.function([x], x, mode="None")
    # fmt: on
    third: wb.Function = wb.function(
        [x],
        x,
        mode="None",
    )
    größe = wb.function([x], x, mode="None")
    holder = Holder()
    holder.member = wb.function([x], x, mode="None")
    pair = [
        wb.function([x], x, mode="None"),
        wb.function([x], x, mode="None", name="given"),
    ]
    if x is not None:
        inline = wb.function([x], x, mode="None")

    names = [
        f.name for f in (first, second, third, größe, holder.member, *pair, inline)
    ]
    assert names == [
        "first",
        "second",
        "third",
        "größe",
        "member",
        "function",
        "given",
        "inline",
    ]


# --- eval --------------------------------------------------------------------------------


def test_eval_computes_a_variable_now():
    x, y = T.vectors("x", "y")
    w = wb.shared(np.ones(2), "w")
    z = x * y + w

    np.testing.assert_array_equal(
        z.eval({x: [1.0, 2.0], y: np.array([3.0, 4.0])}), [4, 9]
    )
    w.set_value([0.0, 0.0])
    np.testing.assert_array_equal(z.eval({y: [3.0, 4.0], x: [1.0, 2.0]}), [3, 8])
    np.testing.assert_array_equal(
        z.eval({x: [1.0, 2.0], y: [3.0, 4.0]}, mode="FAST_RUN"), [3, 8]
    )
    assert w.sum().eval() == 0
    assert T.exp(x * y).eval({x * y: [0.0]} | {x: [9.0], y: [9.0]}).shape == (1,)
    with pytest.raises(wb.MissingInputError, match="y"):
        z.eval({x: [1.0, 2.0]})


def test_eval_of_an_input_or_constant_is_a_copy():
    x = T.vector("x")
    value = np.zeros(2)

    got = x.eval({x: value})
    got += 1

    assert value.sum() == 0
    assert T.constant(3).eval() == 3
