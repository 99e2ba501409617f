// Elements made from plain values; text always stays text.

/**
 * An element. attributes: name to value; null, undefined and false leave the attribute out, true sets it empty.
 * children: elements or text, or lists of them; what is empty or false is left out.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child || child === 0));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** A figure with its name, for a dl. */
export const figure = (name, value, note = "") =>
  h("div", {}, h("dt", {}, name), h("dd", {}, value, note && h("span", { class: "quiet" }, ` ${note}`)));
