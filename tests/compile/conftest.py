"""What tests of compiled functions share."""

import pytest

from tests.interrupts import MODES
from workbench.compile.c import runner


@pytest.fixture(params=MODES)
def mode(request, monkeypatch):
    """A mode, or FAST_RUN called through the runner that needs no Python headers."""
    if request.param == "cffi":
        monkeypatch.setattr(runner, "_extension", lambda: None)
        return "FAST_RUN"
    return request.param
