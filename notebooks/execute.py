"""Execute notebooks: the demo and the tests do it, and so are the stored ones refreshed.

    python notebooks/execute.py         # every notebook here, in place
    python notebooks/execute.py 01*     # only some

A notebook runs in an empty folder, so that it leaves nothing behind, and on this very
Python, whatever kernels are installed. What is kept says nothing about the machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
SECONDS = 900  # for one cell
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(
    path: Path,
    parameters: dict[str, Any] | None = None,
    on_cell: Callable[[int, int], None] | None = None,
) -> NotebookNode:
    """The notebook with fresh outputs; the file is not changed.

    Parameters
    ----------
    path
        The notebook.
    parameters
        Assigned in place of the cell tagged ``parameters``.
    on_cell
        Called before each cell with its number, from 0, and the number of cells.

    Raises
    ------
    CellExecutionError
        A cell failed; the message holds the cell and its error.
    """
    notebook = nbformat.read(path, as_version=4)
    if parameters:
        set_parameters(notebook, parameters)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=SECONDS)
        client.km = kernel_manager(folder)  # set afterwards, the client stops it in the end
        client.resources = {"metadata": {"path": folder}}
        if on_cell is not None:
            cells = len(notebook.cells)
            client.on_cell_start = lambda cell, cell_index: on_cell(cell_index, cells)
        client.execute()
    return notebook


def kernel_manager(folder: str) -> AsyncKernelManager:
    """What starts the kernel: this Python's own, whatever else is installed."""
    manager = AsyncKernelManager(kernel_name="python3")
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
    if os.name == "posix":  # Sockets in a private folder rather than open ports.
        manager.transport = "ipc"
        manager.ip = os.path.join(folder, "kernel")
    return manager


def set_parameters(notebook: NotebookNode, parameters: dict[str, Any]) -> None:
    """Replace the cell tagged ``parameters`` by assignments."""
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    if len(cells) != 1:
        raise ValueError(f"one cell is tagged 'parameters', not {len(cells)}")
    lines = [f"{name} = {value!r}" for name, value in parameters.items()]
    cells[0].source = "\n".join(lines)


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Leave out what differs from run to run and machine to machine, and says nothing."""
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", ())]
    return notebook


def main(patterns: list[str]) -> int:
    """Execute the notebooks that match one of the patterns, in place."""
    paths = sorted({p for pattern in patterns for p in HERE.glob(f"{pattern}.ipynb")})
    if not paths:
        print(f"no notebook is called {' or '.join(patterns)}", file=sys.stderr)
        return 1
    for path in paths:
        print(path.name)
        nbformat.write(tidy(execute(path)), path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["*"]))
