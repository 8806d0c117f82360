"""``%load_ext workbench``: everything that is registered with IPython, in one place.

An :class:`Extension` belongs to one shell. Loading twice changes nothing; unloading
takes everything away again.
"""

from __future__ import annotations

import ast
from typing import Any
from weakref import WeakKeyDictionary

from workbench.magics.lines import Lines
from workbench.magics.options import describe, usage_error
from workbench.magics.symgraph import (
    HELP,
    MAGIC,
    OPTIONS,
    Watch,
    is_symgraph,
    make_panel,
    parse_first_line,
)
from workbench.magics.tracebacks import ShortTracebacks
from workbench.viz.show import Panel

_loaded: WeakKeyDictionary[Any, Extension] = WeakKeyDictionary()


def load_ipython_extension(shell: Any) -> None:
    """Register the magics with a shell; IPython calls this."""
    if shell not in _loaded:
        _loaded[shell] = Extension(shell)
        _loaded[shell].load()


def unload_ipython_extension(shell: Any) -> None:
    """Take away from a shell all that was registered."""
    extension = _loaded.pop(shell, None)
    if extension is not None:
        extension.unload()


class Extension:
    """The magics and hooks of one shell, and the panels it has shown."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.panels: dict[str, Panel] = {}
        self.watch: Watch | None = None
        self.is_running = False
        self.lines = Lines(shell).magics()
        self.tracebacks = ShortTracebacks(shell)
        self.magics = {"line": self.lines, "cell": {"symgraph": self.nested()}}

    def load(self) -> None:
        for kind, magics in self.magics.items():
            for name, magic in magics.items():
                self.shell.register_magic_function(magic, kind, name)
        self.shell.input_transformers_cleanup.append(self.blank_first_line)
        self.shell.events.register("pre_run_cell", self.before_cell)
        self.shell.events.register("post_run_cell", self.after_cell)
        self.tracebacks.install()

    def unload(self) -> None:
        for kind, magics in self.magics.items():
            for name in magics:
                self.shell.magics_manager.magics[kind].pop(name, None)
        self.shell.input_transformers_cleanup.remove(self.blank_first_line)
        self.shell.events.unregister("pre_run_cell", self.before_cell)
        self.shell.events.unregister("post_run_cell", self.after_cell)
        self.tracebacks.remove()

    # --- the cell ---------------------------------------------------------------------

    def blank_first_line(self, lines: list[str]) -> list[str]:
        """The input transformer: without the first line the cell is an ordinary one.

        It is only blanked, so that every other line keeps its number. Called for each
        cell, also for those that are merely checked for completeness.
        """
        if not lines or not is_symgraph(lines[0]) or self.is_running:
            return lines
        try:
            parse_first_line(lines[0])
        except usage_error() as error:
            return [
                "from IPython.core.error import UsageError\n",
                f"raise UsageError({str(error)!r})\n",
            ]
        return ["\n", *lines[1:]]

    def before_cell(self, info: Any) -> None:
        """The hook before each cell."""
        self.is_running = True
        self.forget_after_reset()
        first = (info.raw_cell or "").lstrip().partition("\n")[0]
        if not is_symgraph(first):
            return
        try:
            self.watch = Watch(parse_first_line(first), self.shell.user_ns)
        except usage_error():
            self.watch = None  # The cell itself raises it.

    def after_cell(self, result: Any) -> None:
        """The hook after each cell, failed ones too."""
        self.is_running = False
        watch, self.watch = self.watch, None
        if watch is None:
            return
        watch.end()
        if result.error_before_exec is None:
            self.show(watch, stopped_at(result.error_in_exec))

    def show(self, watch: Watch, note: str = "") -> None:
        """Make and show the panel; a fault of ours must not fail the user's cell."""
        name = watch.options["name"]
        try:
            panel = make_panel(watch, self.panels.get(name) if name else None, note)
            if panel is None:
                if not note and not watch.options["quiet"]:
                    print(
                        f"{MAGIC}: no symbolic value got a name, no function was made."
                    )
                return
            self.shell.user_ns["_sym"] = panel
            if name:
                self.panels[name] = panel
            if not watch.options["quiet"]:
                panel._ipython_display_()
        except Exception as error:
            print(f"{MAGIC}: the panel failed: {type(error).__name__}: {error}")

    def forget_after_reset(self) -> None:
        """``%reset`` clears the user's names; what we keep beside them goes as well."""
        if self.panels and "_sym" not in self.shell.user_ns:
            self.panels.clear()

    # --- below another cell magic ----------------------------------------------------

    def nested(self) -> Any:
        """The registered magic: help, completion, and use below another cell magic."""

        def symgraph(line: str, cell: str | None = None) -> None:
            watch = Watch(parse_first_line(f"{MAGIC} {line}"), self.shell.user_ns)
            note = ""
            try:
                run_cell_body(self.shell, cell or "")
            except BaseException as error:
                note = stopped_at(error)
                raise
            finally:
                watch.end()
                self.show(
                    watch, note or "lines are counted from the one below %%symgraph"
                )

        symgraph.__doc__ = HELP.format(options=describe(OPTIONS))
        return symgraph


def run_cell_body(shell: Any, cell: str) -> None:
    """Run code as a cell: its last expression is displayed, errors go to the caller."""
    code = shell.transform_cell(cell)
    name = shell.compile.cache(code, shell.execution_count)
    tree = ast.parse(code, name)
    last = tree.body[-1:] if tree.body and isinstance(tree.body[-1], ast.Expr) else []
    first = tree.body[: len(tree.body) - len(last)]
    exec(compile(ast.Module(first, []), name, "exec"), shell.user_ns)
    if last:
        exec(compile(ast.Interactive(last), name, "single"), shell.user_ns)


def stopped_at(error: BaseException | None) -> str:
    """Why and where a cell stopped: ``stopped at line 3: ShapeError``; else nothing."""
    if error is None:
        return ""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "<module>":
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f" at line {line}" if line is not None else ""
    return f"stopped{where}: {type(error).__name__}"
