/**
 * The inspector: a header, one pane (graph, tree, source or rewrites), and details of what
 * is selected. State that Python may set or read lives in the model; the rest is in `local`.
 */

import { button, count, html, segments } from "./dom.js";
import { details } from "./details.js";
import { SourceList, StepList, TreeList } from "./lists.js";
import { GraphView, viewButtons } from "./view.js";
import { HELP, keyOf } from "./keys.js";
import { holders, reachable, search } from "./search.js";

const TAB_WORDS = { graph: "Graph", tree: "Tree", source: "Source", steps: "Steps" };

class Inspector {
  constructor(model, host) {
    this.model = model;
    this.local = { hits: [], hit: -1, only: null, back: [], forward: [], details: false };
    this.header = html("div", { class: "sg-header" });
    this.pane = html("div", { class: "sg-pane" });
    this.side = html("div", { class: "sg-details", tabindex: "-1" });
    this.body = html("div", { class: "sg-body" }, this.pane, this.side);
    this.status = html("div", { class: "sg-status", role: "status", "aria-live": "polite" });
    this.root = html(
      "div",
      { class: "symgraph", tabindex: "0", role: "region", "data-lm-suppress-shortcuts": "true" },
      this.header, this.body, this.status,
    );
    this.root.symgraph = { state: () => this.state() };
    this.views = [];
    this.listen();
    host.append(this.root);
    this.theme();
    this.draw();
  }

  // --- what is shown ---------------------------------------------------------------------

  get(name) {
    return this.model.get(name);
  }

  set(changes) {
    for (const [name, value] of Object.entries(changes)) this.model.set(name, value);
    this.model.save_changes();
  }

  get target() {
    const { targets } = this.get("data");
    return targets[this.get("target")] ?? targets[0];
  }

  get variant() {
    return this.target.graphs.length > 1 ? this.get("variant") : "before";
  }

  /** The graph in front: in the view of both, the one that is run. */
  get graph() {
    return this.target.graphs[this.variant === "before" ? 0 : this.target.graphs.length - 1];
  }

  listen() {
    const redraw = () => this.draw();
    const mark = () => this.mark();
    this.handlers = [
      ["change:data", redraw], ["change:target", redraw], ["change:variant", redraw],
      ["change:tab", redraw], ["change:compact", redraw],
      ["change:selection", mark], ["change:step", mark], ["change:expanded", () => this.unfold()],
      ["change:query", () => this.search(this.get("query"))],
    ];
    for (const [event, handler] of this.handlers) this.model.on(event, handler);
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.watch = new MutationObserver(() => this.theme());
    const attributes = ["data-jp-theme-light", "data-jp-theme-name", "class", "data-theme"];
    for (const element of [document.documentElement, document.body])
      this.watch.observe(element, { attributes: true, attributeFilter: attributes });
  }

