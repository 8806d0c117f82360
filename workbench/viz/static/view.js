/**
 * One graph that can be panned and zoomed: a painter, a viewport and a small overview map.
 */

import { button, html } from "./dom.js";
import { SvgPainter } from "./paint.js";
import { CanvasPainter } from "./canvas.js";
import { unfolded } from "./unfold.js";

const MOST_ELEMENTS = 800; // boxes drawn as elements; more go on a canvas
const COMFORTABLE = 0.75; // scale from which everything may be shown at once
const SMALLEST_FIT = 0.6; // so that a long chain does not become a sliver
const SMALLEST = 0.04;
const LARGEST = 3;

/**
 * @typedef {{boxes: ReturnType<typeof import("./dom.js").unpack>, lines: [number, number, number, number[]][],
 *            fates: (string | undefined)[], width: number, height: number}} Drawing
 * @typedef {{selected: Set<string>, linked: Set<string>, hits: Set<string>,
 *            only: Set<string> | null}} Marks
 */

export class GraphView {
  /**
   * @param {object} scene
   * @param {object} graph
   * @param {{title: string, fates: boolean, pick: (key: string | null, add: boolean) => void,
   *          open: Set<string>, toggle: (key: string) => void,
   *          follow?: (at: {x: number, y: number, k: number}) => void}} options
   */
  constructor(scene, graph, options) {
    this.scene = scene;
    this.graph = graph;
    this.options = options;
    this.at = { x: 0, y: 0, k: 1 };
    this.stage = html("div", { class: "sg-stage" });
    this.map = html("canvas", { class: "sg-map", title: "Overview: drag to move" });
    this.element = html(
      "div",
      { class: "sg-view", "data-sg-graph": graph.title },
      this.stage,
      options.title ? html("div", { class: "sg-view-title" }, options.title) : "",
      this.map,
    );
    this.draw(options.open);
    this.listen();
    this.sizes = new ResizeObserver(() => this.resized());
    this.sizes.observe(this.stage);
  }

  /** Draw the scene with some operations open. */
  draw(open) {
    const { graph, options } = this;
    const drawn = unfolded(this.scene, graph, open);
    const fate = (box) => options.fates && box.shape === "operation" && !box.open
      ? graph.nodes[box.node].fate : undefined;
    /** @type {Drawing} */
    this.drawing = { ...drawn, fates: drawn.boxes.map(fate) };
    this.painter?.remove();
    const Painter = drawn.boxes.length > MOST_ELEMENTS ? CanvasPainter : SvgPainter;
    this.painter = new Painter(this.stage, this.drawing);
    this.mapBase = null;
  }

  /** Open these operations and no others; what changes keeps its place, or the middle does. */
  unfold(open) {
    const { clientWidth: w, clientHeight: h } = this.stage;
    const { x, y, k } = this.at;
    const { boxes } = this.drawing;
    const changed = boxes.filter((box) => box.unit && box.open !== open.has(box.key));
    const away = (box) => Math.hypot(box.x * k + x - w / 2, box.y * k + y - h / 2);
    const nearest = (best, box) => (!best || away(box) < away(best) ? box : best);
    const old = (changed.length ? changed : boxes).reduce(nearest, undefined);
    this.draw(open);
    this.painter.resize();
    const now = old && this.drawing.boxes.find((box) => box.id === old.id);
    const top = (box) => box.y - box.h / 2;
    if (now) this.place({ k, x: x + (old.x - now.x) * k, y: y + (top(old) - top(now)) * k });
    else this.place(this.at);
    if (now?.open) this.bringIn(now);
    if (this.marks) this.mark(this.marks);
  }

  /** Move an open box into the pane, its top at least. */
  bringIn({ x, y, w, h }) {
    const { clientWidth, clientHeight } = this.stage;
    const at = this.at;
    const [left, right] = [(x - w / 2) * at.k + at.x, (x + w / 2) * at.k + at.x];
    const [top, bottom] = [(y - h / 2) * at.k + at.y, (y + h / 2) * at.k + at.y];
    const fits = right - left < clientWidth;
    const dx = fits ? Math.max(0, 8 - left) - Math.max(0, right - clientWidth + 8) : 0;
    const up = Math.min(Math.max(0, bottom - clientHeight + 8), Math.max(0, top - 8));
    this.pan(dx, Math.max(0, 8 - top) - up);
  }

  resized() {
    const { clientWidth, clientHeight } = this.stage;
    if (!clientWidth || !clientHeight) return;
    this.painter.resize();
    if (!this.shown) {
      this.shown = true;
      this.fit();
      this.pending?.();
    }
    this.drawMap();
  }

