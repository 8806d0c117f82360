"""Long loops: shared by threads, interrupted, and beside other Python threads.

The programs are written by hand and ask their host to `split` a loop or to `pause`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from tests.crowds import in_threads
from tests.forks import exit_status
from tests.programs import ADD_ONE, allocate, runner
from workbench.compile.c import threads
from workbench.compile.c.toolchain import find_compiler
from workbench.config import config

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler")

needs_alarm = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="needs SIGALRM"
)


@pytest.fixture(params=["extension", "cffi"])
def kind(request):
    return request.param


SPLIT = (
    "{ int code = c->split(c, part, c->input[0].shape[0], %d); if (code) return code; }"
)

# Each iteration says who ran it and which range it was in.
MARK = """
#include <sched.h>
static double *seen;
static char busy[64];
static int part(wb_call *own, int64_t begin, int64_t end) {
  if (__atomic_exchange_n(&busy[own->thread], 1, __ATOMIC_SEQ_CST)) return WB_VALUE;
  for (int64_t i = begin; i < end; i++)
    seen[3 * i] += 1, seen[3 * i + 1] = own->thread, seen[3 * i + 2] = begin;
  for (int i = 0; i < 10; i++) sched_yield();
  __atomic_store_n(&busy[own->thread], 0, __ATOMIC_SEQ_CST);
  return own->thread < own->threads ? WB_OK : WB_INDEX;
}
"""
MARKED = (
    allocate(0, "3 * c->input[0].shape[0]")
    + "for (int64_t i = 0; i < 3 * c->input[0].shape[0]; i++) y[i] = 0; seen = y;"
    + "if (c->thread != 0) return WB_INDEX;"
)


@pytest.mark.parametrize("number", [1, 2, 3, 8])
@pytest.mark.parametrize("grain", [1, 7, 64])
def test_every_iteration_is_run_once_in_a_range_that_begins_at_a_grain(
    kind, number, grain
):
    f = runner([MARKED + SPLIT % grain], kind, before=MARK, threads=number)

    for size in (0, 1, grain - 1, grain, grain + 1, 3 * grain, 1000, 10_007):
        times, thread, begin = f(np.zeros(size)).reshape(size, 3).T

        assert (times == 1).all()
        assert (thread < number).all()
        assert (begin % grain == 0).all()


FAIL = """
static int part(wb_call *own, int64_t begin, int64_t end) {
  const double *x = own->input[0].data;
  for (int64_t i = begin; i < end; i++)
    if (x[i]) { own->failure.node = 5; own->failure.a = i; return WB_INDEX; }
  return WB_OK;
}
"""


@pytest.mark.parametrize("number", [1, 2, 8])
def test_the_first_failing_iteration_is_reported(kind, number):
    f = runner([SPLIT % 16], kind, before=FAIL, threads=number)
    x = np.zeros(20_000)
    x[[12_345, 12_346, 13_000, 17_000, 19_999]] = 1

    for _ in range(20):
        with pytest.raises(ValueError) as caught:
            f(x)

        assert caught.value.args[1] == (3, 5, 0, 12_345, 0)


NESTED = """
static int inner(wb_call *own, int64_t begin, int64_t end) {
  double *y = own->output[0].data;
  for (int64_t i = begin; i < end; i++) y[i] = i;
  return WB_OK;
}
static int part(wb_call *own, int64_t begin, int64_t end) {
  if (own->split) return own->split(own, inner, end, 1);
  return inner(own, begin, end);
}
"""


def test_a_loop_inside_a_part_has_one_range(kind):
    step = allocate(0, "c->input[0].shape[0]") + "c->output[0].data = y;" + SPLIT % 1
    f = runner([step], kind, before=NESTED, threads=2)

    np.testing.assert_array_equal(f(np.zeros(500)), np.arange(500))


def test_several_functions_share_the_threads(kind):
    f = runner([MARKED + SPLIT % 1], kind, before=MARK, threads=4)
    g = runner([SPLIT % 10 + ADD_ONE], kind, before=FAIL, threads=3)
    x = np.zeros(3000)

    def work(k):
        for _ in range(100):
            if k % 2:
                assert (f(x).reshape(-1, 3)[:, 0] == 1).all()
            else:
                assert (g(x) == 1).all()

    in_threads(work)


def test_the_number_of_threads_is_a_flag():
    one = allocate(0, "1") + "*y = c->threads;"

    with config.change(threads=3):
        f = runner([one], "extension")
    with config.change(threads=0):
        g = runner([one], "extension")

    assert f(np.zeros(1))[0] == 3
    assert g(np.zeros(1))[0] == threads.processors()


def test_processors_are_within_the_quota_of_the_container(tmp_path):
    assert threads.processors() >= 1
    assert threads._quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert threads._quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert threads._quota(tmp_path) == 2


# --- other Python threads ----------------------------------------------------------------


# Programs that say by x[1] that they are there, and wait for somebody to set x[0].
WATCH = """
static int part(wb_call *own, int64_t begin, int64_t end) {
  volatile const double *x = own->input[0].data;
  for (int64_t i = begin; i < end; i++)
    for (int64_t k = 0; k < 20000 && !*x; k++) ;
  return WB_OK;
}
"""
HERE = "((volatile double *)c->input[0].data)[1] = 1;"
WATCHED = HERE + "{ int code = c->split(c, part, 1 << 20, 1); if (code) return code; }"
WAIT = (
    HERE
    + "while (!*(volatile double *)c->input[0].data) if (c->pause(c)) return WB_STOPPED;"
)


def begin(f):
    """A thread in the middle of a call of `f`, and the argument that lets it go on."""
    x = np.zeros(2)
    caller = threading.Thread(target=f, args=(x,))
    caller.start()
    while not x[1]:
        time.sleep(0)
    return caller, x


def end(caller, x):
    x[0] = 1
    caller.join()


@pytest.mark.parametrize("wait", [WATCHED, WAIT], ids=["split", "pause"])
@pytest.mark.parametrize("number", [1, 2])
def test_other_threads_run_during_a_long_loop(kind, wait, number):
    f = runner([wait + ADD_ONE], kind, before=WATCH, threads=number)

    caller, x = begin(f)
    x[0] = 1
    caller.join()

    np.testing.assert_array_equal(f(x), [2, 2])


# A program that makes room for other threads between reading and writing.
SLOW = """
static int part(wb_call *own, int64_t begin, int64_t end) {
  for (volatile int64_t i = begin; i < end; i++) ;
  return WB_OK;
}
"""
GO_AWAY = "for (int i = 0; i < 3; i++) { if (c->pause(c)) return WB_STOPPED; }"
GO_AWAY += "{ int code = c->split(c, part, 3000, 1000); if (code) return code; }"


def one_more(storage, kind, than=None, pause=GO_AWAY):
    """A function without arguments: the variable becomes 1 more than it, or another, is."""
    shared = [storage] if than is None else [storage, than]
    read = f"double before = *(double *)c->input[{len(shared) - 1}].data;"
    return runner(
        [read + pause + allocate(0, "1") + "*y = before + 1;"],
        kind,
        before=SLOW,
        arguments=[],
        shared=[(each, "float64", (None,)) for each in shared],
        updates=[(0, 0)],
        n_visible=0,
        single=False,
    )


def test_long_calls_that_change_one_variable_are_as_if_one_after_the_other(kind):
    storage = [np.zeros(1)]
    functions = [one_more(storage, kind) for _ in range(3)]
    functions.append(one_more(storage, kind, pause=""))

    in_threads(lambda k: [functions[k]() for _ in range(200)])

    assert storage[0][0] == 800


def test_two_functions_that_read_each_others_variable_take_turns(kind):
    a, b = [np.zeros(1)], [np.zeros(1)]
    functions = [one_more(a, kind, than=b), one_more(b, kind, than=a)]

    in_threads(lambda k: [functions[k]() for _ in range(200)], 2)

    # After a call its variable is one more than the other; calls do not overlap.
    assert abs(a[0][0] - b[0][0]) == 1


def test_functions_that_only_read_a_variable_run_side_by_side(kind):
    weights = [np.ones(1)]
    functions = [
        runner([WAIT + ADD_ONE], kind, shared=[(weights, "float64", (None,))])
        for _ in range(2)
    ]

    both = [begin(f) for f in functions]

    for caller, x in both:
        end(caller, x)


IN_STEPS = """
double *w = c->input[0].data;
for (int64_t i = 0; i < c->input[0].shape[0]; i++) w[i] += 1;
"""
SAME = (
    allocate(0, "1")
    + "const double *w = c->input[0].data; *y = 1;"
    + "for (int k = 0; k < 20; k++) {"
    + "for (int64_t i = 0; i < c->input[0].shape[0]; i++) *y = *y && w[i] == w[0];"
    + GO_AWAY
    + "}"
)


def test_nobody_sees_a_variable_half_written(kind):
    storage = [np.zeros(20_000)]
    shared = [(storage, "float64", (None,))]
    write = runner(
        ["", GO_AWAY, IN_STEPS],
        kind,
        before=SLOW,
        arguments=[],
        shared=shared,
        outputs=[],
        n_visible=0,
        single=False,
        in_place=[0],
        first_commit=2,
    )
    read = runner([SAME], kind, before=SLOW, arguments=[], shared=shared)

    def work(k):
        for _ in range(100):
            if k == 0:
                write()
            elif k == 1:
                value = storage[0].copy()
                assert (value == value[0]).all()
            else:
                assert read()[0] == 1

    in_threads(work)

    assert (storage[0] == 100).all()


def setting_five(storage, kind):
    return runner(
        [WAIT + allocate(0, "1") + "*y = 5;"],
        kind,
        shared=[(storage, "float64", (None,))],
        updates=[(0, 0)],
        n_visible=0,
        single=False,
    )


def test_a_variable_that_is_set_during_a_call_keeps_what_was_set(kind):
    storage = [np.zeros(1)]
    f = setting_five(storage, kind)
    caller, x = begin(f)

    storage[0] = np.full(1, 9.0)
    end(caller, x)

    assert storage[0][0] == 9
    f(x)
    assert storage[0][0] == 5


def test_a_call_waits_for_one_that_changes_what_it_reads(kind):
    storage = [np.zeros(1)]
    read = runner(
        [allocate(0, "1") + "*y = *(double *)c->input[0].data;"],
        kind,
        arguments=[],
        shared=[(storage, "float64", (None,))],
    )
    caller, x = begin(setting_five(storage, kind))
    results = []
    reader = threading.Thread(target=lambda: results.append(read()[0]))
    reader.start()
    time.sleep(0.01)

    end(caller, x)
    reader.join()

    assert results == [5]


def hosted(storage, host, kind):
    """A function of x whose variable becomes what `host` makes of x."""
    return runner(
        [HOST],
        kind,
        before=SLOW,
        shared=[(storage, "float64", (None,))],
        updates=[(0, 0)],
        n_visible=0,
        single=False,
        host=lambda step, inputs: [host(inputs[0])],
        host_signature={0: ([("float64", 1)], [("float64", 1)])},
    )


def test_a_step_may_call_another_function_with_the_same_variable(kind):
    storage = [np.zeros(1)]
    inner = one_more(storage, kind)

    def host(x):
        inner()
        return x + 5

    hosted(storage, host, kind)(np.zeros(1))

    assert storage[0][0] == 1  # What the step set, as if after the outer call.


def test_a_step_may_call_a_function_that_another_thread_wants_to_call(kind):
    storage = [np.zeros(1)]
    inner = one_more(storage, kind)
    waiting = threading.Thread(target=inner)

    def host(x):
        waiting.start()
        time.sleep(0.05)
        inner()
        return x

    hosted(storage, host, kind)(np.zeros(1))
    waiting.join()

    assert storage[0][0] == 2


def test_a_waiting_call_is_not_overtaken_for_ever(kind):
    storage = [np.zeros(1)]
    often, once = one_more(storage, kind), one_more(storage, kind)
    other = threading.Thread(target=once)
    calls = 0

    other.start()
    while other.is_alive() and calls < 100_000:
        often()
        calls += 1

    assert calls < 100_000
    assert storage[0][0] == calls + 1


@needs_alarm
def test_waiting_for_a_turn_is_interrupted(kind):
    storage = [np.zeros(1)]
    f = setting_five(storage, kind)
    caller, x = begin(f)

    for other in (f, one_more(storage, kind)):
        args = (x,) if other is f else ()
        with pytest.raises(KeyboardInterrupt), alarm(after=0.02):
            other(*args)
    end(caller, x)
    f(x)

    assert storage[0][0] == 5


HOST = (
    GO_AWAY
    + """
