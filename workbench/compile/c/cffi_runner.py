"""The call in Python: what ``runner.c`` does, where that file cannot be compiled.

The order of a call is told there. This kind can also stop between the steps of a
program (`Session`), which is what debuggers and profilers use.

The program is called through ctypes' ``PYFUNCTYPE``, the one foreign call that keeps
the interpreter lock: no other thread sees a shared variable half written. Everything
else is cffi, which reads the contract from ``abi.h`` itself. Long loops run in one
thread, range by range; what a signal raises between two ranges ends the call.
"""

from __future__ import annotations

import ctypes
import operator
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain, repeat, starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.compile.layouts import element_strides, kind_of

if TYPE_CHECKING:
    from workbench.compile.c.runner import Form, Plan

__all__ = ["CffiRunner", "Session"]

Array = np.ndarray[Any, np.dtype[Any]]

ABI = Path(__file__).with_name("abi.h")
WB_HOST = 6
WB_STOPPED = 7
RANGE = 0.005
"""Seconds that a range of a long loop should take."""

_running: list[CffiRunner] = []
"""Runners in a call, in the order they began. Entries of a broken call do no harm."""


class CffiRunner:
    """A compiled program as a function of arrays; one call at a time."""

    kind = "cffi"

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._lock = threading.Lock()
        self._holder = 0  # the thread in the call
        self._pid = os.getpid()
        self._n_arguments = len(plan.inputs) - len(plan.storages)
        self._uses = set(map(id, plan.storages))
        changed = {*(shared for shared, _ in plan.updates), *plan.in_place}
        self._changes = {id(plan.storages[shared]) for shared in changed}
        self._host_forms = {
            step: (takes, gives) for step, takes, gives in plan.host_steps
        }
        self._taken: list[Array] = []
        self._made: list[Any] = [None] * len(plan.outputs)
        self._unmade: set[int] = set()
        self._spare: list[Array | None] = [None] * len(plan.outputs)
        self._kept: dict[int, list[Array]] = {}
        self._lease: _Lease | None = None
        self._raised: BaseException | None = None
        self._open()

    def _open(self) -> None:
        """Lay out the call in C memory, with the functions the program may call."""
        plan, ffi = self._plan, _cffi()
        self._call = ffi.new("wb_call *")
        self._call.threads = 1
        parts = {
            "input": ffi.new("wb_array[]", len(plan.inputs)),
            "output": ffi.new("wb_array[]", len(plan.outputs)),
            "slot": ffi.new("wb_slot[]", plan.n_slots),
            "value": ffi.new("void *[]", plan.n_values),
            "size": ffi.new("int64_t[]", plan.n_sizes),
            "alloc": ffi.callback(
                "void *(wb_call *, int64_t)",
                self._allocate,
                error=ffi.NULL,
                onerror=self._on_error,
            ),
            "host": ffi.callback(
                "int(wb_call *, int64_t, wb_array *, int64_t, wb_array *, int64_t)",
                self._run_host,
                error=WB_HOST,
                onerror=self._on_error,
            ),
            "split": ffi.callback(
                "int(wb_call *, wb_part *, int64_t, int64_t)",
                self._split,
                error=WB_STOPPED,
                onerror=self._on_error,
            ),
            "pause": ffi.callback(
                "int(wb_call *)",
                lambda call: 0,  # Python looks for signals before it runs any function.
                error=WB_STOPPED,
                onerror=self._on_error,
            ),
        }
        for name, part in parts.items():
            setattr(self._call, name, part)
        self._parts = parts
        self._program = _Part(plan.program)
        self._address = int(ffi.cast("intptr_t", self._call))
        weakref.finalize(self, _free, parts["slot"]).atexit = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program; the one visible output, or a list of all."""
        fitting = self._fitting(args, kwargs)
        if self._plan.on_strided is not None and any(map(self._is_lent, fitting)):
            answer = self._plan.on_strided(tuple(fitting))
            if answer is not NotImplemented:
                return answer
        fitting = self._straight(fitting)
        while True:
            with self._entered():
                try:
                    other = self._in_the_way()
                    if other is None:
                        return self._run(fitting)
                finally:
                    self._leave()
            with other._lock:
                pass

    def _run(self, fitting: list[Array]) -> Any:
        self._take(fitting)
        first, last = self._plan.first_commit, self._plan.n_steps
        self._raise(self._program(self._address, 0, first))
        run = [(self._program, self._address, first, last)]
        if first < last:
            self._begin_commit()
        # Nothing in this chain is Python code: an interrupt comes before anything is
        # committed or after all is, but not between.
        self._raise(_first_true(chain(run, self._commits())))
        return self._results()

    def session(self, *args: Any, **kwargs: Any) -> Session:
        """Begin a call that is run step by step."""
        return Session(self, self._straight(self._fitting(args, kwargs)))

    # Before the program

    def _entered(self) -> threading.Lock:
        """The lock that a call holds; to be entered at once, by ``with``."""
        me = threading.get_ident()
        if self._pid != os.getpid():  # Forked: the thread in the call is not here.
            self._pid, self._lock = os.getpid(), threading.Lock()
        if self._holder == me and self._lock.locked():
            raise RuntimeError(
                "this function was called again from inside one of its own steps.\n"
                "  Compile a second function for the inner call."
            )
        return self._lock

    def _in_the_way(self) -> CffiRunner | None:
        """A call of another thread that shares a variable which one of the two changes.

        If there is none, this call is among the running ones from here on.
        """
        me = self._holder = threading.get_ident()
        _running.append(self)
        for other in _running[:]:
            if other is self:
                break
            elsewhere = other._holder != me and other._pid == os.getpid()
            if elsewhere and other._lock.locked() and self._meets(other):
                return other
        return None

    def _meets(self, other: CffiRunner) -> bool:
        return not (
            self._changes.isdisjoint(other._uses)
            and self._uses.isdisjoint(other._changes)
        )

    def _fitting(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Array]:
        """The arguments as arrays of the right form."""
        forms = self._plan.inputs[: self._n_arguments]
        fits = map(_has_form, args, forms)
        if kwargs or len(args) != len(forms) or not all(fits):
            args = tuple(self._plan.on_mismatch(args, kwargs))
            if len(args) != len(forms):
                raise TypeError(f"expected {len(forms)} arguments, got {len(args)}")
            for name, value, form in zip(self._plan.names, args, forms, strict=False):
                if not _has_form(value, form):
                    raise TypeError(f"argument {name} has the wrong type: {value!r}")
        return list(args)

    def _is_lent(self, array: Array) -> bool:
        """Whether an argument is large and would be copied."""
        return array.nbytes >= self._plan.worth and not _is_plain(array)

    def _straight(self, arguments: Sequence[Array]) -> list[Array]:
        """The arguments in C order, but for those that lie as the program takes them."""
        return [
            a if _is_plain(a) or (kind and _has_layout(a, kind)) else a.copy("C")
            for a, kind in zip(arguments, self._plan.strided, strict=True)
        ]

    def _take(self, arguments: list[Array]) -> None:
        """Lend the memory of arguments and shared variables to the program."""
        self._holder = threading.get_ident()
        self._raised = None
        self._call.committing = 0
        for name in ("split", "pause"):
            setattr(self._call, name, self._parts[name])
        self._unmade = set(range(len(self._made)))
        taken = self._taken = list(arguments)
        shared_forms = self._plan.inputs[self._n_arguments :]
        for i, (storage, form) in enumerate(
            zip(self._plan.storages, shared_forms, strict=True)
        ):
            taken.append(self._shared(storage, form, i))
        for k in self._plan.in_place:
            self._part(self._n_arguments + k)
        ffi = _cffi()
        for cell, array in zip(self._parts["input"], taken, strict=True):
            if _is_plain(array):
                cell.data = ffi.from_buffer(array)
            else:
                cell.data = ffi.cast("void *", array.__array_interface__["data"][0])
            cell.shape[0 : array.ndim] = array.shape
        for cell, array, kind in zip(  # fewer layouts than arrays
            self._parts["input"], taken, self._plan.strided, strict=False
        ):
            if kind:
                cell.stride[0 : array.ndim] = element_strides(array)

    def _shared(self, storage: list[Any], form: Form, number: int) -> Array:
        """The array of a shared variable; a strided one is replaced for good."""
        value = storage[0] if len(storage) == 1 else None
        if not isinstance(value, np.ndarray) or not _looks_like(value, form):
            name = self._plan.names[self._n_arguments + number]
            raise TypeError(
                f"the shared variable {name} no longer holds what the function was "
                f"compiled for: an array of {form[0]!r} with {len(form[1])} axes; it "
                f"holds {value!r}.\n"
                "  Set it with set_value, or compile the function again."
            )
        if not _is_plain(value):
            storage[0] = value = np.array(value, order="C")
        return value

    def _part(self, written: int) -> None:
        """Make a variable fit to be written in place.

        A read-only one is replaced, and every other input that shares its memory is
        copied.
        """
        taken = self._taken
        writeable = taken[written].flags.writeable
        for i, array in enumerate(taken):
            shares = np.may_share_memory(array, taken[written])
            if shares if i != written else not writeable:
                taken[i] = array.copy()
                if i >= self._n_arguments:
                    self._plan.storages[i - self._n_arguments][0] = taken[i]

    def _begin_commit(self) -> None:
        """Get ready to write shared variables in place: nothing may stop that.

        An array that somebody else can see is replaced by a copy.
        """
        for k in self._plan.in_place:
            index, storage = self._n_arguments + k, self._plan.storages[k]
            array = self._taken[index]
            is_set = len(storage) != 1 or storage[0] is not array
            del array
            # Three references: the storage's, this call's, and the argument's own.
            seen = sys.getrefcount(self._taken[index]) > 3
            if is_set or seen or not self._taken[index].flags.owndata:
                copy = self._taken[index].copy()
                if not is_set:
                    storage[0] = copy
                self._taken[index] = copy
                self._parts["input"][index].data = _cffi().from_buffer(copy)
        self._call.split = self._call.pause = _cffi().NULL
        self._call.committing = 1

    # What the program calls

    def _split(self, call: Any, part: Any, size: int, grain: int) -> int:
        """Run the ranges of a loop, some milliseconds each."""
        run = _Part(int(_cffi().cast("intptr_t", part)))
        own = int(_cffi().cast("intptr_t", call))  # It may have values of its own.
        begin, length = 0, 2 * grain
        while begin < size:
            start = time.perf_counter()
            end = min(begin + length, size)
            code = run(own, begin, end)
            if code:
                return int(code)
            growth = min(RANGE / max(time.perf_counter() - start, 1e-6), 16.0)
            length = max(int(growth * (end - begin)) // grain, 1) * grain
            begin = end
        return 0

    def _allocate(self, call: Any, index: int) -> Any:
        dtype, free = self._plan.outputs[index]
        shape = tuple(self._parts["output"][index].shape[0 : len(free)])
        array, self._spare[index] = self._spare[index], None
        # Two references: this one and that of getrefcount's own argument.
        unseen = sys.getrefcount(array) <= 2
        if array is None or not unseen or not _is_free(array, dtype, shape):
            del array
            try:
                array = np.empty(shape, dtype)
            except (MemoryError, ValueError):
                return _cffi().NULL  # The program reports WB_OUT_OF_MEMORY.
        self._made[index] = array
        self._unmade.discard(index)
        return _cffi().from_buffer(array)

    def _run_host(
        self, call: Any, step: int, inputs: Any, n_in: int, outputs: Any, n_out: int
    ) -> int:
        if step not in self._host_forms:
            raise RuntimeError(f"step {step} is not one that Python was to compute")
        takes, gives = self._host_forms[step]
        if self._lease is None:
            self._lease = _Lease()
        views = [
            _view(self._lease, inputs[i], form) for i, form in enumerate(takes[:n_in])
        ]
        results = list(self._plan.host(step, views))
        if len(results) != len(gives):
            raise TypeError(
                f"step {step} returned {len(results)} arrays instead of {len(gives)}"
            )
        accepted = [
            _accept(result, form, step, views)
            for result, form in zip(results, gives, strict=True)
        ]
        self._kept[step] = accepted
        for i, array in enumerate(accepted):
            outputs[i].data = _cffi().from_buffer(array)
            outputs[i].shape[0 : array.ndim] = array.shape
        return 0

    def _on_error(self, kind: type, error: BaseException, traceback: Any) -> None:
        self._raised = error.with_traceback(traceback)

    # After the program

    def _commits(self) -> Iterable[tuple[Any, ...]]:
        """Calls that put each new value in place, if every output was made."""
        pairs = [
            (self._plan.storages[shared], output)
            for shared, output in self._plan.updates
            if self._is_as_taken(shared)
        ]
        storages = [storage for storage, _ in pairs]
        values = map(self._made.__getitem__, [output for _, output in pairs])
        check = (self._unmade.copy,)
        return chain(
            [check], zip(repeat(list.__setitem__), storages, repeat(0), values)
        )

    def _is_as_taken(self, shared: int) -> bool:
        """False for a variable that was set during the call: it keeps what was set."""
        storage = self._plan.storages[shared]
        taken = self._taken[self._n_arguments + shared]
        return len(storage) == 1 and storage[0] is taken

    def _raise(self, code: Any) -> None:
        """Raise what the program's answer stands for, if it is not success."""
        if isinstance(code, set):
            raise RuntimeError(f"the program did not make its output {min(code)}")
        if self._raised is not None:
            error, self._raised = self._raised, None
            raise error
        if code == WB_HOST:
            raise RuntimeError("a host step failed without an exception")
        if code:
            failure = self._call.failure
            facts = (code, failure.node, failure.axis, failure.a, failure.b)
            self._plan.on_failure(facts, tuple(self._taken[: self._n_arguments]))
            raise RuntimeError(f"the program failed with code {code}")

    def _results(self, committed: bool = True) -> Any:
        """The visible outputs. What nobody else will see is kept for the next call."""
        self._spare = list(self._made)
        for shared, output in self._plan.updates if committed else ():
            taken = self._taken[self._n_arguments + shared]
            if self._plan.storages[shared][0] is not taken:
                self._spare[output] = taken
        visible = self._made[: self._plan.n_visible]
        return visible[0] if self._plan.single else visible

    def _leave(self) -> None:
        """Let go of what the call held."""
        self._end_lease()
        self._taken = []
        self._made[:] = [None] * len(self._made)
        while self in _running:
            _running.remove(self)
        self._holder = 0

    def _end_lease(self) -> None:
        """If a view of the program's memory escaped, that memory goes with it."""
        if self._lease is None:
            return
        lease, self._lease = weakref.ref(self._lease), None
        escaped = lease()
        if escaped is not None:
            kept = list(self._kept.values())
            escaped.held = [self._plan.module, *self._taken, *self._made, *kept]
            for slot in self._parts["slot"]:
                escaped.blocks.append(slot.data)
                slot.data, slot.bytes = _cffi().NULL, 0


