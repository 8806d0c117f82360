"""Both kinds of runner, on small programs written by hand."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
import warnings
import weakref

import numpy as np
import pytest

from tests.programs import ADD_ONE, allocate, runner
from workbench.compile.c.toolchain import find_compiler

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")


@pytest.fixture(params=["extension", "cffi"])
def kind(request):
    return request.param


def test_a_program_runs(kind):
    f = runner([ADD_ONE], kind)

    assert f.kind == kind
    np.testing.assert_array_equal(f(np.arange(4.0)), [1, 2, 3, 4])
    assert f(np.empty(0)).shape == (0,)


def test_results_never_change_later(kind):
    f = runner([ADD_ONE], kind)
    x = np.arange(3.0)

    results = [f(x + i) for i in range(5)]
    x[:] = 9

    for i, result in enumerate(results):
        np.testing.assert_array_equal(result, np.arange(3.0) + i + 1)


def test_a_view_of_a_result_never_changes_later(kind):
    f = runner([ADD_ONE], kind)

    view = f(np.zeros(3))[1:]
    for _ in range(3):
        f(np.ones(3))

    np.testing.assert_array_equal(view, [1, 1])


def test_a_dropped_result_is_filled_again(kind):
    f = runner([ADD_ONE], kind)
    x = np.zeros(1000)

    first = f(x).ctypes.data

    assert f(x).ctypes.data == first


def test_a_weakly_held_result_is_not_filled_again(kind):
    f = runner([ADD_ONE], kind)
    result = f(np.zeros(3))
    seen = weakref.ref(result)
    del result

    f(np.ones(3))

    assert seen() is None or seen()[0] == 1


def test_a_changed_result_is_not_filled_again(kind):
    f = runner([ADD_ONE], kind)
    x = np.zeros(4)
    f(x).setflags(write=False)
    assert f(x).flags.writeable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        f(x).shape = (2, 2)
        assert f(x).shape == (4,)
        f(x).dtype = np.int64
        assert f(x).dtype == np.float64


def test_strided_and_unaligned_arguments_are_copied(kind):
    f = runner([ADD_ONE], kind)
    raw = np.zeros(8 * 3 + 1, np.uint8)[1:].view(np.float64)
    raw[:] = [1, 2, 3]

    np.testing.assert_array_equal(f(np.arange(6.0)[::2]), [1, 3, 5])
    np.testing.assert_array_equal(f(np.arange(3.0)[::-1]), [3, 2, 1])
    np.testing.assert_array_equal(f(raw), [2, 3, 4])


def test_a_read_only_argument_is_taken(kind):
    f = runner([ADD_ONE], kind)
    x = np.zeros(3)
    x.flags.writeable = False

    np.testing.assert_array_equal(f(x), [1, 1, 1])


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        [1.0, 2.0],
        np.zeros(3, np.float32),
        np.zeros(3, ">f8"),
        np.zeros((3, 1)),
        np.float64(1),
        np.ma.zeros(3),
        None,
    ],
    ids=repr,
)
def test_what_does_not_fit_goes_to_python(kind, value):
    calls = []

    def mend(args, kwargs):
        calls.append((args, kwargs))
        return (np.zeros(2),)

    f = runner([ADD_ONE], kind, on_mismatch=mend)

    np.testing.assert_array_equal(f(value), [1, 1])
    assert len(calls) == 1
    assert calls[0][0][0] is value
    assert calls[0][1] == {}


def test_keywords_and_wrong_counts_go_to_python(kind):
    calls = []

    def mend(args, kwargs):
        calls.append((args, kwargs))
        return [np.zeros(1)]

    f = runner([ADD_ONE], kind, on_mismatch=mend)
    x = np.zeros(3)
    f(x=x)
    f()
    f(x, x)

    assert [(len(args), list(kwargs)) for args, kwargs in calls] == [
        (0, ["x"]),
        (0, []),
        (2, []),
    ]


@pytest.mark.parametrize("answer", [(), (1.0,), (np.zeros(3, "i8"),)], ids=repr)
def test_arguments_made_wrongly_are_refused(kind, answer):
    f = runner([ADD_ONE], kind, on_mismatch=lambda args, kwargs: answer)

    with pytest.raises(TypeError, match="argument"):
        f(1)


def test_static_sizes_are_checked(kind):
    f = runner([ADD_ONE], kind, arguments=[("x", "float64", (3,))])

    np.testing.assert_array_equal(f(np.zeros(3)), [1, 1, 1])
    with pytest.raises(TypeError, match="mismatch"):
        f(np.zeros(4))


def test_both_kinds_of_int64_are_taken(kind):
    f = runner(
        [allocate(0, "1") + "*y = *(int64_t *)c->input[0].data;"],
        kind,
        arguments=[("x", "int64", (None,))],
    )

    assert f(np.array([5], np.dtype("l")))[0] == 5
    assert f(np.array([6], np.dtype("q")))[0] == 6


def test_a_failure_is_reported_and_nothing_is_committed(kind):
    storage = [np.zeros(2)]
    old = storage[0]
    fail = (
        "c->failure.node = 7; c->failure.axis = 1; c->failure.a = 3; c->failure.b = 4;"
    )
    f = runner(
        [ADD_ONE, allocate(1, "2") + "y[0] = y[1] = 1;", fail + "return WB_SHAPE;"],
        kind,
        shared=[(storage, "float64", (None,))],
        outputs=[("float64", 1), ("float64", 1)],
        updates=[(0, 1)],
    )
    x = np.zeros(3)

    for _ in range(3):
        with pytest.raises(ValueError) as caught:
            f(x)

        assert caught.value.args[1] == (2, 7, 1, 3, 4)
        assert caught.value.args[2][0] is x
    assert storage[0] is old


def test_no_memory_is_a_failure(kind):
    f = runner([allocate(0, "(int64_t)1 << 60")], kind)

    with pytest.raises(ValueError) as caught:
        f(np.zeros(3))

    assert caught.value.args[1][0] == 1


def test_a_failure_that_python_ignores_is_an_error(kind):
    f = runner(["return WB_VALUE;"], kind, on_failure=lambda failure, args: None)

    with pytest.raises(RuntimeError, match="code 5"):
        f(np.zeros(3))


def test_an_output_that_is_not_made_is_an_error(kind):
    f = runner([""], kind)

    with pytest.raises(RuntimeError, match="output 0"):
        f(np.zeros(3))


# Shared variables

COUNT = (
    allocate(0, "1")
    + """*y = *(double *)c->input[0].data; }
    {"""
    + allocate(1, "1")
    + "*y = *(double *)c->input[0].data + 1;"
)


def counter(storage, kind, **changes):
    return runner(
        [COUNT],
        kind,
        arguments=[],
        shared=[(storage, "float64", (None,))],
        outputs=[("float64", 1), ("float64", 1)],
        updates=[(0, 1)],
        **changes,
    )


def test_a_shared_variable_is_swapped(kind):
    storage = [np.zeros(1)]
    f = counter(storage, kind)

    assert [f()[0] for _ in range(4)] == [0, 1, 2, 3]
    assert storage[0][0] == 4


def test_two_arrays_take_turns_in_a_shared_variable(kind):
    storage = [np.zeros(1)]
    f = counter(storage, kind)
    seen = set()

    for _ in range(10):
        f()
        seen.add(storage[0].ctypes.data)

    assert len(seen) == 2


def test_an_old_shared_array_that_someone_holds_is_left_alone(kind):
    storage = [np.zeros(1)]
    f = counter(storage, kind)
    old = []

    for _ in range(5):
        old.append(storage[0])
        f()

    assert [a[0] for a in old] == [0, 1, 2, 3, 4]


def test_two_variables_swap_their_values(kind):
    copy = "*y = *(double *)c->input[{}].data;"
    a, b = [np.array([1.0])], [np.array([2.0])]
    f = runner(
        [allocate(0, "1") + copy.format(1), allocate(1, "1") + copy.format(0)],
        kind,
        arguments=[],
        shared=[(a, "float64", (None,)), (b, "float64", (1,))],
        outputs=[("float64", 1), ("float64", 1)],
        updates=[(0, 0), (1, 1)],
        n_visible=0,
        single=False,
    )

    assert f() == []
    assert (a[0][0], b[0][0]) == (2, 1)
    f()
    assert (a[0][0], b[0][0]) == (1, 2)


@pytest.mark.parametrize(
    "storage", [[None], [1.0], [np.zeros(1, "f4")], [np.zeros((1, 1))], []], ids=repr
)
def test_a_spoiled_shared_variable_is_named(kind, storage):
    f = counter(storage, kind, shared_names=["count"])

    with pytest.raises(TypeError, match="shared variable count"):
        f()


IN_PLACE = """double *w = c->input[c->size[0] = 1].data;
    const double *x = c->input[0].data;
    int64_t n = c->input[1].shape[0];
    for (int64_t i = 0; i < n; i++) w[i] += x[n - 1 - i];"""


def adding_in_place(storage, kind, steps=(IN_PLACE,), **changes):
    return runner(
        steps,
        kind,
        shared=[(storage, "float64", (None,))],
        outputs=[],
        n_visible=0,
        single=False,
        in_place=[0],
        **changes,
    )


def test_a_variable_is_written_in_place(kind):
    storage = [np.arange(3.0)]
    address = storage[0].ctypes.data
    f = adding_in_place(storage, kind)

    for _ in range(3):
        f(np.array([10.0, 20, 30]))

    assert storage[0].ctypes.data == address
    np.testing.assert_array_equal(storage[0], [90, 61, 32])


@pytest.mark.parametrize("look", [lambda a: a, lambda a: a[1:], memoryview])
def test_what_somebody_can_see_is_not_written_in_place(kind, look):
    storage = [np.arange(3.0)]
    f = adding_in_place(storage, kind)
    seen = look(storage[0])
    before = np.array(seen)

    f(np.ones(3))
    address = storage[0].ctypes.data
    f(np.ones(3))

    np.testing.assert_array_equal(seen, before)
    np.testing.assert_array_equal(storage[0], [2, 3, 4])
    assert storage[0].ctypes.data == address


def test_memory_of_somebody_else_is_not_written_in_place(kind):
    raw = bytearray(np.arange(3.0).tobytes())
    before = bytes(raw)
    storage = [np.frombuffer(raw)]
    f = adding_in_place(storage, kind)

    f(np.ones(3))

    assert raw == before
    np.testing.assert_array_equal(storage[0], [1, 2, 3])


@pytest.mark.parametrize("first_commit", [0, 1, 2])
def test_a_variable_is_read_before_and_written_after_it_is_replaced(kind, first_commit):
    storage = [np.arange(3.0)]
    f = adding_in_place(
        storage, kind, steps=["", "", IN_PLACE], first_commit=first_commit
    )
    seen = storage[0]

    f(np.ones(3))

    np.testing.assert_array_equal(storage[0], [1, 2, 3])
    np.testing.assert_array_equal(seen, [0, 1, 2])


def test_an_argument_that_is_written_in_place_is_copied_first(kind):
    storage = [np.arange(3.0)]
    f = adding_in_place(storage, kind)

    f(storage[0])

    np.testing.assert_array_equal(storage[0], [2, 2, 2])


def test_a_strided_or_read_only_variable_is_replaced(kind):
    whole = np.arange(6.0)
    locked = np.arange(3.0)
    locked.flags.writeable = False
    for value in (whole[::2], locked):
        storage = [value]
        before = value.copy()
        f = adding_in_place(storage, kind)

        f(np.ones(3))

        np.testing.assert_array_equal(storage[0], before + 1)
        np.testing.assert_array_equal(value, before)


def test_a_read_only_variable_that_is_only_read_stays(kind):
    storage = [np.zeros(1)]
    storage[0].flags.writeable = False
    array = storage[0]
    f = runner(
        [ADD_ONE],
        kind,
        shared=[(storage, "float64", (None,))],
    )

    f(np.zeros(1))

    assert storage[0] is array


def test_variables_that_share_an_array_are_parted(kind):
    array = np.arange(3.0)
    storages = [[array], [array]]
    f = runner(
        [IN_PLACE],
        kind,
        shared=[(storage, "float64", (None,)) for storage in storages],
        outputs=[],
        n_visible=0,
        single=False,
        in_place=[0],
    )

    f(np.ones(3))

    np.testing.assert_array_equal(storages[0][0], [1, 2, 3])
    np.testing.assert_array_equal(storages[1][0], [0, 1, 2])


def test_an_update_of_a_visible_output_is_refused(kind):
    with pytest.raises(ValueError, match="out of range"):
        runner(
            [ADD_ONE],
            kind,
            shared=[([np.zeros(1)], "float64", (None,))],
            updates=[(0, 0)],
        )


def test_too_many_axes_are_refused(kind):
    with pytest.raises(ValueError, match="9 axes"):
        runner([ADD_ONE], kind, arguments=[("x", "float64", (None,) * 9)])


def test_an_interrupt_changes_all_shared_variables_or_none(kind):
    n = 6
    storages = [[np.zeros(1)] for _ in range(n)]
    step = "*y = *(double *)c->input[{0}].data + 1;"
    f = runner(
        [allocate(i, "1") + step.format(i) for i in range(n)],
        kind,
        arguments=[],
        shared=[(storage, "float64", (None,)) for storage in storages],
        outputs=[("float64", 1)] * n,
        updates=[(i, i) for i in range(n)],
        n_visible=0,
        single=False,
    )
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    random = np.random.default_rng(0)
    caught = 0

    def call():
        end = time.monotonic() + 1
        while time.monotonic() < end:
            f()

    gc.collect()
    gc.disable()  # Python forgets an interrupt that falls into a finalizer.
    try:
        for _ in range(300):
            before = storages[0][0][0]
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 1e-3))
                call()
            except KeyboardInterrupt:
                caught += 1
            values = {float(storage[0][0]) for storage in storages}
            assert len(values) == 1
            assert values.pop() >= before
    finally:
        gc.enable()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

    f()
    assert caught == 300


# Host steps

HOST = """wb_array in[1] = {c->input[0]}, out[1];
    int code = c->host(c, %d, in, 1, out, 1);
    if (code) return code;
    c->value[0] = out[0].data; c->size[0] = out[0].shape[0];"""
FROM_HOST = (
    allocate(0, "c->size[0]")
    + "for (int64_t i = 0; i < c->size[0]; i++) y[i] = ((double *)c->value[0])[i];"
)
ONE = {0: ([("float64", 1)], [("float64", 1)])}


def hosted(host, kind, **changes):
    return runner([HOST % 0, FROM_HOST], kind, host=host, host_signature=ONE, **changes)


def test_python_computes_a_step(kind):
    seen = []

    def host(step, inputs):
        seen.append((step, len(inputs), inputs[0].flags.writeable))
        return [np.sort(inputs[0])]

    f = hosted(host, kind)

    np.testing.assert_array_equal(f(np.array([3.0, 1, 2])), [1, 2, 3])
    assert seen == [(0, 1, False)]


@pytest.mark.parametrize(
    "host",
    [
        lambda x: x,
        lambda x: x[::-1][::-1],
        lambda x: np.repeat(x, 2)[::2],
        lambda x: x.astype("f4"),
        lambda x: list(x),
    ],
    ids=["itself", "view", "strided", "narrower", "list"],
)
def test_a_result_of_any_layout_is_taken(kind, host):
    f = hosted(lambda step, inputs: [host(inputs[0])], kind)

    np.testing.assert_array_equal(f(np.arange(3.0)), [0, 1, 2])


@pytest.mark.parametrize(
    "results",
    [
        [],
        [np.zeros(1), np.zeros(1)],
        None,
        [np.zeros(1, complex)],
        [np.zeros((1, 1))],
        [1.0],
        ["x"],
        [None],
    ],
    ids=repr,
)
def test_a_wrong_result_is_refused(kind, results):
    f = hosted(lambda step, inputs: results, kind)

    with pytest.raises((TypeError, ValueError)):
        f(np.zeros(3))


def test_an_exception_of_a_step_comes_out(kind):
    def host(step, inputs):
        raise LookupError("mine")

    f = hosted(host, kind)

    for _ in range(3):
        with pytest.raises(LookupError, match="mine"):
            f(np.zeros(3))


def test_a_step_that_is_not_pythons_is_an_error(kind):
    f = runner([HOST % 1, FROM_HOST], kind, host=lambda *_: [], host_signature=ONE)

    with pytest.raises(RuntimeError, match="step 1"):
        f(np.zeros(3))


SCRATCH = """if (c->slot[0].bytes < 8 * c->input[0].shape[0]) {
      free(c->slot[0].data);
      c->slot[0].data = aligned_alloc(64, (8 * c->input[0].shape[0] + 63) / 64 * 64);
      c->slot[0].bytes = 8 * c->input[0].shape[0];
    }
    for (int64_t i = 0; i < c->input[0].shape[0]; i++)
      ((double *)c->slot[0].data)[i] = 2 * ((double *)c->input[0].data)[i];
    wb_array in[1] = {c->input[0]}, out[1];
    in[0].data = c->slot[0].data;
    int code = c->host(c, 0, in, 1, out, 1);
    if (code) return code;
    c->value[0] = out[0].data; c->size[0] = out[0].shape[0];"""


def test_an_input_that_python_kept_can_still_be_read(kind):
    kept = []

    def host(step, inputs):
        kept.append(inputs[0][1:])
        return [inputs[0] + 1]

    f = runner([SCRATCH, FROM_HOST], kind, host=host, host_signature=ONE)
    for n in (1000, 100_000, 10, 300_000):
        f(np.full(n, float(n)))
    del f
    gc.collect()

    assert [view[-1] for view in kept] == [2000, 200_000, 20, 600_000]
    kept.clear()


def test_the_locals_of_a_failed_step_can_still_be_read(kind):
    def host(step, inputs):
        values = inputs[0]
        raise ValueError(values[0])

    f = runner([SCRATCH, FROM_HOST], kind, host=host, host_signature=ONE)
    with pytest.raises(ValueError) as caught:
        f(np.full(100_000, 1.5))
    del f
    gc.collect()

    frame = caught.value.__traceback__
    while frame.tb_next is not None:
        frame = frame.tb_next
    assert frame.tb_frame.f_locals["values"][-1] == 3


def test_a_step_that_calls_its_own_function_is_refused(kind):
    def host(step, inputs):
        return [f(inputs[0] * 1)]

    f = hosted(host, kind)

    with pytest.raises(RuntimeError, match="from inside"):
        f(np.zeros(3))
    with pytest.raises(RuntimeError, match="from inside"):
        f(np.zeros(3))


def test_threads_wait_for_each_other(kind):
    storage = [np.zeros(1)]

    def host(step, inputs):
        value = inputs[0][0]
        time.sleep(1e-4)
        return [np.array([value + 1])]

    f = runner(
        [HOST % 0, FROM_HOST],
        kind,
        arguments=[],
        shared=[(storage, "float64", (None,))],
        updates=[(0, 0)],
        n_visible=0,
        single=False,
        host=host,
        host_signature=ONE,
    )
    threads = [
        threading.Thread(target=lambda: [f() for _ in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert storage[0][0] == 200


def test_threads_get_their_own_results(kind):
    f = runner([ADD_ONE], kind)
    wrong = []

    def work(value):
        x = np.full(5, float(value))
        results = [f(x) for _ in range(300)]
        wrong.extend(r for r in results if (r != value + 1).any())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong


# References and memory


def test_references_do_not_grow(kind):
    storage = [np.zeros(1)]
    total = allocate(0, "1") + "*y = *(double *)c->input[0].data;"
    step = allocate(1, "1") + "*y = *(double *)c->input[1].data + 1;"

    def host(step, inputs):
        if inputs[0][0] < 0:
            raise ValueError
        return [inputs[0]]

    f = runner(
        [total, step, HOST % 2, "if (*(double *)c->value[0] > 9) return WB_VALUE;"],
        kind,
        shared=[(storage, "float64", (None,))],
        outputs=[("float64", 1), ("float64", 1)],
        updates=[(0, 1)],
        host=host,
        host_signature={2: ONE[0]},
    )
    x, bad, worse, odd = np.ones(1), -np.ones(1), np.full(1, 10.0), np.ones(4)[::2]

    def count():
        held = (x, bad, worse, odd, x.dtype, storage, f, host)
        return [sys.getrefcount(each) for each in held]

    def call():
        f(x)
        f(odd)
        for value in (bad, worse, 1.0):
            with pytest.raises((ValueError, TypeError)):
                f(value)

    call()
    gc.collect()
    before = count()
    for _ in range(1000 if kind == "extension" else 100):
        call()
    gc.collect()

    # NumPy's dtype objects are shared by the whole process; allow what is not per call.
    assert all(abs(a - b) <= 3 for a, b in zip(count(), before, strict=True))


def test_calls_do_not_take_memory(kind):
    resource = pytest.importorskip("resource")
    f = runner(
        [SCRATCH, FROM_HOST], kind, host=lambda s, i: [i[0] + 1], host_signature=ONE
    )
    x = np.zeros(100_000)
    f(x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for _ in range(200):
        f(x)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_a_runner_in_a_cycle_is_collected(kind):
    class Owner:
        def mismatch(self, args, kwargs):
            raise TypeError

    owner = Owner()
    owner.runner = runner([ADD_ONE], kind, on_mismatch=owner.mismatch)
    owner.runner(np.zeros(3))
    seen = weakref.ref(owner)

    del owner
    gc.collect()

    assert seen() is None


def test_a_result_outlives_its_runner(kind):
    f = runner([ADD_ONE], kind)
    result = f(np.zeros(1000))

    del f
    gc.collect()

    assert (result == 1).all()


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_during_a_call_of_another_thread_does_not_hang(kind):
    import os

    inside, go_on = threading.Event(), threading.Event()

    def host(step, inputs):
        if inputs[0][0] == 1:
            inside.set()
            go_on.wait(10)
        return [inputs[0] + 1]

    f = hosted(host, kind)
    thread = threading.Thread(target=f, args=(np.ones(1),))
    thread.start()
    inside.wait(10)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if f(np.zeros(1))[0] == 1 else 1)
    status = None
    for _ in range(500):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        time.sleep(0.01)
    else:
        os.kill(pid, 9)
    go_on.set()
    thread.join()

    assert ended and status == 0


# Step by step


def test_a_session_runs_step_by_step():
    storage = [np.zeros(1)]
    f = runner(
        [
            "c->size[0] = 5; c->value[0] = c->input[0].data;",
            ADD_ONE,
            allocate(1, "1") + "*y = 9;",
        ],
        "cffi",
        shared=[(storage, "float64", (None,))],
        outputs=[("float64", 1), ("float64", 1)],
        updates=[(0, 1)],
    )
    x = np.zeros(2)

    with f.session(x) as session:
        session.run(0, 1)
        assert session.size(0) == 5
        assert session.value(0) == x.ctypes.data
        session.run(1, 3)
        assert storage[0][0] == 0
        np.testing.assert_array_equal(session.finish(commit=True), [1, 1])

    assert storage[0][0] == 9
    np.testing.assert_array_equal(f(x), [1, 1])


def test_a_session_may_end_without_a_commit():
    storage = [np.zeros(1)]
    f = counter(storage, "cffi")

    with f.session() as session:
        session.run(0, 1)
        session.finish(commit=False)
    with f.session() as session:
        session.run(0, 1)

    assert storage[0][0] == 0
    assert f()[0] == 0


def test_a_session_that_is_not_done_commits_nothing():
    storage = [np.zeros(1)]
    f = counter(storage, "cffi")

    with f.session() as session, pytest.raises(RuntimeError, match="output 0"):
        session.finish()

    assert storage[0][0] == 0
