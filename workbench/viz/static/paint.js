/**
 * A scene as SVG elements. Every box is a group that carries its key, so that pages, tests
 * and styles can find it; colours come from the style sheet.
 */

import { FATES, curve, svg } from "./dom.js";

export class SvgPainter {
  /**
   * @param {HTMLElement} host
   * @param {import("./view.js").Drawing} drawing
   */
  constructor(host, drawing) {
    this.drawing = drawing;
    this.layer = svg("g");
    this.element = svg("svg", { class: "sg-canvas", "aria-hidden": "true" }, this.layer);
    const lines = drawing.lines.map((line) => this.line(line));
    this.lines = lines;
    this.heads = svg("g", { class: "sg-heads" });
    this.boxes = drawing.boxes.map((box) => this.box(box));
    // An open box is the ground of the lines and boxes inside; only its title is on top.
    const grounds = this.boxes.filter((group, number) => drawing.boxes[number].open);
    const others = this.boxes.filter((group, number) => !drawing.boxes[number].open);
    this.layer.append(...grounds, ...lines, ...others, this.heads);
    host.append(this.element);
  }

  get kind() {
    return "svg";
  }

  line([, , inPlace, points, leads]) {
    const x = points.at(-2);
    const y = points.at(-1);
    const path = curve([...points.slice(0, -1), y - 4]);
    const head = svg("path", {
      class: "sg-head",
      d: `M${x - 3.6} ${y - 7}L${x + 3.6} ${y - 7}L${x} ${y}Z`,
    });
    const kind = leads ? "sg-line sg-leads" : "sg-line";
    if (!inPlace || leads) return svg("g", { class: kind }, svg("path", { d: path }), head);
    const atX = (points.at(-4) + x) / 2;
    const atY = (points.at(-3) + y) / 2;
    return svg(
      "g",
      { class: "sg-line sg-in-place", "data-sg-in-place": "1" },
      svg("path", { d: path }),
      svg("path", { d: path, class: "sg-inner" }),
      head,
      svg("circle", { cx: atX, cy: atY, r: 6.5 }),
      svg("text", { x: atX, y: atY + 4 }, "!"),
    );
  }

  box(box) {
    const { x, y, w, h, shape, marks } = box;
    const left = x - w / 2;
    const top = y - h / 2;
    const radius = shape === "operation" ? Math.min(h / 2, 15) : 2;
    const state = box.open ? ["sg-open"] : [];
    const group = svg("g", {
      class: ["sg-box", ...state, ...marks.map((mark) => `sg-${mark}`)].join(" "),
      "data-sg-key": box.key,
      "data-sg-id": box.id,
      "data-sg-shape": shape,
    });
    const frame = { x: left, y: top, width: w, height: h, rx: radius };
    const ring = {
      class: "sg-ring", x: left - 4, y: top - 4, width: w + 8, height: h + 8, rx: radius + 4,
    };
    group.append(svg("rect", ring), svg("rect", { class: "sg-frame", ...frame }));
    if (shape === "shared")
      group.append(svg("path", { class: "sg-bar", d: `M${left + 4} ${top}v${h}` }));
    const caption = box.open ? box.about : box.caption;
    const line = box.open ? top + 16 : caption ? y - 2 : y + 4.5;
    const title = svg("text", { class: "sg-title", x, y: line });
    if (box.unit)
      title.append(svg("tspan", { class: "sg-glyph" }, box.open ? "⊟ " : "⊞ "));
    if (marks.includes("gradient")) title.append(svg("tspan", { class: "sg-glyph" }, "∂ "));
    if (marks.includes("in-place")) title.append(svg("tspan", { class: "sg-alarm" }, "! "));
    title.append(box.title);
    const words = box.open ? this.heads : group;
    words.append(title);
    if (caption)
      words.append(svg("text", { class: "sg-caption", x, y: line + 14 }, caption));
    const fate = this.drawing.fates[box.number];
    if (fate && fate !== "kept") {
      group.append(
        svg(
          "g",
          { class: "sg-fate" },
          svg("circle", { cx: left + 2, cy: top + 2, r: 7 }),
          svg("text", { x: left + 2, y: top + 6 }, FATES[fate][0]),
        ),
      );
    }
    return group;
  }

  /** @param {{x: number, y: number, k: number}} at */
  place(at) {
    this.layer.setAttribute("transform", `translate(${at.x} ${at.y}) scale(${at.k})`);
  }

  /** @param {import("./view.js").Marks} marks */
  mark(marks) {
    this.boxes.forEach((group, number) => {
      const { key } = this.drawing.boxes[number];
      group.classList.toggle("sg-selected", marks.selected.has(key));
      group.classList.toggle("sg-linked", marks.linked.has(key));
      group.classList.toggle("sg-hit", marks.hits.has(key));
      group.classList.toggle("sg-dim", Boolean(marks.only) && !marks.only.has(key));
    });
    this.lines.forEach((group, number) => {
      const [source, target] = this.drawing.lines[number];
      const ends = [source, target].map((end) => this.drawing.boxes[end].key);
      group.classList.toggle("sg-active", ends.some((key) => marks.selected.has(key)));
      const dim = Boolean(marks.only) && !ends.every((key) => marks.only.has(key));
      group.classList.toggle("sg-dim", dim);
    });
  }

  /** The box under a pointer event, or undefined. */
  at(event) {
    const group = event.target.closest?.("[data-sg-id]");
    return group ? this.drawing.boxes[this.boxes.indexOf(group)] : undefined;
  }

  resize() {}

  remove() {
    this.element.remove();
  }
}