_Part = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
"""A program's function of (call, first, last), and a loop's part."""


class Session:
    """One call of a program, step by step: what debuggers and profilers use.

    No other call of the same runner can begin before the session is finished or closed;
    it is closed at the end of a ``with`` block.
    """

    _is_open = False

    def __init__(self, runner: CffiRunner, arguments: list[Array]) -> None:
        self._runner = runner
        self._held = runner._entered()
        self._held.acquire()
        self._is_open = True
        try:
            runner._take(arguments)
        except BaseException:
            self.close()
            raise

    def run(self, first: int, last: int) -> None:
        """Run the steps ``first <= s < last``; raises as a call does."""
        runner = self._runner
        commit = runner._plan.first_commit
        if first < commit:
            end = min(last, commit)
            runner._raise(runner._program(runner._address, first, end))
        if last > commit:
            runner._begin_commit()
            start = max(first, commit)
            runner._raise(runner._program(runner._address, start, last))

    def size(self, number: int) -> int:
        """A run-time size of the program."""
        return int(self._runner._parts["size"][number])

    def value(self, number: int) -> int:
        """The address of a stored value; 0 where it is not made yet."""
        return int(_cffi().cast("intptr_t", self._runner._parts["value"][number]))

    def finish(self, commit: bool = True) -> Any:
        """End the call and return its results; shared variables change on `commit`.

        Without `commit` some steps may not have been run; a result that was not made
        is ``None``.
        """
        runner = self._runner
        try:
            if commit:
                runner._raise(_first_true(runner._commits()))
            return runner._results(commit)
        finally:
            self.close()

    def close(self) -> None:
        """End the call without results; nothing is committed."""
        if self._is_open:
            self._is_open = False
            self._runner._leave()
            self._held.release()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


