"""`make demo`: execute the tutorial on handwritten digits, and say how it went.

The notebook is executed as it is, into ``build/demo``; then the kernel is asked for the
figures that are printed in the end.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from textwrap import indent
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks" / "02_logistic_regression.ipynb"
FOLDER = ROOT / "build" / "demo"

try:
    import nbformat
    from execute import execute, tidy
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from nbconvert import HTMLExporter
except ImportError as error:
    sys.exit(
        f"The demo runs a notebook, and {error.name} is not installed.\n"
        "  make demo                          sets up everything by itself; by hand:\n"
        '  pip install -e ".[notebook]"'
    )

QUESTION = """
import json

record = train.compilation
print(json.dumps({
    "images": len(learn.x),
    "epochs": round(epochs),
    "wrong": best_test,
    "before": len(record.before.nodes()),
    "after": len(record.after.nodes()),
    "steps": len(record.steps),
    "kernels": len(record.kernels),
    "reason": record.backend_reason,
    "lines": len(train.source.splitlines()),
    "seconds": min(ours),
    "ratio": ratio,
}))
"""

REPORT = """
Trained   a softmax on {images:,} handwritten digits, {epochs} times over;
          of 10,000 new ones it misreads {wrong:.2%}.
Compiled  {before} → {after} operations by {steps} rewrites{program}.
Speed     {seconds:.3f} s an epoch. The same loop in NumPy takes {ratio:.2f} times
          as long (best of 5 epochs in turn, one thread each).
Look      {page}
          is the notebook as it ran, in {took:.0f} s, with its pictures. To run it
          yourself, cell by cell, with graphs to click on: make lab
"""


def main() -> int:
    """Run the demo; returns the exit status."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy has what we have
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(QUESTION))
    print(f"{relative(NOTEBOOK)}\n", flush=True)
    start = time.monotonic()
    try:
        execute(notebook, on_cell=print_title, on_text=print_progress)
    except CellExecutionError as error:
        page = store(notebook)
        print(f"\nA cell failed. {error.ename}: {error.evalue}", file=sys.stderr)
        print(f"\nThe notebook up to there: {relative(page)}", file=sys.stderr)
        return 1
    except (DeadKernelError, RuntimeError, TimeoutError) as error:
        print(f"\nThe notebook's Python stopped: {error}", file=sys.stderr)
        return 1
    figures = json.loads(notebook.cells.pop().outputs[0].text)
    page = store(notebook)
    took = time.monotonic() - start
    print(
        REPORT.format(
            **figures, program=program(figures), page=relative(page), took=took
        )
    )
    return 0


def print_title(cell: Any) -> None:
    """Say where we are: the title of a section."""
    title = cell.source.partition("\n")[0]
    if cell.cell_type == "markdown" and title.startswith("## "):
        print(title.removeprefix("## "), flush=True)


def print_progress(cell: Any, text: str) -> None:
    """Show what a cell tagged ``progress`` prints, as it comes."""
    if "progress" in cell.metadata.get("tags", ()):
        print(indent(text, "  "), end="", flush=True)


def store(notebook: Any) -> Path:
    """Write the notebook and the page made of it; returns where the page is."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / NOTEBOOK.name
    nbformat.write(tidy(notebook), path)
    page = path.with_suffix(".html")
    page.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    return page


def program(figures: dict[str, Any]) -> str:
    """What the graph became."""
    if not figures["kernels"]:
        return f", run by NumPy: {figures['reason']}"
    return f", and those to {figures['kernels']} kernels, {figures['lines']} lines of C"


def relative(path: Path) -> Path:
    """A path as seen from where the demo was started, if it lies below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
