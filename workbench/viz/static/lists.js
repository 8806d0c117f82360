/**
 * The panes that are text: the tree (also the outline for those who do not see the
 * picture), the generated source, and the rewrites.
 */

import { count, html } from "./dom.js";

/**
 * The graph as a tree of lines.
 * @param {object} graph
 * @param {(key: string, add: boolean) => void} pick
 */
export class TreeList {
  constructor(graph, pick) {
    this.graph = graph;
    this.rows = graph.tree.map((line, number) => {
      const node = graph.nodes[graph.tree_nodes[number]];
      if (!node) return html("div", { class: "sg-row", role: "presentation" }, line || " ");
      const key = node.key;
      return html(
        "div",
        {
          role: "treeitem",
          class: "sg-row",
          tabindex: "-1",
          "data-sg-key": key,
          "aria-level": 1 + Math.floor(line.search(/[^ │├└]/) / 2),
          click: (event) => pick(key, event.shiftKey),
        },
        line,
      );
    });
    const more = graph.tree_left_out
      ? [html("div", { class: "sg-note" }, `${count(graph.tree_left_out, "line")} left out`)]
      : [];
    this.element = html(
      "div",
      { class: "sg-list sg-mono", role: "tree", "aria-label": `Tree, ${graph.title}` },
      ...this.rows,
      ...more,
    );
  }

  mark(selected, hits) {
    let first;
    this.rows.forEach((row) => {
      const key = row.dataset.sgKey;
      const chosen = selected.has(key);
      row.setAttribute("aria-selected", String(chosen));
      row.classList.toggle("sg-hit", hits.has(key));
      first ??= chosen ? row : undefined;
    });
    scrollIntoList(first);
  }

  /** The key on the next or previous line. */
  neighbour(key, forward) {
    const at = this.rows.findIndex((row) => row.dataset.sgKey === key);
    const by = forward ? 1 : -1;
    let next = at < 0 ? 0 : at + by;
    while (this.rows[next] && !this.rows[next].dataset.sgKey) next += by;
    return this.rows[next]?.dataset.sgKey;
  }
}

/** The generated code; the lines of the selected nodes and of their kernels are marked. */
export class SourceList {
  constructor(target, graph, pick) {
    this.byKey = new Map();
    this.kernels = new Map();
    const keys = new Map();
    for (const node of graph.nodes) {
      const span = target.kernels?.[node.kernel]?.lines;
      if (span) this.kernels.set(node.key, span);
      if (!node.c_line) continue;
      this.byKey.set(node.key, node.c_line);
      if (!keys.has(node.c_line)) keys.set(node.c_line, node.key);
    }
    const lines = target.source ? target.source.split("\n") : [];
    this.rows = lines.map((line, index) => {
      const key = keys.get(index + 1);
      return html(
        "div",
        {
          class: key ? "sg-row sg-code-row" : "sg-row",
          "data-sg-line": index + 1,
          click: key ? (event) => pick(key, event.shiftKey) : undefined,
        },
        html("span", { class: "sg-number" }, String(index + 1)),
        ...withComments(line),
      );
    });
    const head = target.command?.length
      ? [html("div", { class: "sg-note" }, target.command.join(" "))]
      : [];
    const reason = "No generated code: this runs in NumPy, one operation after the other.";
    this.element = html(
      "div",
      { class: "sg-list sg-mono", "aria-label": "Generated source" },
      ...head,
      ...(lines.length ? this.rows : [html("div", { class: "sg-note" }, reason)]),
    );
  }

  mark(selected) {
    const keys = [...selected];
    const lines = new Set(keys.map((key) => this.byKey.get(key)));
    const spans = keys.map((key) => this.kernels.get(key)).filter(Boolean);
    let first;
    this.rows.forEach((row, index) => {
      const line = index + 1;
      const chosen = lines.has(line);
      const near = spans.some(([start, end]) => start <= line && line <= end);
      row.classList.toggle("sg-selected", chosen);
      row.classList.toggle("sg-near", near);
      first ??= chosen || near ? row : undefined;
    });
    scrollIntoList(first);
  }
}

/** A line of C with its comments set apart. */
export function withComments(line) {
  const at = line.search(/\/\*|\/\//);
  if (at < 0) return [line || " "];
  return [line.slice(0, at), html("span", { class: "sg-comment" }, line.slice(at))];
}

/** Every rewrite in order; rewrites of one stage stand together. */
export class StepList {
  constructor(target, pickStep) {
    const steps = target.steps ?? [];
    this.rows = new Map();
    const children = [];
    let stage;
    for (const step of steps) {
      if (step.stage !== stage) {
        stage = step.stage;
        const n = steps.filter((other) => other.stage === stage).length;
        children.push(
          html("div", { class: "sg-stage-name" }, `${stage || "rewrites"} · ${count(n, "step")}`),
        );
      }
      const line = step.line === undefined ? undefined : target.lines[step.line];
      const row = html(
        "div",
        {
          role: "option",
          class: "sg-row sg-step",
          "data-sg-step": step.number,
          click: () => pickStep(step.number),
        },
        html("span", { class: "sg-number" }, String(step.number)),
        html("span", { class: "sg-rule" }, step.rule),
        html(
          "span",
          { class: "sg-change" },
          html("span", { class: "sg-old" }, step.before),
          " → ",
          html("span", { class: "sg-new" }, step.after),
        ),
        html("span", { class: "sg-where" }, line ? line.place : ""),
      );
      this.rows.set(step.number, row);
      children.push(row);
    }
    const none = "Nothing was rewritten.";
    this.element = html(
      "div",
      { class: "sg-list", role: "listbox", "aria-label": "Rewrites" },
      ...(children.length ? children : [html("div", { class: "sg-note" }, none)]),
    );
  }

  mark(step) {
    for (const [number, row] of this.rows)
      row.setAttribute("aria-selected", String(number === step));
    scrollIntoList(this.rows.get(step));
  }
}

/** Scroll a row into its list, without scrolling the page. */
function scrollIntoList(row) {
  const list = row?.closest(".sg-list");
  if (!list) return;
  const top = row.offsetTop - list.offsetTop;
  if (top < list.scrollTop || top + row.offsetHeight > list.scrollTop + list.clientHeight)
    list.scrollTop = top - list.clientHeight / 3;
}
