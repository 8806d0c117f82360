"""Operations that note when they run, for tests of what a choice leaves out."""

from collections import Counter

import workbench as wb
import workbench.tensor as T


class Counted:
    """Functions of a vector with derivatives, and how often each was run since `clear`."""

    def __init__(self):
        self.runs = Counter()

    def clear(self):
        self.runs.clear()

    def ran(self):
        """The names of those that ran."""
        return set(self.runs)

    def square(self, name):
        """x squared, whose derivative runs as ``name'``, and that in turn as ``name''``."""

        @wb.as_op(T.dvector(), T.dvector(), lambda _, shapes: shapes)
        def second(g):
            self.runs[f"{name}''"] += 1
            return 2 * g

        @wb.as_op(
            [T.dvector(), T.dvector()],
            T.dvector(),
            lambda _, shapes: shapes[:1],
            grad=lambda inputs, grads: [
                second(inputs[1] * grads[0]),
                2 * inputs[0] * grads[0],
            ],
        )
        def first(x, g):
            self.runs[f"{name}'"] += 1
            return 2 * x * g

        @wb.as_op(
            T.dvector(),
            T.dvector(),
            lambda _, shapes: shapes,
            grad=lambda inputs, grads: [first(inputs[0], grads[0])],
        )
        def function(x):
            self.runs[name] += 1
            return x * x

        return function
