/**
 * A scene on a canvas, for graphs of more boxes than a page moves smoothly as elements.
 * Only what is in view is drawn, and from afar boxes without their text.
 */

const READABLE = 0.45; // scale from which text is drawn

export class CanvasPainter {
  /**
   * @param {HTMLElement} host
   * @param {import("./view.js").Drawing} drawing
   */
  constructor(host, drawing) {
    this.drawing = drawing;
    this.host = host;
    this.element = document.createElement("canvas");
    this.element.className = "sg-canvas";
    this.element.setAttribute("aria-hidden", "true");
    this.at_ = { x: 0, y: 0, k: 1 };
    this.marks = { selected: new Set(), linked: new Set(), hits: new Set(), only: null };
    this.waiting = 0;
    host.append(this.element);
    // Lines by their top, so that a view of few rows need not look at all of them.
    this.spans = drawing.lines.map(([, , , points], number) => {
      const xs = points.filter((_, i) => i % 2 === 0);
      return [number, Math.min(...xs), points[1], Math.max(...xs), points.at(-1)];
    });
    this.resize();
  }

  get kind() {
    return "canvas";
  }

  resize() {
    const { clientWidth, clientHeight } = this.host;
    const ratio = window.devicePixelRatio || 1;
    this.element.width = Math.max(1, clientWidth * ratio);
    this.element.height = Math.max(1, clientHeight * ratio);
    this.request();
  }

  place(at) {
    this.at_ = { ...at };
    this.request();
  }

  mark(marks) {
    this.marks = marks;
    this.request();
  }

  request() {
    this.waiting ||= requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  /** The style sheet's colours, read again whenever the theme may have changed. */
  colours() {
    const style = getComputedStyle(this.host);
    const theme = style.getPropertyValue("--sg-ground") + style.getPropertyValue("--sg-ink");
    if (this.theme !== theme) {
      this.theme = theme;
      this.palette = new Proxy({}, {
        get: (known, name) => (known[name] ??= style.getPropertyValue(`--sg-${name}`).trim()),
      });
    }
    return this.palette;
  }

  draw() {
    const context = this.element.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    const { x, y, k } = this.at_;
    const colour = this.colours();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.element.width, this.element.height);
    context.setTransform(ratio * k, 0, 0, ratio * k, ratio * x, ratio * y);
    const view = [
      -x / k, -y / k,
      (this.element.width / ratio - x) / k, (this.element.height / ratio - y) / k,
    ];
    // An open box is the ground on which the lines and boxes inside are drawn.
    this.drawBoxes(context, view, colour, k, true);
    this.drawLines(context, view, colour);
    this.drawBoxes(context, view, colour, k, false);
  }

  drawLines(context, [left, top, right, bottom], colour) {
    const { boxes, lines } = this.drawing;
    const { selected, only } = this.marks;
    for (const [emphasis, dashes] of [[false, false], [false, true], [true, false]]) {
      context.beginPath();
      for (const [number, x0, y0, x1, y1] of this.spans) {
        if (x1 < left || x0 > right || y1 < top || y0 > bottom) continue;
        const [source, target, inPlace, points, leads] = lines[number];
        const ends = [boxes[source].key, boxes[target].key];
        if (only && !ends.every((key) => only.has(key))) continue;
        const active = inPlace || ends.some((key) => selected.has(key));
        if (Boolean(active) !== emphasis || (!emphasis && Boolean(leads) !== dashes)) continue;
        context.moveTo(points[0], points[1]);
        for (let i = 2; i < points.length; i += 2) {
          const middle = (points[i - 1] + points[i + 1]) / 2;
          context.bezierCurveTo(
            points[i - 2], middle, points[i], middle, points[i], points[i + 1],
          );
        }
      }
      context.strokeStyle = emphasis ? colour.accent : colour.rule;
      context.lineWidth = emphasis ? 2 : 1;
      context.setLineDash(dashes ? [3, 4] : []);
      context.stroke();
    }
  }

  drawBoxes(context, [left, top, right, bottom], colour, k, open) {
    const { selected, linked, hits, only } = this.marks;
    context.textAlign = "center";
    for (const box of this.drawing.boxes) {
      const { x, y, w, h, key } = box;
      if (Boolean(box.open) !== open) continue;
      if (x + w / 2 < left || x - w / 2 > right || y + h / 2 < top || y - h / 2 > bottom)
        continue;
      const kind = ["gradient", "unnamed"].find((m) => box.marks.includes(m)) ?? box.shape;
      context.globalAlpha = only && !only.has(key) ? 0.2 : 1;
      context.beginPath();
      const radius = box.shape === "operation" ? Math.min(h / 2, 15) : 2;
      context.roundRect(x - w / 2, y - h / 2, w, h, radius);
      context.fillStyle = open ? colour.panel : colour[`${kind}-fill`];
      context.fill();
      const ring = selected.has(key) || linked.has(key) || hits.has(key);
      context.setLineDash(box.shape === "constant" ? [2, 2] : []);
      context.lineWidth = ring ? Math.max(3, 2.5 / k) : box.shape === "result" ? 2 : 1.1;
      context.strokeStyle = selected.has(key)
        ? colour.accent
        : ring ? colour.hit : colour[`${kind}-line`];
      context.stroke();
      if (k < READABLE) continue;
      context.setLineDash([]);
      context.fillStyle = colour.ink;
      const named = !["operation", "constant"].includes(box.shape);
      context.font = `${named ? 600 : 400} 13px system-ui, sans-serif`;
      const caption = open ? box.about : box.caption;
      const line = open ? y - h / 2 + 16 : caption ? y - 2 : y + 4.5;
      const sign = (box.unit ? (open ? "⊟ " : "⊞ ") : "")
        + (box.marks.includes("gradient") ? "∂ " : "")
        + (box.marks.includes("in-place") ? "! " : "");
      context.fillText(sign + box.title, x, line);
      if (!caption) continue;
      context.fillStyle = colour.muted;
      context.font = "10.5px system-ui, sans-serif";
      context.fillText(caption, x, line + 14);
    }
    context.globalAlpha = 1;
  }

  at(event) {
    const frame = this.element.getBoundingClientRect();
    const x = (event.clientX - frame.left - this.at_.x) / this.at_.k;
    const y = (event.clientY - frame.top - this.at_.y) / this.at_.k;
    return this.drawing.boxes.findLast(
      (box) => Math.abs(box.x - x) <= box.w / 2 && Math.abs(box.y - y) <= box.h / 2,
    );
  }

  remove() {
    cancelAnimationFrame(this.waiting);
    this.element.remove();
  }
}
