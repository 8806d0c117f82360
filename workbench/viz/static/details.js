/**
 * The pane that says all about one node, or about one rewrite; and the legend that stands
 * there as long as nothing is selected.
 */

import { FATES, count, html, svg } from "./dom.js";
import { withComments } from "./lists.js";
import { holders } from "./search.js";

/**
 * @typedef {{pick: (key: string) => void, pickStep: (step: number) => void,
 *            toggle: (key: string) => void, open: (tab: string) => void, other: (key: string) => void}} Actions
 */

/**
 * @param {object} target
 * @param {object} graph  the graph that is in front
 * @param {string | undefined} key
 * @param {number} step
 * @param {Actions} act
 */
export function details(target, graph, key, step, act) {
  if (step) {
    const found = target.steps.find((each) => each.number === step);
    if (found) return stepDetails(target, found, act);
  }
  // In the view of both graphs the node may stand in the other one.
  for (const own of [graph, ...target.graphs]) {
    const node = own.nodes.find((each) => each.key === key);
    if (node) return nodeDetails(target, own, node, act);
  }
  return legend();
}

function nodeDetails(target, graph, node, act) {
  const isOperation = node.kind === "operation";
  const number = node.number === undefined ? "" : ` #${node.number}`;
  const rows = [
    row("what", isOperation ? target.abouts?.[node.about] : KINDS[node.kind]),
    ...node.outputs.map(([name, type]) =>
      row("type", html("span", { class: "sg-mono" }, name && isOperation ? `${name}: ${type}` : type))),
    row("inside", holders(graph, node).slice(0, 1).map((each) =>
      link(each.label, () => act.pick(each.key)))),
    row("stands for", node.stands_for && standsFor(graph, node, act)),
    row("holds", holds(graph, node, act)),
    row("made", place(target, node)),
    row("gradient", node.forward && forward(node.forward, act)),
    row("in place", node.in_place && html(
      "span", { class: "sg-alarm" }, `! writes over the memory of ${node.in_place.join(", ")}`)),
    row("kernel", kernel(target, node, act)),
    row("reads", links(operands(graph, node), act.pick)),
    row("read by", links(readers(graph, node), act.pick)),
    row("fate", fate(target, graph, node, act)),
    row("rewrites", node.steps?.length && steps(target, node.steps, act)),
    row("C", code(target, node, act)),
  ];
  return html(
    "div",
    { class: "sg-card", "data-sg-details": node.key },
    html("h3", {}, node.label, html("span", { class: "sg-order" }, number)),
    html("dl", {}, ...rows.flat()),
  );
}

const KINDS = {
  input: "an input: its value is given at each call",
  shared: "a shared variable: keeps its value between calls",
  constant: "a constant",
};

/** What an input of a graph inside is outside, and the nodes that give it. */
function standsFor(graph, node, act) {
  const inside = graph.insides[node.inside];
  const ports = inside.reads[graph.nodes.indexOf(node) - inside.nodes[0]][0];
  const sources = graph.edges
    .filter(([, , to, position]) => to === inside.of && ports.includes(position))
    .map(([from]) => graph.nodes[from]);
  const parts = links(sources, act.pick);
  return parts.length ? [`${node.stands_for} · `, ...parts] : [node.stands_for];
}

function holds(graph, node, act) {
  const own = graph.nodes.indexOf(node);
  return (graph.insides ?? []).filter((inside) => inside.of === own).map((inside) =>
    html("div", {}, `a graph of ${count(inside.operations, "operation")}`,
      inside.about ? `, ${inside.about}; ` : "; ",
      link("open or close it", () => act.toggle(node.key))));
}

/** A term and its description; nothing when there is nothing to say. */
function row(term, value) {
  if (!value || (Array.isArray(value) && !value.length)) return [];
  const parts = Array.isArray(value) ? value : [value];
  return [html("dt", {}, term), html("dd", {}, ...parts)];
}

function place(target, node) {
  const line = target.lines?.[node.line];
  if (!line) return "";
  if (!line.code) return line.place;
  const { code, start = 0, end = 0 } = line;
  const parts = end > start && end <= code.length
    ? [code.slice(0, start), html("mark", {}, code.slice(start, end)), code.slice(end)]
    : [code];
  return [
    html("div", { class: "sg-where" }, line.place),
    html("code", { class: "sg-user-code" }, ...parts),
  ];
}

function forward({ key, label, line }, act) {
  const words = label + (line ? `, line ${line}` : "");
  return ["∂ of ", key ? link(words, () => act.other(key)) : words];
}

function kernel(target, node, act) {
  const found = target.kernels?.[node.kernel];
  if (!found) return "";
  const mates = (found.nodes ?? []).filter((key) => key !== node.key);
  const parts = [html("span", { class: "sg-mono" }, found.name), `, ${found.about}`];
  if (mates.length) parts.push(`; with ${mates.length} more, `, link("select all", () =>
    act.pick(found.nodes)));
  const [first, last] = found.lines ?? [];
  if (first) parts.push(" · ", link(`lines ${first}–${last}`, () => act.open("source")));
  return parts;
}