@cache
def _cffi() -> Any:
    """A cffi interface that knows the contract."""
    import cffi  # 30 ms that a process with the extension saves

    ffi = cffi.FFI()
    directives = ("#ifndef", "#endif", "#include", "#define WB_ABI")
    lines = ABI.read_text(encoding="utf-8").splitlines()
    ffi.cdef("\n".join(line for line in lines if not line.startswith(directives)))
    return ffi


def _first_true(calls: Iterable[tuple[Any, ...]]) -> Any:
    """Make calls until one returns something true; that, or 0."""
    return next(filter(None, starmap(operator.call, calls)), 0)


def _has_form(value: Any, form: Form) -> bool:
    return type(value) is np.ndarray and _looks_like(value, form)


def _looks_like(array: Array, form: Form) -> bool:
    dtype, shape = form
    return (
        array.dtype == dtype
        and array.ndim == len(shape)
        and all(map(lambda size, wanted: wanted in (-1, size), array.shape, shape))
    )


def _is_plain(array: Array) -> bool:
    return array.flags.c_contiguous and array.flags.aligned


def _has_layout(array: Array, kind: int) -> bool:
    """Whether an array lies in memory as a program takes it."""
    item = array.itemsize
    whole = array.flags.aligned and not any(s % item for s in array.strides)
    return whole and kind_of(array) <= kind


