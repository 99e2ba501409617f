// Numbers and outcomes in words.

import { EXPLANATIONS } from "./failures.js";

const NUMBER = new Intl.NumberFormat("en");
const ONE_PLACE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const NO_BREAK = "\u00a0";

export const number = (value) => NUMBER.format(value);

export function bytes(count) {
  for (const [unit, size] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
    if (count >= size) {
      const value = count / size;
      return `${value < 10 && unit !== "kB" ? ONE_PLACE.format(value) : NUMBER.format(Math.round(value))}${NO_BREAK}${unit}`;
    }
  }
  return `${NUMBER.format(count)}${NO_BREAK}B`;
}

export const pixels = (width, height) => `${width}${NO_BREAK}×${NO_BREAK}${height}`;

export const counted = (count, one, many = `${one}s`) => `${number(count)}${NO_BREAK}${count === 1 ? one : many}`;

/** How much lighter, in whole percent; never 100 for something that still weighs a little. */
export function percentSaved(from, to) {
  if (!from || to >= from) return 0;
  return Math.min(99, Math.round((1 - to / from) * 100));
}

export const reason = (code) => EXPLANATIONS[code] ?? "It could not be made local.";

/** [name, value, note] of each figure of the cache that people want to know. */
export const statFigures = ({ sources, bytes: weight, renditions, failures, hits, misses }) =>
  [
    ["Originals", sources, weight ? bytes(weight) : ""],
    ["Renditions", renditions, ""],
    ["Failures remembered", failures, ""],
    ["Answered at once", hits, hits ? `${Math.round((100 * hits) / (hits + misses))} %` : ""],
  ]
    .filter(([, value]) => typeof value === "number")
    .map(([name, value, note]) => [name, number(value), note]);

/** The language that picks the right Chinese, Japanese or Korean glyphs; "" leaves it to the page. */
export function languageOf(text) {
  const sample = text.slice(0, 20000);
  if (/[\u3040-\u30ff]/.test(sample)) return "ja";
  if (/[\uac00-\ud7af]/.test(sample)) return "ko";
  return /[\u4e00-\u9fff]/.test(sample) ? "zh-Hans" : "";
}
