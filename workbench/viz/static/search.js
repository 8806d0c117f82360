/** Finding nodes: by words and fields, and along the lines of the graph. */

/**
 * Keys of the nodes of a graph that every term of a query fits: plain text in the label, the
 * names, the types or the user's line, or `op: dtype: shape: line: rule: inplace:`.
 */
export function search(target, graph, query) {
  const terms = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!terms.length) return [];
  const tests = terms.map((term) => test(target, term));
  return graph.nodes.filter((node) => tests.every((fits) => fits(node))).map((node) => node.key);
}

function test(target, term) {
  const [, field, word] = term.match(/^(op|dtype|shape|line|rule|inplace):(.*)$/) ?? [];
  const types = (node) => node.outputs.map(([, type]) => type.toLowerCase());
  const line = (node) => target.lines?.[node.line];
  switch (field) {
    case "op":
      return (node) => node.kind === "operation" && node.label.toLowerCase().startsWith(word);
    case "dtype":
      return (node) => types(node).some((type) => type.startsWith(word));
    case "shape":
      return (node) => types(node).some((type) => type.slice(type.indexOf(" ")).includes(word));
    case "line":
      return (node) => String(line(node)?.line ?? "") === word;
    case "rule":
      return (node) => (node.steps ?? []).some((number) =>
        target.steps.some((step) => step.number === number && step.rule.includes(word)));
    case "inplace":
      return (node) => Boolean(node.in_place);
    default:
      return (node) =>
        [node.label, ...node.outputs.flat(), line(node)?.code ?? ""]
          .some((text) => text.toLowerCase().includes(term));
  }
}

/** The number of the operation that a node is inside of, or undefined. */
export function holderOf(graph, node) {
  return node.inside === undefined ? undefined : graph.insides[node.inside].of;
}

/** The operations that a node is inside of, the nearest first. */
export function holders(graph, node) {
  const found = [];
  for (let at = holderOf(graph, node); at !== undefined; at = holderOf(graph, graph.nodes[at]))
    found.push(graph.nodes[at]);
  return found;
}

/** Keys of a node and of all that it is computed from (up), or that is computed from it. */
export function reachable(graph, key, where) {
  const near = new Map();
  for (const [from, , to] of graph.edges) {
    const [start, end] = where === "up" ? [to, from] : [from, to];
    if (!near.has(start)) near.set(start, []);
    near.get(start).push(end);
  }
  // What a graph inside reads, and what becomes of its results.
  const link = (from, to) => {
    const [start, end] = where === "up" ? [to, from] : [from, to];
    near.set(start, [...(near.get(start) ?? []), end]);
  };
  for (const inside of graph.insides ?? []) {
    for (const [from, , to, position] of graph.edges)
      if (to === inside.of)
        inside.reads.forEach(([ports], i) => {
          if (ports.includes(position)) link(from, inside.nodes[0] + i);
        });
    for (const [node] of inside.results) link(node, inside.of);
  }
  const seen = new Set();
  const waiting = [graph.nodes.findIndex((node) => node.key === key)];
  while (waiting.length) {
    const node = waiting.pop();
    if (node < 0 || seen.has(node)) continue;
    seen.add(node);
    waiting.push(...(near.get(node) ?? []));
  }
  return new Set([...seen].map((node) => graph.nodes[node].key));
}
