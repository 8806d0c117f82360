"""Execute notebooks: for the demo, for the tests, and to refresh the stored ones.

    python notebooks/execute.py         # every notebook here, in place
    python notebooks/execute.py 01*     # only some

A notebook runs in an empty folder, so that it leaves nothing behind, and on this very
Python, whatever kernels are installed. What is stored says nothing about the machine.
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
    notebook: NotebookNode,
    parameters: dict[str, Any] | None = None,
    on_cell: Callable[[NotebookNode], None] | None = None,
    on_text: Callable[[NotebookNode, str], None] | None = None,
) -> NotebookNode:
    """Run every cell of a notebook and put the outputs into it.

    Parameters
    ----------
    notebook
        It is changed, and returned.
    parameters
        Assigned in place of the cell tagged ``parameters``.
    on_cell
        Called with each cell before its turn.
    on_text
        Called with a cell and what it prints, as it comes.

    Raises
    ------
    CellExecutionError
        A cell failed. The outputs up to there, the error included, are in the notebook.
    """
    if parameters:
        set_parameters(notebook, parameters)
    with tempfile.TemporaryDirectory() as folder:
        client = Client(notebook, timeout=SECONDS, coalesce_streams=True)
        client.km = kernel_manager(folder)  # set now, so that the client stops it
        client.resources = {"metadata": {"path": folder}}
        client.on_text = on_text
        if on_cell is not None:
            client.on_cell_start = lambda cell, cell_index: on_cell(cell)
        client.execute()
    return notebook


class Client(NotebookClient):
    """A client that passes on what a cell prints while it runs."""

    on_text: Callable[[NotebookNode, str], None] | None = None

    def output(
        self, outs: list[NotebookNode], msg: Any, display_id: str, cell_index: int
    ) -> NotebookNode | None:
        if self.on_text is not None and msg["msg_type"] == "stream":
            self.on_text(self.nb.cells[cell_index], msg["content"]["text"])
        return super().output(outs, msg, display_id, cell_index)


def kernel_manager(folder: str) -> AsyncKernelManager:
    """What starts the kernel: this Python's own, whatever else is installed."""
    manager = AsyncKernelManager(kernel_name="python3")
    manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
    if os.name == "posix":  # sockets in a private folder rather than open ports
        manager.transport = "ipc"
        manager.ip = os.path.join(folder, "kernel")
    return manager


def set_parameters(notebook: NotebookNode, parameters: dict[str, Any]) -> None:
    """Replace the cell tagged ``parameters`` by assignments."""
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    if len(cells) != 1:
        raise ValueError(f"one cell is to be tagged 'parameters', not {len(cells)}")
    lines = [f"{name} = {value!r}" for name, value in parameters.items()]
    cells[0].source = "\n".join(lines)


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Leave out what only a live kernel can show, and what differs between machines."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
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
        notebook = execute(nbformat.read(path, as_version=4))
        nbformat.write(tidy(notebook), path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["*"]))
