"""Tracebacks that stop at the user's line.

An error of ours says where it comes from and what to do. The frames of this package in
between say nothing to the person in the notebook, so they are left out;
``wb.config.traceback = "full"`` brings them back.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from workbench.config import config
from workbench.core.errors import WorkbenchError
from workbench.core.source import PACKAGE


def without_our_frames(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of this package; as it is when no other is left."""
    links = []
    link = traceback
    while link is not None:
        links.append(link)
        link = link.tb_next
    shortened = None
    for link in reversed(links):
        if not link.tb_frame.f_code.co_filename.startswith(PACKAGE):
            shortened = TracebackType(
                shortened, link.tb_frame, link.tb_lasti, link.tb_lineno
            )
    return traceback if shortened is None else shortened


class ShortTracebacks:
    """Shows errors of ours in a shell without the frames of this package."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.before = ((), None)

    def install(self) -> None:
        """Take over from whatever showed such errors."""
        self.before = (self.shell.custom_exceptions, self.shell.CustomTB)
        self.shell.set_custom_exc((WorkbenchError,), self.show)

    def remove(self) -> None:
        """Give back what was there before."""
        self.shell.custom_exceptions, self.shell.CustomTB = self.before

    @staticmethod
    def show(
        shell: Any,
        kind: type[BaseException],
        error: BaseException,
        traceback: TracebackType,
        tb_offset: int | None = None,
    ) -> None:
        """What IPython calls with an error."""
        if config.traceback == "short":
            shown = without_our_frames(traceback)
        else:
            shown = traceback
        shell.showtraceback((kind, error, shown), tb_offset=tb_offset)
