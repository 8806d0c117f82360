"""Graphs, functions and shared values in one file: a pickle, with every array beside it.

The file is a zip archive: ``graph.pickle`` for the objects, an ``.npy`` for each array, so that
values can be read by anything that reads NumPy's format. Loading runs code that the file
names, which is why it must be asked for in so many words.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core import pickling
from workbench.core.collecting import paused_collector
from workbench.core.errors import WorkbenchError

pickling.attach()

OBJECTS = "graph.pickle"


class UntrustedFileError(WorkbenchError, ValueError):
    """A file that can run code was to be loaded without a word that it is trusted."""


def dump(value: Any, path: str | Path) -> None:
    """Save variables, functions, shared variables, or lists and dicts of them.

    What is one object in `value` is one when loaded: functions that share a variable go on
    sharing it.

    Examples
    --------
    >>> import tempfile, workbench as wb
    >>> w = wb.shared([1.0, 2.0], "w")
    >>> path = tempfile.mkdtemp() + "/model.zip"
    >>> wb.dump({"weights": w}, path)
    >>> wb.load(path, trusted=True)["weights"].get_value()
    array([1., 2.])
    """
    objects = io.BytesIO()
    with zipfile.ZipFile(path, "w") as archive, paused_collector():
        _Pickler(objects, archive).dump(value)
        archive.writestr(OBJECTS, objects.getvalue())


def load(path: str | Path, trusted: bool = False) -> Any:
    """What :func:`dump` saved.

    Parameters
    ----------
    trusted
        True: the file comes from somebody you would also run a program from. A pickle can
        run any code while it is loaded.

    Raises
    ------
    UntrustedFileError
        `trusted` was not given.
    """
    if not trusted:
        raise UntrustedFileError(
            f"{path} can run any code when it is loaded; pass trusted=True if you made it, or trust who did."
        )
    with zipfile.ZipFile(path) as archive, paused_collector():
        return _Unpickler(io.BytesIO(archive.read(OBJECTS)), archive).load()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, archive: zipfile.ZipFile) -> None:
        super().__init__(file, protocol=4)
        self._archive = archive
        self._names: dict[int, str] = {}
        self._kept: list[
            Any
        ] = []  # an identity is good for as long as its object lives

    def persistent_id(self, obj: Any) -> str | None:
        if type(obj) is not np.ndarray or obj.dtype.hasobject:
            return None
        if id(obj) not in self._names:
            name = f"array{len(self._names)}.npy"
            with self._archive.open(name, "w") as file:
                np.lib.format.write_array(file, obj, allow_pickle=False)
            self._names[id(obj)] = name
            self._kept.append(obj)
        return self._names[id(obj)]


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, archive: zipfile.ZipFile) -> None:
        super().__init__(file)
        self._archive = archive
        self._arrays: dict[str, Any] = {}

    def persistent_load(self, pid: Any) -> Any:
        if pid not in self._arrays:
            with self._archive.open(pid) as file:
                self._arrays[pid] = np.lib.format.read_array(file, allow_pickle=False)
        return self._arrays[pid]
