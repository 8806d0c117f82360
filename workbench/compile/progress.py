"""What a compilation is at, shown when it takes longer than a second.

Most functions are ready before anybody looks, and nothing is shown. A timer shows the
others: a bar of ``tqdm``, in a notebook or a terminal, that says the stage and, while
kernels are compiled, how many are. It goes away when the work is done. Where output is
neither, or tqdm is not installed, nothing is shown at all.
"""

from __future__ import annotations

import contextvars
import importlib
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

__all__ = ["Progress", "Watch", "unseen"]

SECONDS = 1.0
"""After this long a compilation is shown."""


class Progress(Protocol):
    """Told of each stage, and how much of it is done."""

    def __call__(self, stage: str, done: int = 0, of: int = 0) -> None:
        """The stage, and of how many parts so many are done."""


def unseen(stage: str, done: int = 0, of: int = 0) -> None:
    """The progress of what nobody watches."""


class Watch:
    """``with Watch("train") as progress:`` the progress of the block is shown if it takes long.

    Parameters
    ----------
    name
        Of what is made.
    seconds
        How long nothing is shown.
    make_bar
        Makes the bar, as the class ``tqdm`` does; None where there is none to be had.
    """

    def __init__(
        self,
        name: str,
        seconds: float = SECONDS,
        make_bar: Callable[[], Callable[..., Any] | None] | None = None,
    ) -> None:
        self.name, self.seconds = name, seconds
        self._make_bar = make_bar or _tqdm
        self._state = ("", 0, 0)
        self._bar: Any = None
        self._lock = threading.Lock()
        self._is_over = False

    def __call__(self, stage: str, done: int = 0, of: int = 0) -> None:
        """Say what is done now."""
        with self._lock:
            self._state = (stage, done, of)
            if self._bar is not None:
                self._update()

    def __enter__(self) -> Watch:
        # A notebook finds by the context which cell the bar belongs to.
        show = contextvars.copy_context().run
        self._timer = threading.Timer(self.seconds, show, [self._show])
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        with self._lock, suppress(Exception):
            self._is_over = True
            if self._bar is not None:
                self._bar.close()

    def _show(self) -> None:
        # Whatever a display may raise, what it is about goes on.
        with suppress(Exception):
            make = self._make_bar()
            with self._lock:
                if make is not None and not self._is_over:
                    form = "{desc} |{bar:20}| {elapsed}"
                    self._bar = make(
                        total=1, leave=False, disable=None, bar_format=form
                    )
                    self._update()

    def _update(self) -> None:
        stage, done, of = self._state
        count = f" {done} of {of} kernels" if of else ""
        with suppress(Exception):
            self._bar.total, self._bar.n = max(of, 1), done
            self._bar.set_description_str(f"{self.name}: {stage}{count}")


def _tqdm() -> Callable[..., Any] | None:
    if not (_is_notebook() or (sys.stderr is not None and sys.stderr.isatty())):
        return None
    try:
        made: Callable[..., Any] = importlib.import_module("tqdm.auto").tqdm
    except ImportError:
        return None
    return made


def _is_notebook() -> bool:
    """Whether a kernel runs this process, without importing anything to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