def _is_free(array: Array, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bool:
    """Whether an array that nobody else refers to may be filled again."""
    return (
        array.dtype == dtype
        and array.shape == shape
        and array.flags.carray
        and array.flags.owndata
        and not weakref.getweakrefcount(array)
    )


def _free(slots: Any) -> None:
    for slot in slots:
        _release(slot.data)


def _release(block: Any) -> None:
    """Give memory that the program took back to the C library."""
    _c_library().free(ctypes.c_void_p(int(_cffi().cast("uintptr_t", block))))


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)


class _Lease:
    """What the views of one call rest on; freed when the last of them is gone."""

    def __init__(self) -> None:
        self.blocks: list[Any] = []
        self.held: list[Any] = []

    def __del__(self) -> None:
        for block in self.blocks:
            _release(block)


class _Memory:
    """A piece of a program's memory, for NumPy to look at."""

    def __init__(self, lease: _Lease, interface: dict[str, Any]) -> None:
        self.lease = lease
        self.__array_interface__ = interface


def _view(lease: _Lease, cell: Any, form: Form) -> Array:
    dtype, free = form
    interface = {
        "version": 3,
        "data": (int(_cffi().cast("intptr_t", cell.data)), True),  # read-only
        "typestr": dtype.str,
        "shape": tuple(cell.shape[0 : len(free)]),
    }
    return np.asarray(_Memory(lease, interface))


def _accept(result: Any, form: Form, step: int, views: list[Array]) -> Array:
    """A host function's result as an array of exactly the promised form.

    What shares memory with an input is copied: the program uses that memory again.
    """
    dtype, free = form
    given = np.asarray(result)
    if isinstance(result, np.ndarray) and not np.can_cast(given.dtype, dtype, "safe"):
        raise TypeError(f"step {step} returned {given.dtype} instead of {dtype}")
    array = np.ascontiguousarray(given, dtype).reshape(given.shape)
    if array.ndim != len(free):
        raise TypeError(
            f"step {step} returned an array with {array.ndim} axes "
            f"instead of {len(free)}"
        )
    shares = any(np.may_share_memory(array, view) for view in views)
    return array.copy() if shares else array
