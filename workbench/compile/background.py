"""A function that NumPy runs until its C program is there: ``compile="background"``.

A thread schedules, writes and compiles the program; nobody waits. It changes nothing of
the function: what it made is taken over by a thread that calls the function, before that
call begins. So the results of one call all come from one back end, and a call with
updates never runs beside one of the other back end.

Read next: `workbench.compile.callable`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.compile.jobs import Job
from workbench.compile.numpy_program import NumpyProgram
from workbench.compile.pipeline import CProgram

if TYPE_CHECKING:
    from workbench.compile.callable import Function


class Background:
    """Runs a function: on NumPy, and from the first call after `job` has ended on C.

    Parameters
    ----------
    numpy
        The function as NumPy runs it.
    job
        Makes the C program.
    """

    def __init__(
        self, function: Function, numpy: NumpyProgram, job: Job[CProgram]
    ) -> None:
        self.function, self.numpy, self.job = function, numpy, job
        self._is_settled = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """One call, on the one back end or the other."""
        with (
            self.numpy.turn()
        ):  # No call on NumPy is under way once it has been settled.
            if not self.settle():
                return self.numpy(*args, **kwargs)
        return self.function.run(*args, **kwargs)

    def settle(self) -> bool:
        """Take over what the job made, if it has ended; whether it has."""
        if self._is_settled or not self.job.is_done:
            return self._is_settled
        with self.numpy.alone():
            if not self._is_settled:
                self.function.adopt(self.job.result, self.numpy)
                self._is_settled = True
        return True
