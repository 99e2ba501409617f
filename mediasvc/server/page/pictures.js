// The pictures of a rewritten article: where each came from, what it became, what it saves.

import { h } from "./dom.js";
import * as service from "./service.js";
import { bytes, counted, percentSaved, pixels, reason } from "./words.js";

/** The reported images by the picture that they name, in order of first appearance, numbered from 1. */
export function picturesOf(images) {
  const byAddress = new Map();
  for (const image of images) {
    const address = image.origin || image.source;
    if (!byAddress.has(address)) byAddress.set(address, { number: byAddress.size + 1, address, places: [] });
    byAddress.get(address).places.push(image);
  }
  return [...byAddress.values()].map((picture) => {
    const localised = picture.places.filter((place) => place.status === "localised");
    const failed = picture.places.find((place) => place.status === "failed");
    return {
      ...picture,
      // The place with the most wrappers tells the most.
      source: picture.places.reduce((longest, { source }) => (source.length > longest.length ? source : longest), ""),
      status: localised.length ? "localised" : failed ? "failed" : "left",
      code: failed?.code ?? null,
      shown: localised.find((place) => place.thumbnail) ?? localised[0] ?? null,
      declared: picture.places.find((place) => place.declared_size)?.declared_size ?? null,
      warnings: [...new Set(picture.places.flatMap((place) => place.warnings ?? []))],
    };
  });
}

/**
 * A list item for one picture, and what fills it: a function whose promise is kept when all about the picture is
 * known, {from, to} in bytes, or null where nothing was made.
 */
export function pictureItem(picture) {
  const shots = h("div", { class: "shots" });
  const layers = h("ol", { class: "layers", "aria-label": "Where it came from" });
  const outcome = h("div", { class: "outcome" });
  const warnings = picture.warnings.map((words) => h("p", { class: "warning" }, words));
  const about = h("div", { class: "about" }, title(picture), places(picture), layers, outcome, warnings);
  const item = h("li", { class: `picture ${picture.status}`, id: `picture-${picture.number}`, tabindex: "-1" }, shots, about);
  layers.append(layerRow(picture.status === "left" ? "source" : "origin", clipped(picture.address)));
  const fill = async () => {
    const resolved = picture.status === "left" ? null : showLayers(layers, picture);
    const sizes = picture.status === "localised" ? await measure(picture, shots, outcome) : explain(picture, shots, outcome);
    await resolved;
    return sizes;
  };
  return { item, fill };
}

function title(picture) {
  return h(
    "h4",
    {},
    h("span", { class: "frame", "aria-hidden": "true" }, String(picture.number)),
    nameOf(picture.address),
  );
}

function nameOf(address) {
  if (/^\s*data:/i.test(address)) return "A picture within the article";
  try {
    const url = new URL(address);
    const last = url.pathname.split("/").filter(Boolean).at(-1);
    return last ? decodeURIComponent(last) : url.host;
  } catch {
    return address.length > 60 ? `${address.slice(0, 60)}…` : address || "An empty address";
  }
}

function places(picture) {
  const counts = new Map();
  for (const place of picture.places) counts.set(place.where, (counts.get(place.where) ?? 0) + 1);
  const box = picture.declared ? ` The article asks for ${pixels(...picture.declared)}.` : "";
  return h(
    "p",
    { class: "places" },
    "In ",
    [...counts].flatMap(([where, count], position) => [
      position ? ", " : "",
      h("code", {}, where),
      count > 1 ? ` ${count} times` : "",
    ]),
    `.${box}`,
  );
}

const layerRow = (kind, address) =>
  h("li", { class: kind === "origin" ? "origin" : "wrapper" }, h("span", { class: "kind" }, kind), h("code", {}, address));

const clipped = (address) => (address.length > 300 ? `${address.slice(0, 300)}…` : address);

