"""The graph: variables, the operations that made them, and the walks over both.

A :class:`Variable` stands for a value that does not exist yet. It has a type, perhaps a
name, and an ``owner``: the :class:`Apply` that computes it, or ``None`` for an input, a
:class:`Constant` or a :class:`Shared` variable. An Apply joins an op to its input and
output variables. Nothing is edited in place: a rewrite makes new nodes. Only a variable's
name, tag and the attributes users add may change.

Every walk here is iterative, so a chain of 100,000 nodes meets no recursion limit.

Read next: :mod:`workbench.core.op`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.config import config
from workbench.core import source
from workbench.core.errors import DTypeError, NumberRangeError, ShapeError
from workbench.core.lazy import lazy
from workbench.core.types import Array, TensorType

if TYPE_CHECKING:
    from workbench.core.op import Op


class Variable:
    """A value to be computed or given.

    Parameters
    ----------
    type
        Its dtype and what is known of its shape.
    name
        How people call it; free to change.
    owner, index
        The operation whose output number `index` it is; ``None`` for a leaf.

    Notes
    -----
    ``==`` is identity: an elementwise comparison is :func:`workbench.tensor.eq`.
    """

    # NumPy arrays on the left of an operator leave the operation to us.
    __array_ufunc__ = None

    def __init__(
        self,
        type: TensorType,
        name: str | None = None,
        owner: Apply | None = None,
        index: int = 0,
    ) -> None:
        self.type = type
        self.name = name
        self.owner = owner
        self.index = index
        self.tag = SimpleNamespace()
        # A leaf is made by a line of the user's too; an output asks its owner.
        self.place = source.here() if owner is None else None

    @property
    def dtype(self) -> str:
        """Name of the element type, as ``"float32"``."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.type.ndim

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """Which axes have size 1 by declaration."""
        return self.type.broadcastable

    @property
    def location(self) -> source.Location | None:
        """The user's line that made this variable, or ``None``."""
        if self.owner is not None:
            return self.owner.origin.location
        return None if self.place is None else self.place.location

    def label(self) -> str:
        """Its name, or what computes it: ``W``, ``dot(x, W)``."""
        if self.name:
            return self.name
        if self.owner is None:
            return f"<{self.type}>"
        names = ", ".join(
            v.name or (v.label() if isinstance(v, Constant) else "…")
            for v in self.owner.inputs
        )
        return f"{self.owner.op}({names})"

    def __repr__(self) -> str:
        return (
            f"<{self.label()}: {self.type}>"
            if self.name or self.owner
            else f"<{self.type}>"
        )

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self.label()} has no truth value while the graph is built: its value is not known yet. "
            "Use T.switch(condition, a, b) to choose, or .eval() to compute it now."
        )

    if TYPE_CHECKING:  # attached by workbench.core.operators

        def __add__(self, other: Any) -> Variable: ...
        def __radd__(self, other: Any) -> Variable: ...
        def __sub__(self, other: Any) -> Variable: ...
        def __rsub__(self, other: Any) -> Variable: ...
        def __mul__(self, other: Any) -> Variable: ...
        def __rmul__(self, other: Any) -> Variable: ...
        def __truediv__(self, other: Any) -> Variable: ...
        def __rtruediv__(self, other: Any) -> Variable: ...
        def __floordiv__(self, other: Any) -> Variable: ...
        def __mod__(self, other: Any) -> Variable: ...
        def __pow__(self, other: Any) -> Variable: ...
        def __neg__(self) -> Variable: ...
        def __abs__(self) -> Variable: ...
        def __lt__(self, other: Any) -> Variable: ...
        def __le__(self, other: Any) -> Variable: ...
        def __gt__(self, other: Any) -> Variable: ...
        def __ge__(self, other: Any) -> Variable: ...
        def __getitem__(self, index: Any) -> Variable: ...
        @property
        def shape(self) -> Variable: ...
        @property
        def T(self) -> Variable: ...


TensorType.variable = Variable


@cache
def _name_of(dtype: np.dtype[Any]) -> str:
    """The name of a dtype; kept, since NumPy puts it together every time."""
    return dtype.name


