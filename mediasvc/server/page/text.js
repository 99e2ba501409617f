// Before and after, side by side, with what changed marked.

import { h } from "./dom.js";
import { counted } from "./words.js";

const AT_ONCE = 80;

/**
 * Fills `box` with excerpts and says how many are held back. numberOf: picture number for an address of ours, or null.
 * language: of the article, for the glyphs. Returns a function that shows the next ones and says how many are left.
 */
export function showText(box, excerpts, numberOf, language) {
  box.replaceChildren();
  let shown = 0;
  const more = () => {
    const next = excerpts.slice(shown, shown + AT_ONCE);
    for (const excerpt of next) {
      if (excerpt.skipped) {
        box.append(h("p", { class: "gap" }, `${counted(excerpt.skipped, "character")} unchanged`));
      }
      if (excerpt.parts.length) {
        box.append(h("div", { class: "pair" }, ...sides(excerpt.parts, numberOf, language)));
      }
    }
    shown += next.length;
    return excerpts.length - shown;
  };
  return { more, left: more() };
}

function sides(parts, numberOf, language) {
  const changed = (mark, { before, after }) => {
    if (mark === "del") return h("del", {}, before);
    const number = numberOf(after);
    return h("ins", {}, number ? h("a", { href: `#picture-${number}`, title: `Picture ${number}` }, after) : after);
  };
  const side = (name, mark) =>
    h(
      "div",
      { class: `side ${name.toLowerCase()}`, role: "group", "aria-label": name, lang: language || null },
      parts.map((part) => (part.same === undefined ? changed(mark, part) : part.same)),
    );
  return [side("Before", "del"), side("After", "ins")];
}
