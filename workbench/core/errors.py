"""The errors people meet, and the one shape all their texts have.

An error class is ours and Python's at once, so ``except ValueError`` still catches a
:class:`ShapeError`. A message answers, in this order: what happened with the user's names
and numbers; the user's line with carets under the place; a table of the inputs; the
operation and how it came to be; when it happened; a hint; where to look. :class:`Report`
lays the parts out; what is not known is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.core.source import Location


class WorkbenchError(Exception):
    """Base of all errors raised on purpose.

    Attributes
    ----------
    node
        The operation at fault, an ``Apply``, or ``None``.
    inputs
        The values that reached it, where there were any.
    line
        The user's :class:`~workbench.core.source.Location`, or ``None``.
    """

    node: Any = None
    inputs: Sequence[Any] = ()
    line: Location | None = None


class ShapeError(WorkbenchError, ValueError):
    """Sizes or numbers of axes do not fit together."""


class AxisError(ShapeError, IndexError):
    """An axis is named that the array does not have; NumPy's error is both kinds, too."""


class ZeroStepError(ShapeError, ZeroDivisionError):
    """A range has a step of 0, or an axis is to be cut in 0 parts."""


class ParameterError(WorkbenchError, ValueError):
    """A parameter lies outside the domain of its function, as a probability above 1."""


class DTypeError(WorkbenchError, TypeError):
    """A value or an operation has the wrong dtype."""


class NumberRangeError(DTypeError, OverflowError):
    """A Python integer lies outside the dtype it should take."""


class ArgumentError(WorkbenchError, TypeError):
    """A compiled function was called with too few, too many or unknown arguments."""


class OutOfRangeError(WorkbenchError, IndexError):
    """An index lies outside its axis."""


class PlaceError(OutOfRangeError, ValueError):
    """A number that says a place or a choice lies outside; for NumPy a matter of values."""


class IndexKindError(DTypeError, IndexError):
    """An index is neither an integer nor a slice, a mask or an array of integers."""


class IndexShapeError(ShapeError, IndexError):
    """Index arrays do not fit together, or a mask does not fit what it indexes."""


class MissingInputError(WorkbenchError, ValueError):
    """A graph needs the value of a variable that is neither input, shared nor constant."""


class UnusedInputError(WorkbenchError, ValueError):
    """An input of a function is not needed by any of its outputs."""


class DisconnectedInputError(WorkbenchError, ValueError):
    """A gradient was asked with respect to something the cost does not depend on."""


class GradientError(WorkbenchError, TypeError):
    """No gradient exists: the cost is no float scalar, or an operation has none."""


class UpdateTypeError(WorkbenchError, TypeError):
    """The new value of a shared variable is of another type than the variable."""


class NanError(WorkbenchError, FloatingPointError):
    """A value became NaN or infinite where a guard was set."""


class VerificationError(WorkbenchError, AssertionError):
    """Optimised and plain graph disagree: a fault of ours, found by mode DEBUG."""


class ConditionError(WorkbenchError, AssertionError):
    """A condition that the graph asserts does not hold."""


class OutOfMemoryError(WorkbenchError, MemoryError):
    """There is no memory for a value."""


class CompileError(WorkbenchError, RuntimeError):
    """Generated code could not be compiled or loaded."""


class CompilerWarning(UserWarning):
    """The C compiler or its cache cannot be used as asked; a slower way is taken."""


class Report:
    """The text of an error, part by part.

    An error raised with a report, not with its text, can be completed by whoever knows more.

    Attributes
    ----------
    headline
        One sentence with the user's names and numbers.
    location, note
        The user's line, and what to say beside the carets.
    parts
        Pairs of a label and a text; without a label it goes on from the one above.

    Examples
    --------
    >>> report = Report("x has 784 columns but W has 748 rows.")
    >>> _ = report.add("hint", "axis 1 of x must equal axis 0 of W.")
    >>> print(report)
    x has 784 columns but W has 748 rows.
      hint   axis 1 of x must equal axis 0 of W.
    """

    def __init__(
        self, headline: str, location: Location | None = None, note: str = ""
    ) -> None:
        self.headline = headline
        self.location = location
        self.note = note
        self.parts: list[tuple[str, str]] = []

    def add(self, label: str, text: str) -> Report:
        """Add a labelled line, `label` at most six characters; an empty text adds nothing."""
        if text:
            self.parts.append((label, text))
        return self

    def table(
        self, label: str, header: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> Report:
        """Add rows under a header, in columns; the label stands before the header."""
        if not rows:
            return self
        widths = [
            max(len(row[i]) for row in (header, *rows)) for i in range(len(header))
        ]
        lines = [
            "  ".join(
                cell.ljust(w) for cell, w in zip(row, widths, strict=True)
            ).rstrip()
            for row in rows
        ]
        self.parts.append(
            (
                label,
                "  ".join(
                    c.ljust(w) for c, w in zip(header, widths, strict=True)
                ).rstrip(),
            )
        )
        self.parts.extend(("", line) for line in lines)
        return self

    def __repr__(self) -> str:
        return f"Report({self.headline!r})"

    def __str__(self) -> str:
        lines = [self.headline]
        if self.location is not None:
            lines += ["  " + line for line in self.location.excerpt(self.note)]
        lines += [f"  {label:<6} {text}" for label, text in self.parts]
        return "\n".join(lines)