class Constant(Variable):
    """A value known while the graph is built; its array is read-only."""

    def __init__(self, data: Array, name: str | None = None) -> None:
        dtype = np.asarray(data).dtype
        if not dtype.isnative:
            dtype = dtype.newbyteorder("=")
        data = np.array(data, dtype=dtype, order="C")
        data.setflags(write=False)
        super().__init__(TensorType(_name_of(dtype), data.shape), name)
        self.data = data

    def signature(self) -> tuple[Any, ...]:
        """Equal for constants that may be merged: dtype, shape and every bit."""
        return self._signature

    @lazy
    def _signature(self) -> tuple[Any, ...]:
        return (self.dtype, self.data.shape, self.data.tobytes())

    @lazy
    def uniform(self) -> Any:
        """The number that every element is, bit for bit; None where they differ or are none."""
        flat = self.data.reshape(-1)
        if flat.size != 1:
            if not flat.size or flat.tobytes() != flat[0].tobytes() * flat.size:
                return None
        return flat[0].item()

    def label(self) -> str:
        """Its name, or its value when short."""
        if self.name:
            return self.name
        if self.data.size == 1:
            return f"{self.data.reshape(-1)[0]!s}"
        return f"<constant {self.type}>"


class Shared(Variable):
    """A variable that keeps a value between calls and may be updated by them.

    Functions that use it need not list it. The array lives in `storage`, a list of one:
    compiled code exchanges that one entry, so that all functions see the new value at once.

    Attributes
    ----------
    default_update
        What every call that uses the variable replaces its value with, unless the function
        says otherwise; ``None`` for nothing.
    strict
        :meth:`set_value` takes arrays of exactly this type only.
    allow_downcast
        Which values :meth:`set_value` may round: ``True`` any, ``False`` none, ``None``
        Python numbers only.
    """

    def __init__(
        self,
        type: TensorType,
        value: Array,
        name: str | None = None,
        strict: bool = False,
        allow_downcast: bool | None = None,
    ) -> None:
        super().__init__(type, name)
        self.storage: list[Array] = [value]
        self.strict = strict
        self.allow_downcast = allow_downcast
        self.default_update: Variable | None = None

    def get_value(
        self, borrow: bool = False, return_internal_type: bool = False
    ) -> Array:
        """The present value: a copy, or with ``borrow=True`` the array itself.

        A borrowed array may change at the next update, and must not be resized. The value is
        kept as a NumPy array: `return_internal_type` changes nothing.
        """
        value = self.storage[0]
        return value if borrow else value.copy()

    def set_value(self, value: Any, borrow: bool = False) -> None:
        """Give it another value of its dtype and number of axes; the sizes may differ.

        Parameters
        ----------
        value
            Anything :func:`numpy.asarray` takes.
        borrow
            Keep the very array when it already is of the right type.

        Raises
        ------
        DTypeError, ShapeError
            The value does not fit; the old one is kept.
        """
        try:
            if self.strict and not self.type.fits(value):
                raise DTypeError(f"must be an array of exactly the type {self.type}")
            array = self.type.filter(value, self.allow_downcast)
        except (DTypeError, ShapeError) as error:
            error.args = (f"{self.name or 'the shared variable'}.set_value: {error}",)
            raise
        # A converted value may still share its memory: that of a subclass or a buffer.
        self.storage[0] = (
            np.require(array, requirements=["C", "A", "W"])
            if borrow
            else np.array(array, order="C")
        )

    def zero(self, borrow: bool = False) -> None:
        """Set every element to 0; with ``borrow=True`` in the array itself."""
        if borrow:
            self.storage[0][...] = 0
        else:
            self.storage[0] = np.zeros_like(self.storage[0])

    def clone(self, name: str | None = None) -> Shared:
        """Another shared variable of this type with a copy of the value."""
        made = Shared(
            self.type,
            self.get_value(),
            name or self.name,
            self.strict,
            self.allow_downcast,
        )
        made.tag = SimpleNamespace(**vars(self.tag))
        return made

    @property
    def container(self) -> Container:
        """The place of the value: ``W.container.value`` reads and sets it without a copy."""
        return Container(self, self.storage)


class Container:
    """The place of a value that is kept between calls: of a shared variable, or of a default.

    Attributes
    ----------
    variable
        Whose value it is.
    storage
        A list of one array, shared with everything else that uses the value.
    """

    def __init__(self, variable: Variable, storage: list[Array]) -> None:
        self.variable = variable
        self.storage = storage

    @property
    def value(self) -> Array:
        """The array itself; one that is assigned must be of the variable's type."""
        return self.storage[0]

    @value.setter
    def value(self, value: Any) -> None:
        array = self.variable.type.filter(value, allow_downcast=False)
        self.storage[0] = np.require(array, requirements=["C", "A", "W"])

    data = value

    def __repr__(self) -> str:
        return f"<Container of {self.variable.label()}: {self.variable.type}>"


