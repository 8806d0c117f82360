"""What is drawn of a graph: boxes and lines with their places, still without colours.

:func:`scene` chooses what to show and asks :mod:`workbench.viz.layout` where. The
static picture (:mod:`workbench.viz.picture`), the DOT text (:mod:`workbench.viz.dot`)
and the widget draw the same scene, so they agree on what is there.

Square boxes are variables, rounded ones operations. The compact form leaves out what a
reader of the user's code has no name for: unnamed intermediate values (their type then
stands in the operation) and constants that are merely reshaped. A constant is drawn
beside each of its readers, since one ``1.0`` with forty lines says nothing.

A graph inside an operation has a scene of its own; the operation says how much it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from workbench.viz.facts import Facts, part
from workbench.viz.layout import Point, layout

TITLE_SIZE, CAPTION_SIZE = 13.0, 10.5  # pixels
PADDING, LINE, MARGIN = 11.0, 14.0, 24.0
LONGEST_TITLE = 34  # characters

# Widths of characters in a typical sans serif font, as parts of the font's size.
NARROW, WIDE = "fijlrtI.,:;|!'()[]{}/ ", "mwMW@%—←→∂…"
WIDTHS = {**dict.fromkeys(NARROW, 0.36), **dict.fromkeys(WIDE, 0.92)}


@dataclass(frozen=True)
class Box:
    """One box.

    Attributes
    ----------
    node
        The number of the node in the facts.
    key, suffix
        Unique in the scene: the node's key and a suffix, ``.0`` for a variable computed
        by that node and ``/1`` for a further copy of a constant.
    shape : {"operation", "input", "shared", "constant", "variable", "result"}
        How it is drawn.
    title, caption
        Its one or two lines of text.
    marks
        What else it says of itself: ``gradient``, ``in-place``, ``host`` (runs in
        NumPy), ``unnamed``, ``holds`` (there is a graph inside).
    x, y, width, height
        Its middle and its size, in pixels.
    """

    node: int
    key: str
    suffix: str
    shape: str
    title: str
    caption: str
    marks: tuple[str, ...] = ()
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True)
class Line:
    """A line between two boxes, by number; `type` is that of the value it carries.

    `ports` say which output of its source and which input of its target it is; -1 where a
    box is no operation.
    """

    source: int
    target: int
    in_place: bool
    type: str
    route: list[Point]
    ports: tuple[int, int] = (-1, -1)


@dataclass(frozen=True)
class Scene:
    """Boxes and lines of one graph, and the size of the whole in pixels."""

    boxes: list[Box]
    lines: list[Line]
    width: float
    height: float
    hidden: int = 0

    def data(self) -> dict[str, Any]:
        """The scene as plain data: rows of numbers and words, to be short.

        A box is ``[node, suffix of its key, shape, title, caption, marks, x, y, width,
        height]``, a line ``[from, to, in place, coordinates]``, and its two ports when it
        leads to or from an operation that holds a graph.
        """
        holds = [
            box.shape == "operation" and "holds" in box.marks for box in self.boxes
        ]
        return {
            "boxes": [
                [box.node, box.suffix, box.shape, box.title, box.caption,
                list(box.marks),
                 round(box.x), round(box.y), round(box.width), round(box.height)]
                for box in self.boxes
            ],
            "lines": [
                [line.source, line.target, int(line.in_place),
                 [round(c) for point in line.route for c in point],
                 *(line.ports if holds[line.source] or holds[line.target] else ())]
                for line in self.lines
            ],
            "width": round(self.width),
            "height": round(self.height),
            "hidden": self.hidden,
        }  # fmt: skip


def scene(
    graph: Facts,
    compact: bool = True,
    kernels: list[Facts] | None = None,
    inside: int | None = None,
) -> Scene:
    """The scene of one graph of the facts, or of one of the graphs inside it."""
    held: dict[int, int] = {}
    for each in graph.get("insides") or []:
        held[each["of"]] = held.get(each["of"], 0) + each["operations"]
    first = 0 if inside is None else graph["insides"][inside]["nodes"][0]
    here = {node - first: count for node, count in held.items()}
    sketch = _Sketch(part(graph, inside), compact, kernels or [], here)
    sketch.draw()
    found = layout(
        [(box.width, box.height) for box in sketch.boxes],
        [(line.source, line.target) for line in sketch.lines],
    )
    boxes = [
        replace(
            box,
            node=box.node + first,
            x=round(x + MARGIN, 1),
            y=round(y + MARGIN, 1),
        )
        for box, (x, y) in zip(sketch.boxes, found.centres, strict=True)
    ]
    lines = [
        replace(line, route=[(x + MARGIN, y + MARGIN) for x, y in route])
        for line, route in zip(sketch.lines, found.routes, strict=True)
    ]
    width, height = found.width + 2 * MARGIN, found.height + 2 * MARGIN
    return Scene(boxes, lines, width, height, sketch.hidden)


class _Sketch:
    """Boxes and lines while they are chosen, without places."""

    def __init__(
        self,
        graph: Facts,
        compact: bool,
        kernels: list[Facts],
        held: dict[int, int],
    ) -> None:
        self.held = held
        self.nodes: list[Facts] = graph["nodes"]
        self.edges: list[list[int]] = graph["edges"]
        self.compact = compact
        self.kernels = kernels
        self.roles: dict[tuple[int, int], list[str]] = {}
        for node, output, role in graph["results"]:
            self.roles.setdefault((node, output), []).append(role)
        self.operands: dict[int, list[list[int]]] = {}
        for edge in self.edges:
            self.operands.setdefault(edge[2], []).append(edge)
        self.stands_for = self.reshaped_constants() if compact else {}
        self.boxes: list[Box] = []
        self.lines: list[Line] = []
        self.hidden = 0

    def reshaped_constants(self) -> dict[int, int]:
        """Operations that only add axes to a constant, and that constant."""
        found: dict[int, int] = {}
        for number, node in enumerate(self.nodes):
            operands = self.operands.get(number, [])
            if node["kind"] != "operation" or len(operands) != 1:
                continue
            source = found.get(operands[0][0], operands[0][0])
            is_result = (number, 0) in self.roles
            if (
                self.nodes[source]["kind"] == "constant"
                and node["label"].startswith("dimshuffle")
                and not is_result
            ):
                found[number] = source
        return found

    def draw(self) -> None:
        of_node: dict[int, int] = {}
        of_value: dict[tuple[int, int], int] = {}
        for number, node in enumerate(self.nodes):
            if number in self.stands_for:
                self.hidden += 1
            elif node["kind"] == "operation":
                of_node[number] = self.operation(number, node)
                for output, (name, type_) in enumerate(node["outputs"]):
                    if self.shows_value(number, output):
                        box = self.value(number, output, name, type_)
                        of_value[number, output] = box
                        self.join(of_node[number], box, False, type_, (output, -1))
            elif node["kind"] != "constant" or not self.compact:
                of_value[number, 0] = self.leaf(number, node)
            elif (number, 0) in self.roles:
                of_value[number, 0] = self.leaf(number, node)
        copies: dict[int, int] = {}
        for source, output, target, position, in_place in self.edges:
            if target in self.stands_for:
                continue
            start = self.stands_for.get(source, source)
            value = (start, 0 if start != source else output)
            drawn = of_value.get(value, of_node.get(start))
            if drawn is None:
                copy = copies.get(start, 0)
                copies[start] = copy + 1
                drawn = self.leaf(start, self.nodes[start], copy)
            type_ = self.nodes[source]["outputs"][output][1]
            ports = (output if value not in of_value else -1, position)
            self.join(drawn, of_node[target], bool(in_place), type_, ports)

    def join(
        self, source: int, target: int, taken: bool, type_: str, ports: tuple[int, int]
    ) -> None:
        self.lines.append(Line(source, target, taken, type_, [], ports))

    def shows_value(self, node: int, output: int) -> bool:
        if not self.compact or (node, output) in self.roles:
            return True
        return bool(self.nodes[node]["outputs"][output][0])

    def operation(self, number: int, node: Facts) -> int:
        unnamed = [
            type_
            for output, (_, type_) in enumerate(node["outputs"])
            if not self.shows_value(number, output)
        ]
        marks = [
            mark
            for mark, there in (
                ("gradient", "forward" in node),
                ("in-place", "in_place" in node),
                ("host", self.kernel_kind(node) == "host"),
                ("holds", number in self.held),
            )
            if there
        ]
        words = [", ".join(dict.fromkeys(unnamed)), "NumPy" * ("host" in marks)]
        if number in self.held:
            words.append(f"{self.held[number]} inside")
        caption = " · ".join(word for word in words if word)
        return self.add(number, "operation", node["label"], caption, marks=marks)

    def kernel_kind(self, node: Facts) -> str:
        number = node.get("kernel")
        return "" if number is None else self.kernels[number].get("kind", "")

    def leaf(self, number: int, node: Facts, copy: int = 0) -> int:
        _, type_ = node["outputs"][0]
        roles = [_role_word(role) for role in self.roles.get((number, 0), [])]
        if node["kind"] == "constant":
            is_plain = self.compact and not roles and node["label"] != "constant"
            words = [] if is_plain else [*roles, type_]
        else:
            what = node.get("stands_for", node["kind"])
            words = [*([what] if what != node["label"] else []), *roles, type_]
        suffix = f"/{copy}" if copy else ""
        shape = node["kind"]
        return self.add(number, shape, node["label"], " · ".join(words), suffix)

    def value(self, number: int, output: int, name: str, type_: str) -> int:
        roles = self.roles.get((number, output), [])
        updates = " ".join(role for role in roles if role.endswith("←"))
        title = " ".join(part for part in (updates, name) if part)
        words = [*dict.fromkeys(_role_word(role) for role in roles), type_]
        if not title:  # unnamed: its role says most, else its type
            title = words.pop(0)
        shape = "result" if roles else "variable"
        marks = [] if name or roles else ["unnamed"]
        caption = " · ".join(words)
        return self.add(number, shape, title, caption, f".{output}", marks)

    def add(
        self,
        number: int,
        shape: str,
        title: str,
        caption: str,
        suffix: str = "",
        marks: list[str] | None = None,
    ) -> int:
        title = _cut(title, LONGEST_TITLE)
        caption = _cut(caption, LONGEST_TITLE + 14)
        glyphs = 14.0 * len(marks or [])
        width = max(
            text_width(title, TITLE_SIZE) + glyphs, text_width(caption, CAPTION_SIZE)
        )
        height = LINE * (2 if caption else 1) + 10
        key = self.nodes[number]["key"] + suffix
        self.boxes.append(
            Box(
                number,
                key,
                suffix,
                shape,
                title,
                caption,
                tuple(marks or ()),
                width=round(max(width, 14.0) + 2 * PADDING, 1),
                height=height,
            )
        )
        return len(self.boxes) - 1


def text_width(text: str, size: float) -> float:
    """About how wide a text is, in pixels, for a font of `size` pixels."""
    return size * sum(
        WIDTHS.get(c, 0.56 if ord(c) < 0x2E80 else 1.0) + 0.1 * c.isupper()
        for c in text
    )


def curve(route: list[Point]) -> str:
    """The path of a line: leaves and arrives upright, straight through the rows."""
    parts = [f"M{route[0][0]:.1f} {route[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(route):
        if abs(x0 - x1) < 0.5:
            parts.append(f"L{x1:.1f} {y1:.1f}")
        else:
            middle = (y0 + y1) / 2
            parts.append(
                f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
            )
    return "".join(parts)


def _role_word(role: str) -> str:
    return "new value" if role.endswith("←") else role


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