// A wrapper's line shows the wrapper alone; what it carried stands on the next line.
function shortened(address, inner) {
  for (const form of [inner, inner.replace(/^https?:\/\//, ""), encodeURIComponent(inner)]) {
    const at = form ? address.indexOf(form) : -1;
    if (at > 0) return `${address.slice(0, at)}…${address.slice(at + form.length)}`;
  }
  return address;
}

async function showLayers(list, picture) {
  let resolved;
  try {
    resolved = await service.resolve(picture.source);
  } catch {
    return;
  }
  const addresses = [resolved.source, ...resolved.layers.map((layer) => layer.url)];
  const rows = resolved.layers.map((layer, depth) => layerRow(layer.wrapper, clipped(shortened(addresses[depth], addresses[depth + 1]))));
  list.replaceChildren(...rows, layerRow("origin", resolved.origin));
  [...list.children].forEach((row, depth) => row.style.setProperty("--depth", String(depth)));
}

async function measure(picture, shots, outcome) {
  const was = shot("Before", shots, picture.shown.dominant);
  const is = shot("After", shots, picture.shown.dominant);
  const { original, thumbnail } = picture.shown;
  try {
    const before = await copyOf(original, picture.shown.original_bytes);
    const after = await copyOf(thumbnail ?? original, picture.shown.bytes);
    was.show(before, "The original", 1);
    is.show(after, "What the article shows now", after.bytes / before.bytes);
    outcome.append(...became(thumbnail, before, after));
    return { from: before.bytes, to: after.bytes };
  } catch (error) {
    shots.closest(".picture").classList.replace("localised", "failed");
    explain({ ...picture, status: "failed", code: error.code }, shots, outcome);
    return null;
  }
}

// Our copy of a picture. Without a known size it has not been fetched yet: looking at it fetches it.
async function copyOf(path, size) {
  const address = service.ownAddress(path);
  if (typeof size === "number") return { address, source: address, bytes: size };
  const blob = await service.look(address);
  return { address, source: URL.createObjectURL(blob), bytes: blob.size };
}

function became(thumbnail, before, after) {
  const same = after.address === before.address || after.bytes === before.bytes;
  const verdict = !thumbnail
    ? "The original, byte for byte."
    : same
      ? "The original already fits: it is its own thumbnail."
      : `${percentSaved(before.bytes, after.bytes)}\u00a0% lighter: ${bytes(before.bytes)} became ${bytes(after.bytes)}.`;
  const link = (copy, name) =>
    h("a", { href: copy.address, target: "_blank", rel: "noopener" }, name, " ", shortName(copy.address));
  return [
    h("p", { class: "verdict" }, verdict),
    h("p", { class: "links" }, link(before, "Original"), same ? "" : link(after, "Thumbnail")),
  ];
}

function leftAlone(address) {
  if (/^\s*data:/i.test(address)) return "Its bytes are in the article already.";
  if (service.ownAddress(address)) return "It is local already.";
  return "It is relative. Give the page’s address above to have it fetched.";
}

// Names of assets are digests: their beginning and their ending tell enough.
function shortName(address) {
  const asset = /\/assets\/([0-9a-f]{10})[0-9a-f]*(\.\w+)$/.exec(address);
  return asset ? h("code", {}, `${asset[1]}…${asset[2]}`) : "";
}

function explain(picture, shots, outcome) {
  const failed = picture.status === "failed";
  shots.replaceChildren(
    h("div", { class: "no-shot" }, failed ? "No picture" : "Left as it was"),
  );
  outcome.replaceChildren(
    h("p", { class: "verdict" }, failed ? reason(picture.code) : leftAlone(picture.address)),
    h("p", { class: "quiet" }, "Its text stays as it was.", failed && picture.code ? [" Code: ", h("code", {}, picture.code)] : ""),
  );
  return null;
}

function shot(name, shots, dominant) {
  const frame = h("div", { class: "shot-frame" });
  if (/^#[0-9a-f]{6}$/i.test(dominant ?? "")) frame.style.setProperty("background-color", dominant);
  const caption = h("figcaption", {}, h("b", {}, name));
  shots.append(h("figure", { class: `shot ${name.toLowerCase()}` }, frame, caption));
  return {
    show(copy, alt, share) {
      const image = h("img", { src: copy.source, alt, loading: "lazy", decoding: "async" });
      const dimensions = h("span", {});
      const bar = h("span", { class: "bar", "aria-hidden": "true" });
      bar.style.setProperty("--share", String(Math.max(0.015, Math.min(1, share || 0))));
      image.addEventListener("load", () => {
        dimensions.textContent = pixels(image.naturalWidth, image.naturalHeight);
      });
      image.addEventListener("error", () => frame.replaceChildren(h("span", { class: "quiet" }, "Cannot be shown here")));
      frame.append(image);
      caption.append(dimensions, h("span", {}, bytes(copy.bytes)), bar);
    },
  };
}

/** What all pictures saved together, as figures: [name, value, note]. sizes: of pictureItem, null left out. */
export function savings(sizes) {
  const from = sizes.reduce((sum, size) => sum + size.from, 0);
  const to = sizes.reduce((sum, size) => sum + size.to, 0);
  return [
    ["Originals", bytes(from), counted(sizes.length, "picture")],
    ["Readers now load", bytes(to), ""],
    ["Saved", `${percentSaved(from, to)}\u00a0%`, from > to ? bytes(from - to) : ""],
  ];
}