class Apply:
    """One application of an op: what it takes, what it gives, and who asked for it.

    Attributes
    ----------
    op
        What is computed.
    inputs, outputs
        Variables; the order matters.
    origin
        The user's line, and for derived nodes the node they stand for.
    """

    __slots__ = ("__weakref__", "inputs", "op", "origin", "outputs")

    def __init__(
        self, op: Op, inputs: Sequence[Variable], types: Sequence[TensorType]
    ) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.origin = source.origin_here()
        self.outputs = tuple(Variable(t, None, self, i) for i, t in enumerate(types))
        record = _record.get()
        if record is not None:
            record.add(self)

    @property
    def output(self) -> Variable:
        """The only output."""
        (output,) = self.outputs
        return output

    def __repr__(self) -> str:
        return f"{self.op}({', '.join(v.label() for v in self.inputs)})"


_record: ContextVar[set[Apply] | None] = ContextVar("record", default=None)


class recording:
    """``with recording(made):`` operations applied inside are added to the set `made`.

    Inside another one they are added to both.
    """

    def __init__(self, made: set[Apply]) -> None:
        self.made = made

    def __enter__(self) -> None:
        self.outer = _record.get()
        self.token = _record.set(self.made)

    def __exit__(self, *error: object) -> None:
        _record.reset(self.token)
        if self.outer is not None:
            self.outer |= self.made


Variables = Variable | Iterable[Variable]
"""One variable, or several."""


def as_list(variables: Variables) -> list[Variable]:
    """One variable, or several, as a list."""
    return [variables] if isinstance(variables, Variable) else list(variables)


def toposort(outputs: Variables, inputs: Iterable[Variable] = ()) -> list[Apply]:
    """The operations that compute `outputs`, every one after those it needs.

    The walk stops at `inputs`. The order depends on the graph alone: operations appear in
    the order in which a depth-first walk from the first output finishes them.
    """
    # A set or a mapping is used as it is: the rewrite engine asks once a rule that fires.
    stop = inputs if isinstance(inputs, dict | set | frozenset) else set(inputs)
    done: set[Apply] = set()
    order: list[Apply] = []
    for output in as_list(outputs):
        first = output.owner
        if first is None or first in done or output in stop:
            continue
        stack = [(first, iter(first.inputs))]
        while stack:
            node, needs = stack[-1]
            for needed in needs:
                owner = needed.owner
                if owner is not None and owner not in done and needed not in stop:
                    stack.append((owner, iter(owner.inputs)))
                    break
            else:
                stack.pop()
                done.add(node)
                order.append(node)
    return order


def graph_inputs(outputs: Variables, inputs: Iterable[Variable] = ()) -> list[Variable]:
    """The leaves that `outputs` depend on, constants and shared included, in order of first use."""
    outputs = as_list(outputs)
    stop = set(inputs)
    found: dict[Variable, None] = {}
    for node in toposort(outputs, stop):
        for variable in node.inputs:
            if variable.owner is None or variable in stop:
                found.setdefault(variable)
    for variable in outputs:
        if variable.owner is None or variable in stop:
            found.setdefault(variable)
    return list(found)


def ancestors(outputs: Variables, inputs: Iterable[Variable] = ()) -> list[Variable]:
    """Every variable that `outputs` depend on, themselves included."""
    outputs = as_list(outputs)
    found: dict[Variable, None] = dict.fromkeys(graph_inputs(outputs, inputs))
    for node in toposort(outputs, inputs):
        for variable in node.outputs:
            found.setdefault(variable)
    return list(found)


def clients(
    outputs: Sequence[Variable], inputs: Iterable[Variable] = ()
) -> dict[Variable, list[tuple[Apply, int]]]:
    """Who reads each variable: pairs of an operation and the position of the input."""
    readers: dict[Variable, list[tuple[Apply, int]]] = {}
    for node in toposort(outputs, inputs):
        for position, variable in enumerate(node.inputs):
            readers.setdefault(variable, []).append((node, position))
    return readers


def rebuild(node: Apply, inputs: Sequence[Variable], keep_types: bool = False) -> Apply:
    """The same operation on other inputs; names and tags of the outputs are kept.

    With `keep_types` their types are, too, for inputs that are equal to the old ones: a type
    rule may have known the value of a constant which a copy of it does not show.
    """
    with source.made_for(node.origin):
        made = (
            Apply(node.op, inputs, [v.type for v in node.outputs])
            if keep_types
            else node.op.make_node(*inputs)
        )
    for old, new in zip(node.outputs, made.outputs, strict=True):
        new.name = old.name
        new.tag = old.tag
    return made