  /** Light or dark, by the ground that the page gives. */
  theme() {
    const ground = getComputedStyle(this.root).backgroundColor;
    const [r, g, b] = (ground.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
    const dark = 0.299 * r + 0.587 * g + 0.114 * b < 128;
    this.root.toggleAttribute("data-sg-dark", dark);
    for (const view of this.views) view.mark(this.marks(view.graph));
  }

  draw() {
    this.root.setAttribute("aria-label", `Graph of ${this.target.name}`);
    this.drawHeader();
    for (const view of this.views) view.remove();
    this.views = [];
    this.list = null;
    const { target, graph } = this;
    const pick = (key, add) => this.pick(key, add);
    const tab = this.get("tab");
    if (tab === "graph") this.drawGraphs();
    else {
      if (tab === "tree") this.list = new TreeList(graph, pick);
      else if (tab === "source") this.list = new SourceList(target, target.graphs.at(-1), pick);
      else this.list = new StepList(target, (step) => this.pickStep(step));
      this.pane.replaceChildren(this.list.element);
    }
    this.mark(true);
  }

  drawHeader() {
    const { target, variant } = this;
    const { targets, note } = this.get("data");
    const [first, last] = [target.graphs[0].operations, target.graphs.at(-1).operations];
    const sizes = target.graphs.length > 1
      ? `${first.toLocaleString("en")} → ${count(last, "operation")}` : count(first, "operation");
    const names = targets.length > 1
      ? segments("Functions", targets.map((each, i) => [String(i), each.name]),
          String(this.get("target")), (i) => this.set({ target: Number(i), selection: [], step: 0 }))
      : html("strong", { class: "sg-name" }, target.name);
    const query = html("input", {
      type: "search", placeholder: "Search  /", "aria-label": "Search nodes",
      title: "Text, or op:dot  dtype:float64  shape:10  line:8  rule:merge  inplace:",
      input: () => this.set({ query: query.value }),
    });
    query.value = this.get("query");
    this.query = query;
    this.found = html("span", { class: "sg-found" });
    const tabs = Object.entries(TAB_WORDS).map(([value, word]) =>
      html("button", {
        type: "button", role: "tab", "data-sg-tab": value,
        "aria-selected": String(this.get("tab") === value && !this.local.details),
        click: () => this.open(value),
      }, word));
    tabs.push(html("button", {
      type: "button", role: "tab", class: "sg-narrow-only", "data-sg-tab": "details",
      "aria-selected": String(this.local.details), click: () => this.open("details"),
    }, "Details"));
    this.root.toggleAttribute("data-sg-details-open", this.local.details);
    this.header.replaceChildren(
      names,
      html("span", { class: "sg-mode" }, target.mode || "not compiled"),
      html("span", { class: "sg-sizes", title: target.summary }, sizes),
      note ? html("span", { class: "sg-remark" }, note) : "",
      target.graphs.length > 1
        ? segments("Graph", [["before", "Before"], ["after", "After"], ["both", "Both"]],
            variant, (value) => this.show(value))
        : "",
      html("div", { class: "sg-tabs", role: "tablist" }, ...tabs),
      html("span", { class: "sg-search" }, query, this.found),
      button("?", "Keys (?)", () => this.help(), { class: "sg-round" }),
    );
  }

  drawGraphs() {
    const both = this.variant === "both";
    const shown = both ? this.target.graphs : [this.graph];
    const compact = this.get("compact");
    for (const graph of shown) {
      const scenes = this.target.scenes[this.target.graphs.indexOf(graph)];
      const options = {
        title: both ? { before: "Before", after: "After" }[graph.title] : "",
        fates: both,
        pick: (key, add) => this.pick(key, add),
        open: new Set(this.get("expanded")),
        toggle: (key) => this.toggle(key),
      };
      const scene = (compact ? scenes.compact : scenes.full) ?? scenes.compact;
      this.views.push(new GraphView(scene, graph, options));
    }
    const hasFull = this.target.scenes.every((each) => each.full);
    const toggle = hasFull ? () => this.set({ compact: !compact }) : undefined;
    this.pane.replaceChildren(
      html("div", { class: "sg-views" }, ...this.views.map((view) => view.element)),
      viewButtons(() => this.views, compact, toggle),
    );
  }

  // --- graphs inside operations --------------------------------------------------------------

  /** Keys of the operations that hold graphs, in the graphs shown. */
  get units() {
    const graphs = this.variant === "both" ? this.target.graphs : [this.graph];
    return new Set(graphs.flatMap((graph) =>
      (graph.insides ?? []).map((inside) => graph.nodes[inside.of].key)));
  }

  /** Open an operation that holds a graph, or close it. */
  toggle(key) {
    const expanded = this.get("expanded");
    const closes = expanded.includes(key);
    const changes = {
      expanded: closes ? expanded.filter((each) => each !== key) : [...expanded, key] };
    // What is selected inside would open it again.
    const selected = this.get("selection").flatMap((each) => this.around(each));
    if (closes && selected.includes(key)) changes.selection = [key];
    this.set(changes);
    this.root.focus({ preventScroll: true });
  }

  /** Keys of the operations that a node is inside of. */
  around(key) {
    for (const graph of this.target.graphs) {
      const node = graph.nodes.find((each) => each.key === key);
      if (node) return holders(graph, node).map((each) => each.key);
    }
    return [];
  }

  /** Open or close what is selected, or what it is inside of. */
  enter() {
    const key = this.get("selection").at(-1);
    if (!key) return;
    const unit = this.units.has(key) ? key : this.around(key)[0];
    if (unit) this.toggle(unit);
  }

  enterAll() {
    const units = this.units;
    const expanded = this.get("expanded");
    const closes = [...units].every((key) => expanded.includes(key));
    const selection = this.get("selection").map((key) => this.around(key).at(-1) ?? key);
    if (closes) this.set({ expanded: expanded.filter((key) => !units.has(key)), selection });
    else this.set({ expanded: [...new Set([...expanded, ...units])] });
  }

  unfold() {
    const open = new Set(this.get("expanded"));
    for (const view of this.views) {
      view.unfold(open);
      view.mark(this.marks(view.graph));
    }
    const shown = this.views.flatMap((view) => view.state().open).length;
    this.say(`${count(shown, "graph")} open`);
  }

  // --- selection ---------------------------------------------------------------------------

  /** Select a node, or nothing; with `add`, one more or one less. */
  pick(key, add = false) {
    const now = this.get("selection");
    let next = key === null ? [] : Array.isArray(key) ? key : [key];
    if (add && key) next = now.includes(key) ? now.filter((k) => k !== key) : [...now, key];
    this.local.back.push(now);
    this.local.forward = [];
    this.set({ selection: next, step: 0 });
    this.root.focus({ preventScroll: true });
  }

  pickStep(number) {
    const step = this.target.steps?.find((each) => each.number === number);
    if (!step) return;
    const keys = [...(step.before_keys ?? []), ...(step.after_keys ?? [])];
    this.local.back.push(this.get("selection"));
    this.set({ step: number, selection: [...new Set(keys)] });
  }

  /** Select a node that may stand in the other graph, and show that graph. */
  pickOther(key) {
    if (this.variant !== "both" && !this.graph.nodes.some((node) => node.key === key)) {
      const other = this.target.graphs.find((g) => g.nodes.some((node) => node.key === key));
      if (other) this.set({ variant: other.title });
    }
    this.pick(key);
  }

  open(tab) {
    this.local.details = tab === "details";
    if (tab === "details" || tab === this.get("tab")) this.draw();
    else this.set({ tab });
    this.root.focus({ preventScroll: true });
  }

  /** Change between before, after and both; the selection follows what became of it. */
  show(variant) {
    const graph = this.target.graphs[variant === "before" ? 0 : this.target.graphs.length - 1];
    const keys = new Set(graph.nodes.map((node) => node.key));
    const selection = this.get("selection");
    const images = variant === "both" || selection.some((key) => keys.has(key))
      ? selection
      : [...this.pairs(new Set(selection))].filter((key) => keys.has(key));
    this.set({ variant, selection: images.length ? images : selection });
    this.root.focus({ preventScroll: true });
  }

  /** Keys that the compiler says correspond to some keys, in any graph. */
  pairs(keys) {
    const found = new Set();
    for (const graph of this.target.graphs)
      for (const node of graph.nodes)
        if (keys.has(node.key)) for (const key of node.pairs ?? []) found.add(key);
    return found;
  }

  /** What to emphasise in one graph. */
  marks(graph) {
    const selected = new Set(this.get("selection"));
    const present = new Set(graph.nodes.map((node) => node.key));
    const linked = new Set();
    if (this.variant === "both")
      for (const key of this.pairs(selected))
        if (present.has(key) && !selected.has(key)) linked.add(key);
    return {
      selected, linked: this.inSight(graph, linked),
      hits: this.inSight(graph, this.local.hits), only: this.local.only,
    };
  }

  /** Keys, and for those inside what is closed the key of that. */
  inSight(graph, keys) {
    const wanted = new Set(keys);
    if (!wanted.size || !graph.insides?.length) return wanted;
    const open = new Set(this.get("expanded"));
    for (const node of graph.nodes)
      if (node.inside !== undefined && wanted.has(node.key))
        for (const each of holders(graph, node)) if (!open.has(each.key)) wanted.add(each.key);
    return wanted;
  }

  mark(fresh = false) {
    const selection = this.get("selection");
    const { target, graph } = this;
    const expanded = this.get("expanded");
    const closed = selection.flatMap((key) => this.around(key))
      .filter((key) => !expanded.includes(key));
    if (closed.length) this.set({ expanded: [...new Set([...expanded, ...closed])] });
    for (const view of this.views) {
      const marks = this.marks(view.graph);
      view.mark(marks);
      const keys = selection.length ? [...selection, ...marks.linked] : [];
      if (keys.length) view.reveal(keys);
    }
    if (this.list instanceof StepList) this.list.mark(this.get("step"));
    else this.list?.mark(new Set(selection), new Set(this.local.hits));
    if (this.get("query") && fresh) this.search(this.get("query"));
    const act = {
      pick: (key) => this.pick(key),
      pickStep: (step) => this.pickStep(step),
      open: (tab) => this.open(tab),
      toggle: (key) => this.toggle(key),
      other: (key) => this.pickOther(key),
    };
    this.side.replaceChildren(details(target, graph, selection.at(-1), this.get("step"), act));
    if (!fresh) this.say(this.sentence());
  }

  /** The selection in one sentence, for those who listen. */
  sentence() {
    const step = this.target.steps?.find((each) => each.number === this.get("step"));
    if (step) return `Step ${step.number}, ${step.rule}: ${step.before} → ${step.after}`;
    const key = this.get("selection").at(-1);
    const node = this.target.graphs.flatMap((g) => g.nodes).find((each) => each.key === key);
    if (!node) return "";
    const line = this.target.lines?.[node.line];
    return [
      node.label + (node.number === undefined ? "" : `, node ${node.number}`),
      node.outputs.map(([, type]) => type).join(" and "),
      node.in_place ? `in place on ${node.in_place.join(", ")}` : "",
      node.stands_for ? `stands for ${node.stands_for}` : "",
      ...this.around(key).slice(0, 1).map((each) =>
        `inside ${this.target.graphs.flatMap((g) => g.nodes).find((n) => n.key === each).label}`),
      this.units.has(key) ? "holds a graph" : "",
      line ? line.place : "",
    ].filter(Boolean).join(", ");
  }

  say(words) {
    this.status.textContent = words;
  }

  search(query) {
    if (this.query.value !== query) this.query.value = query;
    const graphs = this.variant === "both" ? this.target.graphs : [this.graph];
    const hits = graphs.flatMap((graph) => search(this.target, graph, query));
    this.local.hits = [...new Set(hits)];
    this.local.hit = -1;
    this.found.textContent = query.trim() ? String(this.local.hits.length) : "";
    for (const view of this.views) view.mark(this.marks(view.graph));
    if (this.list instanceof TreeList)
      this.list.mark(new Set(this.get("selection")), new Set(this.local.hits));
  }

  nextHit(by) {
    const { hits } = this.local;
    if (!hits.length) return;
    this.local.hit = (this.local.hit + by + hits.length) % hits.length;
    this.pick(hits[this.local.hit]);
    this.found.textContent = `${this.local.hit + 1} of ${hits.length}`;
  }

  // --- keys --------------------------------------------------------------------------------

  key(event) {
    const name = keyOf(event);
    // Nothing typed here is for the notebook, which would insert or delete cells.
    event.stopPropagation();
    if (event.target === this.query) {
      if (name === "Enter") this.nextHit(event.shiftKey ? -1 : 1);
      else if (name === "Escape") this.root.focus({ preventScroll: true });
      else return;
      event.preventDefault();
      if (name === "Enter") this.query.focus({ preventScroll: true });
      return;
    }
    if (event.target.tagName === "BUTTON" && ["Enter", " "].includes(name)) return;
    const act = this.actions()[name];
    if (!act) return;
    event.preventDefault();
    act();
  }

  actions() {
    const each = (act) => () => this.views.forEach(act);
    const all = ["before", "after", "both"];
    const variant = () =>
      this.target.graphs.length > 1 && this.show(all[(all.indexOf(this.variant) + 1) % 3]);
    return {
      ArrowUp: () => this.walk("up"), ArrowDown: () => this.walk("down"),
      ArrowLeft: () => this.walk("left"), ArrowRight: () => this.walk("right"),
      "Shift+ArrowUp": each((v) => v.pan(0, 60)), "Shift+ArrowDown": each((v) => v.pan(0, -60)),
      "Shift+ArrowLeft": each((v) => v.pan(60, 0)), "Shift+ArrowRight": each((v) => v.pan(-60, 0)),
      "+": each((v) => v.zoom(1.3)), "=": each((v) => v.zoom(1.3)), "-": each((v) => v.zoom(1 / 1.3)),
      0: each((v) => v.fit()), z: each((v) => v.reveal(this.get("selection"), true)),
      "/": () => this.query.select(), n: () => this.nextHit(1), N: () => this.nextHit(-1),
      "[": () => this.pickStep(this.get("step") - 1), "]": () => this.pickStep(this.get("step") + 1),
      Enter: () => this.enter(), "Shift+Enter": () => this.enterAll(),
      b: variant, c: () => this.set({ compact: !this.get("compact") }),
      a: () => this.isolate("up"), d: () => this.isolate("down"),
      1: () => this.open("graph"), 2: () => this.open("tree"),
      3: () => this.open("source"), 4: () => this.open("steps"),
      "Alt+ArrowLeft": () => this.travel("back", "forward"),
      "Alt+ArrowRight": () => this.travel("forward", "back"),
      "?": () => this.help(), Escape: () => this.leave(),
    };
  }

  walk(where) {
    const key = this.get("selection").at(-1);
    if (this.list instanceof TreeList && (where === "up" || where === "down")) {
      const next = this.list.neighbour(key, where === "down");
      if (next) this.pick(next);
    } else if (this.list instanceof StepList && where !== "left" && where !== "right") {
      this.pickStep(this.get("step") + (where === "down" ? 1 : -1));
    } else {
      const view = this.views.find((v) => v.boxesOf([key]).length) ?? this.views[0];
      const next = view?.step(key, where);
      if (next) this.pick(next);
    }
  }

  /** Only what the selection is computed from, or only what is computed from it. */
  isolate(where) {
    const key = this.get("selection").at(-1);
    this.local.only = this.local.only || !key ? null : reachable(this.graph, key, where);
    for (const view of this.views) view.mark(this.marks(view.graph));
    const words = where === "up" ? "what it is computed from" : "what is computed from it";
    this.say(this.local.only ? `Only ${words}: ${this.local.only.size} nodes` : "All nodes");
  }

  travel(from, to) {
    const next = this.local[from].pop();
    if (!next) return;
    this.local[to].push(this.get("selection"));
    this.set({ selection: next, step: 0 });
  }

  /** Close what is open, else give the keyboard back to the notebook. */
  leave() {
    if (this.overlay) this.help();
    else if (this.local.only) this.isolate("up");
    else if (this.get("query")) this.set({ query: "" });
    else {
      this.root.blur();
      const notebook = this.root.closest(".jp-Notebook");
      (this.root.closest(".jp-Cell") ?? notebook)?.focus?.({ preventScroll: true });
      notebook?.focus({ preventScroll: true });
    }
  }

  help() {
    this.overlay?.remove();
    if (this.overlay) {
      this.overlay = null;
      return;
    }
    const rows = HELP.flatMap(([keys, words]) => [
      html("dt", {}, ...keys.split(" ").map((key) => html("kbd", {}, key))), html("dd", {}, words)]);
    this.overlay = html("div", { class: "sg-help", role: "dialog", "aria-label": "Keys" },
      html("h3", {}, "Keys"), html("dl", {}, ...rows), button("Close", "Close (Esc)", () => this.help()));
    this.root.append(this.overlay);
  }

  /** What a test may ask, also of a canvas. */
  state() {
    return {
      target: this.target.name, variant: this.variant, tab: this.get("tab"),
      selection: this.get("selection"), step: this.get("step"), compact: this.get("compact"),
      hits: this.local.hits, expanded: this.get("expanded"), graphs: this.views.map((view) => view.state()),
      dark: this.root.hasAttribute("data-sg-dark"),
    };
  }

  remove() {
    this.watch.disconnect();
    for (const view of this.views) view.remove();
    for (const [event, handler] of this.handlers) this.model.off(event, handler);
    this.root.remove();
  }
}

/** Called by the notebook for each place where the widget is shown. */
function render({ model, el }) {
  const inspector = new Inspector(model, el);
  return () => inspector.remove();
}

export default { render };
