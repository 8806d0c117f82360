"""A graph as a Graphviz picture: ``pydotprint``.

The same scene as everywhere, written as DOT text by the ``graphviz`` package, with
types on the edges, and drawn by the ``dot`` program, or by the one that pip can
install. Where neither is there, the picture is our own and a warning says so. ``dot``
takes minutes for large graphs of gradients, so those are drawn by our own layout as
well.
"""

from __future__ import annotations

import base64
import html
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.core.lazy import lazy
from workbench.core.printing import plain
from workbench.viz.facts import Facts, facts
from workbench.viz.picture import COLOURS, INK, MUTED, RED, RULE, svg
from workbench.viz.scene import Box, Scene, scene

FORMATS = ("svg", "png", "dot")
MOST_BOXES = 400  # beyond, `dot` may take minutes
SECONDS = 60  # after which `dot` is stopped

MISSING = """\
no Graphviz program was found, so the picture is Workbench's own.
Install one with `pip install graphviz graphviz-pure`, or your system's `graphviz`."""


class Picture:
    """A picture of a graph: shows itself in a notebook, and can be saved.

    Attributes
    ----------
    dot
        The picture as DOT text.
    svg
        The picture as SVG text.
    """

    def __init__(
        self,
        drawn: Scene,
        title: str,
        dot: str,
        insides: Sequence[tuple[str, Scene]] = (),
    ) -> None:
        self.title = title
        self.dot = dot
        self._scene = drawn
        self._insides = insides

    @property
    def _n_boxes(self) -> int:
        scenes = [self._scene, *(inner for _, inner in self._insides)]
        return sum(len(each.boxes) for each in scenes)

    @lazy
    def svg(self) -> str:
        program = find_program()
        if self._n_boxes > MOST_BOXES:
            warnings.warn(
                f"{self._n_boxes} boxes are too many for Graphviz; "
                "the picture is Workbench's own.",
                stacklevel=2,
            )
        elif program is None:
            warnings.warn(MISSING, stacklevel=2)
        else:
            try:
                return _without_prolog(render(program, self.dot, "svg").decode())
            except RuntimeError as error:
                words = f"{error}; the picture is Workbench's own."
                warnings.warn(words, stacklevel=2)
        return svg(self._scene, self.title, legend=True, insides=self._insides)

    def save(self, path: str | Path, format: str | None = None) -> Path:
        """Write the picture; its format is the file name's, or `format`.

        Raises
        ------
        ValueError
            The format is none of svg, png and dot.
        RuntimeError
            PNG needs a Graphviz program, and there is none.
        """
        path = Path(path)
        format = format or path.suffix.removeprefix(".").lower()
        if format not in FORMATS:
            raise ValueError(
                f"a picture is saved as one of {', '.join(FORMATS)}, not {format!r}: "
                f"name the file like {path.stem}.svg, or pass format='svg'."
            )
        if format == "png":
            program = find_program()
            if program is None:
                raise RuntimeError(f"PNG cannot be written: {MISSING}")
            path.write_bytes(render(program, self.dot, "png"))
        else:
            text = self.svg if format == "svg" else self.dot
            path.write_text(text, encoding="utf-8")
        return path

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> dict[str, str]:
        image = base64.b64encode(self.svg.encode()).decode()
        # As an image: safe whatever the picture holds, and shown where SVG is not
        # trusted.
        page = (
            f'<img alt="{_words(self.title)}" src="data:image/svg+xml;base64,{image}">'
        )
        return {"text/html": page, "image/svg+xml": self.svg, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"<picture of {self.title}: {self._n_boxes} boxes>"


def pydotprint(
    fct: Any,
    outfile: str | Path | None = None,
    format: str | None = None,
    compact: bool = True,
    with_ids: bool = False,
    before: bool = False,
    legend: bool = False,
    scan_graphs: bool = False,
) -> Picture:
    """Draw a graph with Graphviz.

    Parameters
    ----------
    fct
        A compiled function, a variable, a list of variables, or a graph.
    outfile
        Where to save it as well; the ending is the format.
    format : {"svg", "png", "dot"}
        The format of `outfile` when its ending does not say it.
    compact
        Whether to leave out unnamed intermediate values.
    with_ids
        Whether operations show their place in the order of execution.
    before
        For a compiled function: the graph as it was built, not as it is run.
    legend
        Whether to explain the shapes.
    scan_graphs
        Whether to draw the graphs inside operations as well, as the step of a loop, each
        in a frame. Dashed lines lead from what is outside to what it is inside, and from
        the results to the operation.
    """
    found = facts(fct)
    graph = found["graphs"][0 if before else -1]
    kernels = found.get("kernels")
    drawn = scene(graph, compact, kernels)
    insides = [
        scene(graph, compact, kernels, k)
        for k in range(len(graph["insides"]) if scan_graphs else 0)
    ]
    title = f"{found['name']}, {graph['operations']} operations"
    text = dot_text(drawn, graph, title, with_ids, legend, insides)
    named = [
        (_heading(each), inner)
        for each, inner in zip(graph["insides"], insides, strict=False)
    ]
    picture = Picture(drawn, title, text, named)
    if outfile is not None:
        picture.save(outfile, format)
    return picture


def dot_text(
    drawn: Scene,
    graph: Facts,
    title: str,
    with_ids: bool = False,
    legend: bool = False,
    insides: Sequence[Scene] = (),
) -> str:
    """The scene as DOT text, with the scenes of the graphs inside it."""
    try:
        import graphviz
    except ImportError as error:
        raise ImportError(
            "pydotprint writes DOT text with the graphviz package: "
            "pip install graphviz. workbench.show draws without it."
        ) from error
    found = graphviz.Digraph(comment=plain(title).replace("\n", " "))
    font = {"fontname": "Helvetica,Arial,sans-serif"}
    found.attr(
        "node", fontsize="11", margin="0.12,0.05", height="0.3", fontcolor=INK, **font
    )
    found.attr(
        "edge", fontsize="8", arrowsize="0.6", color=RULE, fontcolor=MUTED, **font
    )
    _draw(found, drawn, graph, "n", with_ids)
    for number, inner in enumerate(insides):
        with found.subgraph(name=f"cluster_{number}") as frame:
            name = _escape(_heading(graph["insides"][number]))
            frame.attr(label=name, style="rounded", color=RULE, fontsize="11", **font)
            _draw(frame, inner, graph, f"i{number}n", with_ids)
    for start, end in _links(drawn, graph, insides):
        found.edge(start, end, style="dashed")
    if legend:
        words = [
            "square: a variable (dotted: constant, double: shared, thick: result)",
            "rounded: an operation (∂: of a gradient)",
            "red, double, !: the operation writes over its input",
        ]
        found.attr(label="\\l".join(map(_escape, words)) + "\\l", fontsize="9", **font)
    return str(found.source)


def _draw(
    found: Any, drawn: Scene, graph: Facts, prefix: str, with_ids: bool = False
) -> None:
    """Add the boxes and lines of a scene to a DOT graph."""
    for number, box in enumerate(drawn.boxes):
        node = graph["nodes"][box.node]
        order = f"#{node['number']}  " if with_ids and "number" in node else ""
        found.node(f"{prefix}{number}", _escape(order + _label(box)), **_style(box))
    for line in drawn.lines:
        style = {"label": _escape(line.type)}
        if line.in_place:
            style |= {
                "color": f"{RED}:invis:{RED}",
                "fontcolor": RED,
                "label": _escape(f"! in place\n{line.type}"),
            }
        found.edge(f"{prefix}{line.source}", f"{prefix}{line.target}", **style)


def _links(
    drawn: Scene, graph: Facts, insides: Sequence[Scene]
) -> Iterator[tuple[str, str]]:
    """From what is outside to the inputs inside, and from the results to the operation."""
    names: dict[tuple[int, str], str] = {}
    for prefix, each in [
        ("n", drawn),
        *((f"i{k}n", inner) for k, inner in enumerate(insides)),
    ]:
        for number, box in enumerate(each.boxes):
            names.setdefault((box.node, box.suffix), f"{prefix}{number}")

    def name(node: int, output: int) -> str | None:
        return names.get((node, f".{output}")) or names.get((node, ""))

    for inside in graph["insides"][: len(insides)]:
        of, first = inside["of"], inside["nodes"][0]
        sources = {
            position: (source, output)
            for source, output, target, position, _ in graph["edges"]
            if target == of
        }
        pairs = [
            (name(*sources[place]), name(first + i, 0))
            for i, (places, _) in enumerate(inside["reads"])
            for place in places
        ]
        pairs += [
            (name(node, k), names.get((of, ""))) for node, k, _ in inside["results"]
        ]
        for start, end in dict.fromkeys(pairs):
            if start is not None and end is not None:
                yield start, end


def _heading(inside: Facts) -> str:
    """The title of a frame: the operation, and when what is inside is run."""
    return "  ".join(part for part in (inside["title"], inside["about"]) if part)


def _label(box: Box) -> str:
    title = "∂ " * ("gradient" in box.marks) + box.title
    if box.shape == "operation":
        return title  # its type is on the edges
    return f"{title}\n{box.caption}" if box.caption else title


def _style(box: Box) -> dict[str, str]:
    fill, stroke = COLOURS["gradient" if "gradient" in box.marks else box.shape]
    style = {"fillcolor": fill, "color": stroke, "shape": "box", "style": "filled"}
    if box.shape == "operation":
        style["style"] = "filled,rounded" + (",dashed" if "host" in box.marks else "")
    elif box.shape == "constant":
        style["style"] = "filled,dotted"
    elif box.shape == "shared":
        style["peripheries"] = "2"
    elif box.shape == "result":
        style["penwidth"] = "2"
    return style


def _escape(text: str) -> str:
    """Text in which DOT sees no escapes but line ends, and no HTML."""
    lines = [plain(line).replace("\\", "\\\\") for line in text.split("\n")]
    joined = "\\n".join(lines)
    # The package takes <...> for HTML-like labels; a leading blank prevents that.
    return f" {joined}" if joined.startswith("<") else joined


def _words(text: str) -> str:
    return html.escape(plain(text))


# --- the program ---------------------------------------------------------------------


def find_program() -> str | None:
    """The Graphviz program: ``dot``, else the one beside this Python, else ``None``."""
    own = Path(sys.executable).parent
    return (
        shutil.which("dot")
        or shutil.which("graphviz-pure")
        or shutil.which("graphviz-pure", path=str(own))
    )


def render(program: str, dot: str, format: str) -> bytes:
    """Run the program on DOT text.

    Raises
    ------
    RuntimeError
        It failed, or took more than a minute.
    """
    try:
        done = subprocess.run(
            [program, f"-T{format}"],
            input=dot.encode(),
            capture_output=True,
            timeout=SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"{program} failed: {words}") from None
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{program} took more than {SECONDS} seconds") from None
    return done.stdout


def _without_prolog(text: str) -> str:
    return re.sub(r"^.*?(?=<svg\b)", "", text, count=1, flags=re.DOTALL)
