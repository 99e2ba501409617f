"use strict";
// One article of a request: values as its front matter, HTML as its body; and the reply taken apart again.

const HEAD_END = "---\n";
const ASSET = "([0-9a-f]{64}\\.[a-z0-9]+)";
// A path begins here: neither the rest of an address nor of a longer path.
const BEGIN = "(?<![\\w./:@%-])";

/**
 * The article that carries a post's fields and its HTML.
 *
 * values: list of { value, use }; use is "thumbnail" or "original".
 * The front matter is there without values as well, so that HTML that begins with `---` is never read as one.
 */
function compose(values, html) {
  const lines = values.map(({ value }, index) => `f${index}: ${JSON.stringify(value)}\n`);
  return {
    content: `---\nfields: ${values.length}\n${lines.join("")}${HEAD_END}${html}`,
    front_matter: Object.fromEntries(values.map(({ use }, index) => [`f${index}`, use])),
  };
}

/** The values and the HTML of a rewritten article; throws where it is not of that form. */
function takeApart(content, count) {
  const lines = content.split("\n", count + 3);
  if (lines[0] !== "---" || lines[count + 2] !== "---") throw new Error("the reply has another front matter");
  const values = lines.slice(2, count + 2).map((line, index) => JSON.parse(line.slice(`f${index}: `.length)));
  const headLength = lines.reduce((length, line) => length + line.length + 1, 0);
  return { values, html: content.slice(headLength) };
}

/** The text before asset names in this reply: "/assets/", or that below the service's public address. */
function assetPrefix(images) {
  const named = images.find((image) => image.original);
  return named ? named.original.slice(0, named.original.lastIndexOf("/") + 1) : null;
}

function assetPattern(prefix) {
  const plain = prefix.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp((prefix.startsWith("/") ? BEGIN : "") + plain + ASSET, "g");
}

/** Names of the assets that `rewritten` names and `sent` did not. */
function assetNames(rewritten, sent, prefix) {
  const names = new Set(Array.from(rewritten.matchAll(assetPattern(prefix)), (match) => match[1]));
  return [...names].filter((name) => !sent.includes(prefix + name));
}

/** `text` with the assets in `names` led to `folder`, which ends in a slash. */
function ledToFolder(text, prefix, names, folder) {
  const known = new Set(names);
  return text.replace(assetPattern(prefix), (whole, name) => (known.has(name) ? folder + name : whole));
}

/** `text` with the paths that the service signed led to the service. */
function ledToService(text, service) {
  const path = new RegExp(`${BEGIN}/img/(?=(?:unsafe|[\\w-]{43})/[\\w.,]+/[\\w-]+)`, "g");
  return text.replace(path, `${service}/img/`);
}

/** Names of assets in `folder` that a text names. */
function namesIn(text, folder) {
  const plain = folder.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return Array.from(text.matchAll(new RegExp(plain + ASSET, "g")), (match) => match[1]);
}

/** `text` with paths into `folder` made absolute: readers of a feed do not know the site. */
function madeAbsolute(text, folder, absolute) {
  const plain = folder.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return text.replace(new RegExp(BEGIN + plain + ASSET, "g"), `${absolute}$1`);
}

module.exports = {
  assetNames,
  assetPrefix,
  compose,
  ledToFolder,
  ledToService,
  madeAbsolute,
  namesIn,
  takeApart,
};
