"""A scene as a picture: SVG text that needs nothing else, no script and no style sheet.

The picture brings its own light ground, since it is shown as an image, and an image
cannot know whether the page around it is light or dark. Kinds are told apart by shape,
line and words; colour only helps:

=============  ===================================================
input          square box, thin line, the word
shared         square box, bar at the left, the word
constant       square box, dotted line
result         square box, thick line, the word
operation      rounded box; ``∂`` when it belongs to a gradient
in place       red double line with ``!``
graph inside   ``⊞`` before the operation's name
NumPy          operation without a kernel: dashed, the word
=============  ===================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from workbench.core.printing import plain
from workbench.viz.scene import (
    CAPTION_SIZE,
    MARGIN,
    TITLE_SIZE,
    Box,
    Line,
    Scene,
    curve,
    text_width,
)

FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
INK, MUTED, RULE, GROUND = "#1f2933", "#5b6775", "#93a0ad", "#ffffff"
RED = "#c62828"

FRAME, FRAME_TITLE = 8.0, 24.0  # around a graph inside an operation, in pixels

# Fill and stroke; strokes stand out from the ground by at least 3 to 1.
COLOURS = {
    "operation": ("#ffffff", "#7b8794"),
    "gradient": ("#f6f1fb", "#8a6bb1"),
    "input": ("#e5f4e8", "#3f8a52"),
    "shared": ("#e0f3f5", "#22808c"),
    "constant": ("#f4f5f7", "#7b8794"),
    "variable": ("#fdf7e3", "#a07d1c"),
    "unnamed": ("#fbfbfc", "#8b97a3"),
    "result": ("#e3edfb", "#2f68b4"),
}
WORDS = {
    "input": "input",
    "shared": "shared variable",
    "constant": "constant",
    "variable": "named value",
    "result": "result",
    "operation": "operation",
    "gradient": "of a gradient",
}


def svg(
    scene: Scene,
    title: str = "",
    description: str = "",
    legend: bool = False,
    insides: Sequence[tuple[str, Scene]] = (),
) -> str:
    """The picture of a scene.

    Parameters
    ----------
    scene
        What to draw.
    title, description
        For readers who do not see it.
    legend
        Whether to explain the shapes below the graph.
    insides
        Titles and scenes of the graphs inside operations, drawn in frames below.
    """
    below = 36.0 if legend else 0.0
    width = max(scene.width, legend_width() if legend else 60.0)
    frames = []
    top = scene.height
    for words, inner in insides:
        frames.append(draw_frame(words, inner, top))
        width = max(width, inner.width + 2 * FRAME)
        top += inner.height + FRAME_TITLE + FRAME
    height = top + below
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.1f} {height:.1f}" role="img" '
        f'font-family="{FONT}">',
        f"<title>{text(title)}</title><desc>{text(description)}</desc>",
        f'<rect width="100%" height="100%" rx="6" fill="{GROUND}"/>',
    ]
    parts += draw_scene(scene)
    parts += frames
    if legend:
        parts.append(draw_legend(top))
    parts.append("</svg>")
    return "\n".join(parts)


def draw_scene(scene: Scene) -> list[str]:
    """Lines, then those that matter more, then boxes."""
    plain_lines = [draw_line(line) for line in scene.lines if not line.in_place]
    in_place = [draw_line(line) for line in scene.lines if line.in_place]
    return [*plain_lines, *in_place, *map(draw_box, scene.boxes)]


def draw_frame(title: str, scene: Scene, top: float) -> str:
    """The scene of a graph inside an operation, in a frame with a title."""
    width, height = scene.width, scene.height + FRAME_TITLE
    inner = "\n".join(draw_scene(scene))
    return (
        f'<rect x="{FRAME}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="6" fill="none" stroke="{RULE}"/>'
        f'<text x="{FRAME + 12}" y="{top + 18:.1f}" font-size="{TITLE_SIZE}" '
        f'fill="{INK}">{text(title)}</text>'
        f'<g transform="translate({FRAME} {top + FRAME_TITLE:.1f})">{inner}</g>'
    )


def text(words: str) -> str:
    """Any text, safe inside an element."""
    return escape(plain(words))


def attribute(words: str) -> str:
    """Any text, quoted and safe as the value of an attribute."""
    return f'"{escape(plain(words))}"'


def draw_box(box: Box) -> str:
    """One box with its text; its key and shape are attributes, for tests and styles."""
    fill, stroke = COLOURS[box.shape]
    for mark in ("gradient", "unnamed"):
        if mark in box.marks:
            fill, stroke = COLOURS[mark]
    left, top = box.x - box.width / 2, box.y - box.height / 2
    radius = min(box.height / 2, 15.0) if box.shape == "operation" else 2.0
    thick = {"result": 2.0, "shared": 1.3}.get(box.shape, 1.1)
    dashes = {"constant": "2 2"}.get(box.shape, "")
    if "host" in box.marks:
        dashes = "5 3"
    parts = [
        f"<g data-sg-key={attribute(box.key)} data-sg-shape={attribute(box.shape)}>",
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="{radius:.1f}" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="{thick}"'
        + (f' stroke-dasharray="{dashes}"' if dashes else "")
        + "/>",
    ]
    if box.shape == "shared":
        parts.append(
            f'<path d="M{left + 4:.1f} {top:.1f}v{box.height:.1f}" stroke="{stroke}" '
            'stroke-width="1.3"/>'
        )
    title_y = box.y - 2 if box.caption else box.y + 4.5
    glyphs = ""
    if "holds" in box.marks:
        glyphs += f'<tspan fill="{MUTED}">⊞ </tspan>'
    if "gradient" in box.marks:
        glyphs += f'<tspan fill="{stroke}">∂ </tspan>'
    if "in-place" in box.marks:
        glyphs += f'<tspan fill="{RED}" font-weight="700">! </tspan>'
    is_name = box.shape not in ("operation", "constant") and "unnamed" not in box.marks
    weight = "600" if is_name else "400"
    parts.append(
        f'<text x="{box.x:.1f}" y="{title_y:.1f}" font-size="{TITLE_SIZE}" '
        f'font-weight="{weight}" text-anchor="middle" fill="{INK}">'
        f"{glyphs}{text(box.title)}</text>"
    )
    if box.caption:
        parts.append(
            f'<text x="{box.x:.1f}" y="{box.y + 12:.1f}" font-size="{CAPTION_SIZE}" '
            f'text-anchor="middle" fill="{MUTED}">{text(box.caption)}</text>'
        )
    return "".join([*parts, "</g>"])


def draw_line(line: Line) -> str:
    """One line with its arrow head; in place it is red, double, and carries a mark."""
    x, y = line.route[-1]
    path = curve([*line.route[:-1], (x, y - 4)])
    head = f"M{x - 3.6:.1f} {y - 7:.1f}L{x + 3.6:.1f} {y - 7:.1f}L{x:.1f} {y:.1f}Z"
    if not line.in_place:
        return (
            f'<path d="{path}" fill="none" stroke="{RULE}" stroke-width="1.1"/>'
            f'<path d="{head}" fill="{RULE}"/>'
        )
    (x0, y0), (x1, y1) = line.route[-2:]
    at_x, at_y = (x0 + x1) / 2, (y0 + y1) / 2
    return (
        f'<g data-sg-in-place="1"><path d="{path}" fill="none" stroke="{RED}" '
        f'stroke-width="4"/><path d="{path}" fill="none" stroke="{GROUND}" '
        f'stroke-width="1.6"/><path d="{head}" fill="{RED}"/>'
        f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="6.5" fill="{GROUND}" '
        f'stroke="{RED}"/><text x="{at_x:.1f}" y="{at_y + 4:.1f}" font-size="11" '
        f'font-weight="700" text-anchor="middle" fill="{RED}">!</text></g>'
    )


def draw_legend(top: float) -> str:
    """A row of small boxes, each with what it stands for."""
    parts, x = [], MARGIN
    for shape, words in WORDS.items():
        base = "operation" if shape == "gradient" else shape
        marks = ("gradient",) if shape == "gradient" else ()
        box = Box(0, "", "", base, "", "", marks, x + 11, top + 14, 22, 14)
        parts.append(draw_box(box).replace('data-sg-key="" ', ""))
        parts.append(_legend_text(x + 28, top + 18, words))
        x += 44 + text_width(words, CAPTION_SIZE)
    parts.append(
        f'<path d="M{x:.1f} {top + 14:.1f}h22" stroke="{RED}" stroke-width="4"/>'
        f'<path d="M{x:.1f} {top + 14:.1f}h22" stroke="{GROUND}" stroke-width="1.6"/>'
    )
    parts.append(_legend_text(x + 28, top + 18, "! in place"))
    return f'<g data-sg-legend="1">{"".join(parts)}</g>'


def legend_width() -> float:
    """How wide the legend is, in pixels."""
    words = [*WORDS.values(), "! in place"]
    return MARGIN + sum(44 + text_width(each, CAPTION_SIZE) for each in words)


def _legend_text(x: float, y: float, words: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{CAPTION_SIZE}" '
        f'fill="{MUTED}">{text(words)}</text>'
    )