def clone(
    outputs: Sequence[Variable],
    replace: Mapping[Variable, Variable] | None = None,
    inputs: Iterable[Variable] = (),
) -> list[Variable]:
    """Copy the graph of `outputs`, taking each key of `replace` for its value.

    All replacements happen at once: a replacement's own graph is not replaced again.
    Parts that do not depend on a replaced variable are shared, not copied.
    """
    mapping: dict[Variable, Variable] = dict(replace or {})
    for node in toposort(outputs, [*inputs, *mapping]):
        new_inputs = [mapping.get(v, v) for v in node.inputs]
        if all(a is b for a, b in zip(new_inputs, node.inputs, strict=True)):
            continue
        made = rebuild(node, new_inputs)
        for old, new in zip(node.outputs, made.outputs, strict=True):
            mapping.setdefault(old, new)
    return [mapping.get(v, v) for v in outputs]


def path_between(
    start: Variable, end: Variable, follow: Callable[[Apply, int], bool]
) -> list[Apply]:
    """Operations on a shortest way from `start` up to `end`; empty when there is none.

    `follow` says whether the way may pass through an operation from its input number i.
    """
    readers = clients([end])
    came: dict[Variable, tuple[Variable, Apply]] = {}
    frontier = [start]
    while frontier and end not in came:
        following: list[Variable] = []
        for variable in frontier:
            for node, position in readers.get(variable, ()):
                if not follow(node, position):
                    continue
                for output in node.outputs:
                    if output not in came:
                        came[output] = (variable, node)
                        following.append(output)
        frontier = following
    way: list[Apply] = []
    at = end
    while at in came and at is not start:
        at, node = came[at]
        way.append(node)
    return way[::-1]


def as_variable(
    value: Any, dtype: str | None = None, name: str | None = None
) -> Variable:
    """A variable as it is; anything else as a constant.

    A Python float becomes floatX, a Python int int64; where they meet an array they adapt to
    it instead, which :mod:`workbench.core.ops.elementwise` sees to.

    Raises
    ------
    DTypeError
        The value is no array of numbers, or does not fit `dtype`.
    """
    if isinstance(value, Variable):
        return value
    return Constant(as_array(value, dtype), name)


def as_array(value: Any, dtype: str | None = None) -> Array:
    """The array a constant of this value has.

    Raises
    ------
    DTypeError
        The value is no array of numbers, or does not fit `dtype`.
    """
    if dtype is None and isinstance(value, float) and not isinstance(value, np.generic):
        dtype = config.floatX
    if isinstance(value, list | tuple) and any(isinstance(v, Variable) for v in value):
        raise DTypeError(
            f"{value!r} cannot become a constant: join variables with T.stack or T.concatenate."
        )
    try:
        array = np.asarray(value, dtype=dtype)
    except OverflowError as error:
        raise NumberRangeError(
            f"{value!r} cannot become a constant: {error}."
        ) from None
    except (ValueError, TypeError) as error:
        raise DTypeError(f"{value!r} cannot become a constant: {error}.") from None
    if array.dtype.kind not in "biufc":
        if isinstance(value, int):
            raise NumberRangeError(f"{value!r} fits into no dtype of integers.")
        raise DTypeError(f"{value!r} cannot become a constant: it holds no numbers.")
    return array


def shared(
    value: Any,
    name: str | None = None,
    strict: bool = False,
    allow_downcast: bool | None = None,
    borrow: bool = False,
    dtype: str | None = None,
    shape: Sequence[int | None] | None = None,
    broadcastable: Sequence[bool] | None = None,
) -> Shared:
    """A variable that keeps a value between calls.

    Parameters
    ----------
    value
        An array, a number, or nested lists; a Python float becomes floatX.
    name
        How it is called.
    strict
        ``set_value`` takes arrays of exactly this dtype only, and converts nothing.
    allow_downcast
        Which values ``set_value`` may round: True any, False none, None Python floats.
    borrow
        Keep the very array instead of a copy, when it is one of the right dtype.
    dtype
        Of the array, when it shall be another than that of `value`.
    shape
        Sizes that never change, ``None`` for others; all sizes are free by default.
    broadcastable
        In place of `shape`: True for an axis of size 1 that stretches.

    Raises
    ------
    DTypeError
        The value holds no numbers.
    """
    if isinstance(value, Variable):
        raise DTypeError(
            f"shared takes a value, got the variable {value.label()}; use its .eval() or get_value()."
        )
    data = (
        value if isinstance(value, np.ndarray) and not dtype else as_array(value, dtype)
    )
    if shape is None and broadcastable is None:
        shape = (None,) * data.ndim
    type = TensorType(data.dtype.name, shape, broadcastable)
    made = Shared(type, data, name, False, allow_downcast)
    made.set_value(data, borrow=borrow)
    made.strict = strict
    return made