wb_array in[1] = {c->input[0]}, out[1];
int code = c->host(c, 0, in, 1, out, 1);
if (code) return code;
"""
    + GO_AWAY
    + allocate(0, "1")
    + "*y = *(double *)out[0].data;"
)


# --- interrupts --------------------------------------------------------------------------

ENDLESS = {
    "split": "{ int code = c->split(c, part, (int64_t)1 << 60, 1000); if (code) return code; }",
    "pause": "for (;;) { if (c->pause(c)) return WB_STOPPED; }",
    "parts that pause": "{ int code = c->split(c, pausing, 8, 1); if (code) return code; }",
}
PAUSING = (
    SLOW
    + """
static int pausing(wb_call *own, int64_t begin, int64_t end) {
  (void)begin, (void)end;
  for (;;) { int code = own->pause(own); if (code) return code; }
}
"""
)


@contextmanager
def alarm(handler=signal.default_int_handler, after=0.0):
    """Have `handler` called for SIGALRM, which comes `after` so many seconds."""
    previous = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@needs_alarm
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_program_is_interrupted(kind, body, number):
    storage = [np.zeros(1)]
    old = storage[0]
    f = runner(
        [
            allocate(0, "1") + "*y = 1;",
            f"if (*(double *)c->input[0].data) {body}",
        ],
        kind,
        before=PAUSING,
        shared=[(storage, "float64", (None,))],
        updates=[(0, 0)],
        n_visible=0,
        single=False,
        threads=number,
    )

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt), alarm(after=0.02):
            f(np.ones(1))
        assert storage[0] is old
    f(np.zeros(1))

    assert storage[0][0] == 1


@needs_alarm
def test_an_interrupt_waits_for_what_is_being_committed(kind):
    storages = [[np.zeros(1)] for _ in range(3)]
    write = """
    raise(SIGALRM);
    for (int i = 0; i < 100; i++) if (c->pause && c->pause(c)) return WB_STOPPED;
    *(double *)c->input[%d].data += 1;
    """
    f = runner(
        ["", *(write % k for k in range(3))],
        kind,
        before="#include <signal.h>",
        arguments=[],
        shared=[(storage, "float64", (None,)) for storage in storages],
        outputs=[],
        n_visible=0,
        single=False,
        in_place=range(3),
        first_commit=1,
    )

    for expected in (1, 2, 3):
        with pytest.raises(KeyboardInterrupt), alarm():
            f()

        assert [storage[0][0] for storage in storages] == [expected] * 3


@needs_alarm
def test_a_handler_that_does_not_raise_lets_the_call_go_on(kind):
    x = np.zeros(2)
    f = runner([WAIT + ADD_ONE], kind)

    def handle(number, frame):
        x[0] = 1

    with alarm(handle, after=0.01):
        result = f(x)

    np.testing.assert_array_equal(result, [2, 2])


# --- forks -------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_fork_has_threads_of_its_own(kind):
    f = runner([MARKED + SPLIT % 1], kind, before=MARK, threads=3)
    x = np.zeros(5000)
    f(x)

    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            right = all((f(x).reshape(-1, 3)[:, 0] == 1).all() for _ in range(10))
            os._exit(0 if right else 1)
        children.append(pid)

    assert (f(x).reshape(-1, 3)[:, 0] == 1).all()
    assert [exit_status(pid) for pid in children] == [0] * 4
