/**
 * Opening a box that holds a graph: the scene around makes room, and the scene inside is put
 * there. Room is made by moving things along x and along y by amounts that never decrease,
 * so that nothing changes its order and no gap gets smaller.
 */

import { unpack } from "./dom.js";

const HEADER = 36; // pixels for the title of an open box
const SIDE = 6; // left and right of what is inside
const TOUCH = 2; // places are rounded

/**
 * @typedef {[number, number, number, number[], boolean?]} LineRow
 * From, to, in place, coordinates, and whether it leads between inside and outside.
 */

/**
 * The boxes and lines to draw.
 * @param {object} scene  with the scenes of the graphs inside as `insides`
 * @param {object} graph
 * @param {Set<string>} open  keys of the operations that are open
 */
export function unfolded(scene, graph, open) {
  const holds = new Map();
  (graph.insides ?? []).forEach((inside, number) => {
    if (!holds.has(inside.of)) holds.set(inside.of, []);
    holds.get(inside.of).push(number);
  });
  return compose(scene, { scenes: scene.insides ?? [], graph, open, holds });
}

function compose(scene, all) {
  const boxes = unpack(scene, all.graph.nodes);
  const drawing = {
    boxes,
    lines: scene.lines.map(([from, to, taken, points, ...ports]) => ({
      from, to, taken, points: [...points], ports })),
    width: scene.width,
    height: scene.height,
  };
  const opened = [];
  for (const box of boxes) {
    const insides = box.shape === "operation" ? all.holds.get(box.node) : undefined;
    box.unit = Boolean(insides);
    if (!insides || !all.open.has(box.key)) continue;
    const parts = insides.map((number) => ({
      ...compose(all.scenes[number], all), inside: all.graph.insides[number] }));
    makeRoom(drawing, box, parts);
    box.about = parts.map((part) => part.inside.about).filter(Boolean).join(" · ");
    opened.push([box, parts]);
  }
  if (opened.length) endLines(drawing, opened);
  for (const [box, parts] of opened) putInside(drawing, box, parts);
  drawing.lines = drawing.lines.map((line) =>
    Array.isArray(line) ? line : [line.from, line.to, line.taken, line.points, line.leads]);
  return drawing;
}

/** Enlarge a box to hold some drawings, moving what is around it. */
function makeRoom(drawing, box, parts) {
  const wanted = parts.reduce((sum, part) => sum + part.width, 2 * SIDE);
  const tall = Math.max(...parts.map((part) => part.height)) + HEADER;
  const row = drawing.boxes.filter((other) => Math.abs(other.y - box.y) <= TOUCH);
  const top = Math.min(...row.map((other) => other.y - other.h / 2));
  const bottom = Math.max(...row.map((other) => other.y + other.h / 2));
  const down = Math.max(0, tall - (bottom - top));
  const right = Math.max(0, wanted - box.w);
  const start = box.x - box.w / 2;
  const { w, y: middle } = box;
  const moveX = (x) => x + right * Math.min(1, Math.max(0, (x - start) / w));
  const moveY = (y) => {
    if (Math.abs(y - middle) <= TOUCH) return y + down / 2;
    return y <= top + TOUCH ? y : y >= bottom - TOUCH ? y + down : y + down / 2;
  };
  for (const other of drawing.boxes) {
    other.x = moveX(other.x);
    other.y = moveY(other.y);
  }
  for (const line of drawing.lines)
    line.points = line.points.map((at, i) => (i % 2 ? moveY(at) : moveX(at)));
  Object.assign(box, { w: w + right, h: tall, open: true });
  drawing.width += right;
  drawing.height += down;
}

/**
 * Lines start and end at their boxes, wherever those are; beside an open box they go straight
 * up and down, so that none crosses it.
 */
function endLines({ boxes, lines }, opened) {
  const tallest = (y) => Math.max(0, ...opened
    .filter(([box]) => Math.abs(box.y - y) <= TOUCH).map(([box]) => box.h / 2));
  const reach = new Map();
  const half = (box) => {
    if (!reach.has(box.y)) reach.set(box.y, tallest(box.y));
    return reach.get(box.y);
  };
  for (const line of lines) {
    const [from, to] = [boxes[line.from], boxes[line.to]];
    const start = [from.x, from.y + from.h / 2];
    const end = [to.x, to.y - to.h / 2];
    if (half(from) > from.h / 2) start.push(from.x, from.y + half(from));
    if (half(to) > to.h / 2) end.unshift(to.x, to.y - half(to));
    line.points.splice(0, 2, ...start);
    line.points.splice(-2, 2, ...end);
  }
}

/** Put drawings into an open box, and lead its lines on to what they are inside. */
function putInside(drawing, box, parts) {
  const number = box.number;
  let left = box.x - parts.reduce((sum, part) => sum + part.width, 0) / 2;
  const top = box.y - box.h / 2 + HEADER;
  const inputs = new Map(); // for a port of the box, the boxes inside that are joined to it
  const outputs = new Map();
  for (const part of parts) {
    const first = drawing.boxes.length;
    for (const inner of part.boxes) {
      inner.x += left;
      inner.y += top;
      inner.number += first;
    }
    drawing.boxes.push(...part.boxes);
    for (const [from, to, taken, points, leads] of part.lines) {
      const moved = points.map((at, i) => at + (i % 2 ? top : left));
      drawing.lines.push([from + first, to + first, taken, moved, leads]);
    }
    join(part, inputs, outputs);
    left += part.width;
  }
  const led = [];
  for (const line of drawing.lines) {
    if (Array.isArray(line)) led.push(line);
    else if (line.to === number) led.push(...leadIn(line, inputs.get(line.ports[1]), box));
    else if (line.from === number) led.push(...leadOut(line, outputs.get(line.ports[0]), box));
    else led.push(line);
  }
  drawing.lines = led;
}

/** Which boxes of a part stand for which inputs and outputs of the box around it. */
function join({ boxes, inside }, inputs, outputs) {
  const byNode = new Map();
  for (const box of boxes) {
    if (!byNode.has(box.node)) byNode.set(box.node, []);
    byNode.get(box.node).push(box);
  }
  const [first] = inside.nodes;
  inside.reads.forEach(([ports], i) => {
    for (const port of ports)
      inputs.set(port, [...(inputs.get(port) ?? []), ...(byNode.get(first + i) ?? [])]);
  });
  inside.writes.forEach(([, ports], i) => {
    const [node, output] = inside.results[i];
    const own = byNode.get(node) ?? [];
    const box = own.find((each) => each.id.endsWith(`.${output}`)) ?? own.at(-1);
    for (const port of ports) if (box) outputs.set(port, box);
  });
}

/** A line to an open box, led on to each of the boxes inside that stand for what it brings. */
function leadIn(line, inner, box) {
  if (!inner?.length) return [line];
  const top = box.y - box.h / 2;
  const way = line.points.slice(0, -2);
  return inner.flatMap((end) => [
    { ...line, to: end.number, points: [...way, end.x, top] },
    { ...line, to: end.number, points: [end.x, top, end.x, end.y - end.h / 2], leads: true },
  ]);
}

/** A line from an open box, led there from the box inside whose value it takes. */
function leadOut(line, inner, box) {
  if (!inner) return [line];
  const bottom = box.y + box.h / 2;
  const way = line.points.slice(2);
  return [
    { ...line, from: inner.number, leads: true,
      points: [inner.x, inner.y + inner.h / 2, inner.x, bottom] },
    { ...line, from: inner.number, points: [inner.x, bottom, ...way] },
  ];
}
