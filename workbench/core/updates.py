"""Updates gathered piece by piece, checked where they are written down."""

from __future__ import annotations

from typing import Any

from workbench.core.errors import UpdateTypeError
from workbench.core.graph import Shared


class OrderedUpdates(dict[Shared, Any]):
    """A dict from shared variables to their next values, in the order they were given.

    ``a + b`` is both; a variable in both must have one and the same next value.

    Examples
    --------
    >>> import workbench as wb
    >>> n, m = wb.shared(0, "n"), wb.shared(0, "m")
    >>> updates = OrderedUpdates({n: n + 1}) + OrderedUpdates({m: m + 2})
    >>> count = wb.function([], [], updates=updates)
    >>> _ = count()
    >>> int(n.get_value()), int(m.get_value())
    (1, 2)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.update(*args, **kwargs)

    def __setitem__(self, shared: Shared, value: Any) -> None:
        if not isinstance(shared, Shared):
            raise UpdateTypeError(
                f"only shared variables can be updated, {shared!r} is none."
            )
        super().__setitem__(shared, value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Take over pairs or another dict; each key is checked."""
        for shared, value in dict(*args, **kwargs).items():
            self[shared] = value

    def __add__(self, other: dict[Shared, Any]) -> OrderedUpdates:
        both = OrderedUpdates(self)
        for shared, value in other.items():
            if shared in both and both[shared] is not value:
                raise KeyError(f"{shared.label()} has two different updates.")
            both[shared] = value
        return both

    def __radd__(self, other: dict[Shared, Any]) -> OrderedUpdates:
        return OrderedUpdates(other) + self