function operands(graph, node) {
  const own = graph.nodes.indexOf(node);
  return graph.edges.filter(([, , to]) => to === own).map(([from]) => graph.nodes[from]);
}

function readers(graph, node) {
  const own = graph.nodes.indexOf(node);
  return graph.edges.filter(([from]) => from === own).map(([, , to]) => graph.nodes[to]);
}

function links(nodes, pick) {
  const unique = [...new Set(nodes)];
  const shown = unique.slice(0, 12).flatMap((node, index) => [
    index ? ", " : "",
    link(node.outputs.length === 1 && node.outputs[0][0] ? node.outputs[0][0] : node.label,
      () => pick(node.key)),
  ]);
  return unique.length > 12 ? [...shown, ` and ${unique.length - 12} more`] : shown;
}

function fate(target, graph, node, act) {
  if (!node.fate || target.graphs.length < 2) return "";
  const [sign, words] = FATES[node.fate];
  const other = target.graphs.find((each) => each !== graph);
  const parts = [`${sign} ${words}`];
  if (node.fate === "kept") return parts;
  const pairs = (node.pairs ?? [])
    .map((key) => other.nodes.find((each) => each.key === key))
    .filter(Boolean);
  if (pairs.length) {
    parts.push(other.title === "after" ? "; became " : "; from ");
    parts.push(...links(pairs, act.other));
  }
  return parts;
}

function steps(target, numbers, act) {
  return numbers.map((number) => {
    const step = target.steps.find((each) => each.number === number);
    return html("div", {}, link(`${number}  ${step.rule}`, () => act.pickStep(number)));
  });
}

function code(target, node, act) {
  if (!node.c_line || !target.source) return "";
  const text = target.source.split("\n")[node.c_line - 1] ?? "";
  return [
    html("pre", { class: "sg-c" }, ...withComments(text.trim())),
    link(`line ${node.c_line} of the source`, () => act.open("source")),
  ];
}

function stepDetails(target, step, act) {
  const nodes = target.graphs.flatMap((graph) => graph.nodes);
  const named = (keys) => [...new Set(keys ?? [])]
    .map((key) => nodes.find((node) => node.key === key)).filter(Boolean);
  const line = target.lines?.[step.line];
  return html(
    "div",
    { class: "sg-card", "data-sg-details": `step ${step.number}` },
    html("h3", {}, step.rule,
      html("span", { class: "sg-order" }, ` step ${step.number} of ${target.steps.length}`)),
    html("p", {}, step.reason ?? ""),
    html("dl", {},
      ...row("stage", step.stage),
      ...row("before", html("code", { class: "sg-user-code" }, step.before)),
      ...row("after", html("code", { class: "sg-user-code" }, step.after)),
      ...row("line", line ? [html("div", { class: "sg-where" }, line.place),
        html("code", { class: "sg-user-code" }, line.code ?? "")] : ""),
      ...row("replaced", links(named(step.before_keys), act.other)),
      ...row("made", links(named(step.after_keys), act.other)),
    ),
  );
}

function link(words, follow) {
  return html("button", { type: "button", class: "sg-link", click: follow }, words);
}

/** What the shapes mean, for a reader who has selected nothing yet. */
function legend() {
  const box = (shape, ...marks) =>
    svg("svg", { width: 34, height: 20, "aria-hidden": "true" },
      svg("g", { class: ["sg-box", ...marks].join(" "), "data-sg-shape": shape },
        svg("rect", { class: "sg-frame", x: 3, y: 3, width: 28, height: 14,
          rx: shape === "operation" ? 7 : 2 }),
        shape === "shared" ? svg("path", { class: "sg-bar", d: "M7 3v14" }) : ""));
  const taken = svg("svg", { width: 34, height: 20, "aria-hidden": "true" },
    svg("g", { class: "sg-line sg-in-place" },
      svg("path", { d: "M3 10h28" }), svg("path", { d: "M3 10h28", class: "sg-inner" })));
  const rows = [
    [box("input"), "an input of the function"],
    [box("shared"), "a shared variable, kept between calls"],
    [box("constant"), "a constant"],
    [box("variable"), "a value you named"],
    [box("result"), "a result: output or new value"],
    [box("operation"), "an operation, and the type of its value"],
    [html("span", { class: "sg-sign" }, "⊞"), "holds a graph: double-click, or Enter, opens it"],
    [box("operation", "sg-gradient"), "∂  an operation of a gradient"],
    [taken, "!  overwrites its input, in place"],
  ];
  return html(
    "div",
    { class: "sg-card sg-legend" },
    html("h3", {}, "How to read this"),
    html("p", {}, "Values flow from top to bottom. Click a box to see where it comes from."),
    ...rows.map(([sign, words]) => html("div", { class: "sg-legend-row" }, sign, words)),
    html("p", { class: "sg-note" }, "Drag to move, Ctrl+wheel to zoom, ? for keys."),
  );
}