  listen() {
    this.stage.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      const start = { x: event.clientX, y: event.clientY };
      const from = { ...this.at };
      let moved = false;
      this.stage.setPointerCapture(event.pointerId);
      const box = this.painter.at(event);
      this.pressed = box;
      const move = (next) => {
        const dx = next.clientX - start.x;
        const dy = next.clientY - start.y;
        moved ||= Math.hypot(dx, dy) > 4;
        if (moved) this.place({ ...from, x: from.x + dx, y: from.y + dy });
      };
      const end = () => {
        this.stage.removeEventListener("pointermove", move);
        if (!moved) this.options.pick(box ? box.key : null, event.shiftKey);
      };
      this.stage.addEventListener("pointermove", move);
      this.stage.addEventListener("pointerup", end, { once: true });
      this.stage.addEventListener("pointercancel", end, { once: true });
    });
    this.stage.addEventListener("dblclick", () => {
      if (this.pressed?.unit) this.options.toggle(this.pressed.key);
    });
    this.stage.addEventListener(
      "wheel",
      (event) => {
        // A plain wheel scrolls the notebook.
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const frame = this.stage.getBoundingClientRect();
        const factor = Math.exp(-event.deltaY * 0.0022);
        this.zoom(factor, event.clientX - frame.left, event.clientY - frame.top);
      },
      { passive: false },
    );
    const centre = (event) => {
      const k = this.mapScale();
      const frame = this.map.getBoundingClientRect();
      this.centreOn((event.clientX - frame.left) / k, (event.clientY - frame.top) / k);
    };
    this.map.addEventListener("pointerdown", (event) => {
      this.map.setPointerCapture(event.pointerId);
      centre(event);
      this.map.addEventListener("pointermove", centre);
      const stop = () => this.map.removeEventListener("pointermove", centre);
      this.map.addEventListener("pointerup", stop, { once: true });
    });
  }

  /** Show the world so that point (0, 0) is at (x, y), k times enlarged. */
  place(at, quiet = false) {
    this.at = at;
    this.painter.place(at);
    this.drawMap();
    if (!quiet) this.options.follow?.(at);
  }

  zoom(factor, x = this.stage.clientWidth / 2, y = this.stage.clientHeight / 2) {
    const k = Math.min(LARGEST, Math.max(SMALLEST, this.at.k * factor));
    const ratio = k / this.at.k;
    this.place({ k, x: x - (x - this.at.x) * ratio, y: y - (y - this.at.y) * ratio });
  }

  pan(dx, dy) {
    this.place({ ...this.at, x: this.at.x + dx, y: this.at.y + dy });
  }

  /** All of it when that is readable, else its top, as wide as the pane or readable. */
  fit() {
    const { clientWidth: w, clientHeight: h } = this.stage;
    const { width, height } = this.drawing;
    const whole = Math.min(w / width, h / height, 1);
    const k = whole >= COMFORTABLE ? whole : Math.min(1, Math.max(SMALLEST_FIT, w / width));
    const wide = width * k > w;
    const focus = wide ? this.middleOfTop() : width / 2;
    this.place({ k, x: w / 2 - focus * k, y: height * k > h ? 0 : (h - height * k) / 2 });
  }

  middleOfTop() {
    const top = this.drawing.boxes.filter((box) => box.y < 60 / SMALLEST_FIT);
    return top.length ? top[Math.floor(top.length / 2)].x : this.drawing.width / 2;
  }

  centreOn(x, y, k = this.at.k) {
    const { clientWidth: w, clientHeight: h } = this.stage;
    this.place({ k, x: w / 2 - x * k, y: h / 2 - y * k });
  }

  /** Bring the boxes of some keys into view; without `zoomIn`, only when they are not. */
  reveal(keys, zoomIn = false) {
    if (!this.shown) {
      this.pending = () => this.reveal(keys, zoomIn);
      return;
    }
    const boxes = this.boxesOf(keys);
    if (!boxes.length) return;
    const { clientWidth: w, clientHeight: h } = this.stage;
    const left = Math.min(...boxes.map((b) => b.x - b.w / 2));
    const right = Math.max(...boxes.map((b) => b.x + b.w / 2));
    const top = Math.min(...boxes.map((b) => b.y - b.h / 2));
    const bottom = Math.max(...boxes.map((b) => b.y + b.h / 2));
    const { x, y, k } = this.at;
    const inside =
      left * k + x > 8 && right * k + x < w - 8 && top * k + y > 8 && bottom * k + y < h - 8;
    if (inside && !zoomIn && k > 0.3) return;
    const fits = Math.min(w / (right - left + 80), h / (bottom - top + 80), 1);
    if (fits < SMALLEST_FIT) this.centreOn(boxes[0].x, boxes[0].y, SMALLEST_FIT);
    else this.centreOn((left + right) / 2, (top + bottom) / 2, Math.min(fits, Math.max(k, 0.7)));
  }

  boxesOf(keys) {
    const wanted = new Set(keys);
    return this.drawing.boxes.filter((box) => wanted.has(box.key));
  }

  /** @param {Marks} marks */
  mark(marks) {
    this.marks = marks;
    this.painter.mark(marks);
    this.drawMap();
  }

  /**
   * The key one step away from a node.
   * @param {string} key
   * @param {"up" | "down" | "left" | "right"} where
   */
  step(key, where) {
    const { boxes, lines } = this.drawing;
    const own = boxes.filter((box) => box.key === key);
    if (!own.length) return boxes[0]?.key;
    const numbers = new Set(own.map((box) => box.number));
    let near;
    if (where === "up")
      near = lines.filter(([, t]) => numbers.has(t)).map(([s]) => boxes[s]);
    else if (where === "down")
      near = lines.filter(([s]) => numbers.has(s)).map(([, t]) => boxes[t]);
    else {
      const sign = where === "left" ? -1 : 1;
      near = boxes.filter(
        (box) => Math.abs(box.y - own[0].y) < 20 && sign * (box.x - own[0].x) > 1);
    }
    near = near.filter((box) => box.key !== key);
    near.sort((a, b) => Math.abs(a.x - own[0].x) - Math.abs(b.x - own[0].x));
    return near[0]?.key;
  }

  mapScale() {
    const { width, height } = this.drawing;
    return Math.min(120 / width, 110 / height);
  }

  drawMap() {
    const { clientWidth: w, clientHeight: h } = this.stage;
    const { width, height, boxes } = this.drawing;
    const { x, y, k } = this.at;
    const whole = width * k <= w + 1 && height * k <= h + 1;
    this.map.hidden = whole;
    if (whole) return;
    const scale = this.mapScale();
    const context = this.map.getContext("2d");
    const style = getComputedStyle(this.stage);
    const colour = (name) => style.getPropertyValue(`--sg-${name}`).trim();
    const [mapWidth, mapHeight] = [Math.max(width * scale, 8), Math.max(height * scale, 8)];
    if (!this.mapBase || this.mapTheme !== colour("ink")) this.paintMapBase(scale, colour);
    this.map.width = mapWidth;
    this.map.height = mapHeight;
    context.drawImage(this.mapBase, 0, 0);
    context.fillStyle = colour("accent");
    for (const key of this.marks?.selected ?? [])
      for (const box of boxes.length > 2000 ? [] : this.boxesOf([key]))
        context.fillRect(box.x * scale - 2, box.y * scale - 2, 5, 4);
    context.strokeStyle = colour("accent");
    context.lineWidth = 1.5;
    context.strokeRect((-x / k) * scale, (-y / k) * scale, (w / k) * scale, (h / k) * scale);
  }

  paintMapBase(scale, colour) {
    this.mapTheme = colour("ink");
    this.mapBase = document.createElement("canvas");
    this.mapBase.width = Math.max(this.drawing.width * scale, 8);
    this.mapBase.height = Math.max(this.drawing.height * scale, 8);
    const context = this.mapBase.getContext("2d");
    for (const box of this.drawing.boxes) {
      context.fillStyle = colour(
        box.open ? "edge" : box.shape === "operation" ? "rule" : `${box.shape}-line`);
      const [w, h] = [Math.max(1, box.w * scale), Math.max(1, box.h * scale)];
      context.fillRect(box.x * scale - w / 2, box.y * scale - h / 2, w, h);
    }
  }

  /** What a test may ask. */
  state() {
    return {
      title: this.graph.title,
      renderer: this.painter.kind,
      boxes: this.drawing.boxes.length,
      open: this.drawing.boxes.filter((box) => box.open).map((box) => box.key),
      at: { ...this.at },
      linked: [...(this.marks?.linked ?? [])],
    };
  }

  remove() {
    this.sizes.disconnect();
    this.painter.remove();
    this.element.remove();
  }
}

/** Buttons that float over the graph. */
export function viewButtons(views, compact, toggleCompact) {
  const all = (act) => () => views().forEach(act);
  return html(
    "div",
    { class: "sg-buttons", role: "group", "aria-label": "Zoom" },
    button("+", "Zoom in (+)", all((view) => view.zoom(1.3))),
    button("−", "Zoom out (−)", all((view) => view.zoom(1 / 1.3))),
    button("⤢", "Fit (0)", all((view) => view.fit())),
    toggleCompact
      ? button(compact ? "◫" : "▣", compact ? "Show every value (c)" : "Hide unnamed values (c)",
          toggleCompact, { "aria-pressed": String(!compact) })
      : "",
  );
}
