/**
 * Elements without markup: whatever a name holds, it is set as text.
 *
 * The files of this folder are joined into one module, in the order in which they
 * import each other; see widgets.py. Read next: paint.js.
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element.
 * @param {string} tag
 * @param {Record<string, unknown>} attributes  functions are listeners, false is left out
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function html(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * An SVG element.
 * @param {string} tag
 * @param {Record<string, unknown>} attributes
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null)
      element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== ""));
  return element;
}

/** A button with a word or sign, and a tooltip that also names its key. */
export function button(sign, title, press, attributes = {}) {
  return html(
    "button",
    { type: "button", title, "aria-label": title, click: press, ...attributes },
    sign,
  );
}

/**
 * Buttons of which one is pressed.
 * @param {string} label
 * @param {[string, string][]} choices  value and word
 * @param {string} chosen
 * @param {(value: string) => void} choose
 */
export function segments(label, choices, chosen, choose) {
  return html(
    "div",
    { class: "sg-segments", role: "group", "aria-label": label },
    ...choices.map(([value, word]) =>
      html(
        "button",
        {
          type: "button",
          "aria-pressed": String(value === chosen),
          "data-sg-choice": value,
          click: () => choose(value),
        },
        word,
      ),
    ),
  );
}

/** `1 operation`, `2 operations`. */
export function count(n, word) {
  return `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
}

/** @typedef {[number, string, string, string, string, string[], number, number, number, number]} BoxRow */

/**
 * The boxes of a scene, from rows to objects.
 * @param {{boxes: BoxRow[]}} scene
 * @param {{key: string}[]} nodes
 */
export function unpack(scene, nodes) {
  return scene.boxes.map(
    ([node, suffix, shape, title, caption, marks, x, y, w, h], number) => ({
      number, node, key: nodes[node].key, id: nodes[node].key + suffix,
      shape, title, caption, marks, x, y, w, h, unit: false, open: false, about: "",
    }),
  );
}

/** The points of a line, as path text: upright at both ends. */
export function curve(points) {
  let text = `M${points[0]} ${points[1]}`;
  for (let i = 2; i < points.length; i += 2) {
    const [x0, y0, x1, y1] = points.slice(i - 2, i + 2);
    const middle = (y0 + y1) / 2;
    text += x0 === x1 ? `L${x1} ${y1}` : `C${x0} ${middle} ${x1} ${middle} ${x1} ${y1}`;
  }
  return text;
}

/** Signs for what became of an operation. */
export const FATES = {
  kept: ["=", "unchanged"],
  rewritten: ["~", "rewritten"],
  new: ["+", "new"],
  gone: ["−", "gone"],
  merged: ["≡", "merged into an equal one"],
};
