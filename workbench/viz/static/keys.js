/** Keys: their names, and the list that `?` shows. */

/** As `Shift+ArrowUp`; shift is not named where it is part of the sign. */
export function keyOf(event) {
  if (event.ctrlKey || event.metaKey) return "";
  const shift = event.shiftKey && event.key.length > 1 ? "Shift+" : "";
  return (event.altKey ? "Alt+" : "") + shift + event.key;
}

export const HELP = [
  ["↑ ↓", "to what it reads, to what reads it"],
  ["← →", "along the row"],
  ["/ n N", "search, next and previous hit"],
  ["b", "before, after, both"],
  ["[ ]", "previous and next rewrite"],
  ["a d", "only what it needs, only what needs it"],
  ["+ − 0 z", "zoom, fit, zoom to the selection"],
  ["Shift+arrows", "move the picture"],
  ["Enter", "open the graph inside, or close it"],
  ["Shift+Enter", "open all, or close all"],
  ["c", "show or hide unnamed values"],
  ["1 2 3 4", "graph, tree, source, steps"],
  ["Alt+← Alt+→", "selection back and forward"],
  ["Esc", "close, or back to the notebook"],
];
