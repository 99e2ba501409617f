"use strict";
// Picture addresses in front matter, settings and data: finding them and putting new ones in their place.

const REMOTE = /^(?:https?:)?\/\//i;
const PICTURE = /\.(?:jpe?g|png|gif|webp|avif|svg|bmp|ico|heic|tiff?)(?:[?#!@]|$)|\/\?https?:/i;

/** Steps of a field such as `gallery[].url`: names, and null for every item of a list. */
function steps(field) {
  return field.split(".").flatMap((name) => (name.endsWith("[]") ? [name.slice(0, -2), null] : [name]));
}

/**
 * Remote addresses in the fields of a post.
 *
 * fields: field to "thumbnail", "original" or "skip".
 * Gives a list of { parts, remote, use, holder, path }: the pieces of the value, which of them are remote
 * addresses, and its place; the last step of path is the key in holder.
 */
function findFields(post, fields) {
  return Object.entries(fields).flatMap(([field, use]) =>
    use === "skip"
      ? []
      : places(post, steps(field)).map((place) => ({ ...place, ...pieces(place.value, field), use })),
  );
}

function places(holder, [step, ...rest], path = []) {
  if (holder === null || typeof holder !== "object") return [];
  if (step === null) {
    if (!Array.isArray(holder)) return [];
    return holder.flatMap((_, index) => places(holder, [index, ...rest], path));
  }
  const here = [...path, step];
  if (rest.length) return places(holder[step], rest, here);
  const value = holder[step];
  return typeof value === "string" && REMOTE.test(value.trim()) ? [{ value, holder, path: here }] : [];
}

/** Put `value` at a path of findFields, as far as the way to it is still there. */
function restore(post, path, value) {
  const holder = path.slice(0, -1).reduce((inner, step) => inner?.[step], post);
  if (holder !== null && typeof holder === "object") holder[path.at(-1)] = value;
}

/** An item of `photos` may be `address thumbnail title`; every other value is one address. */
function pieces(value, field) {
  const parts = field === "photos[]" ? value.trim().split(/(\s+)/) : [value];
  return { parts, remote: parts.flatMap((part, index) => (REMOTE.test(part.trim()) ? [index] : [])) };
}

// Where themes list the files of their own libraries.
const LIBRARIES = /^(?:vendors?|cdn)$/i;

/** Every string below `root` that is the remote address of a picture, as { value, holder, key, name }. */
function findPictures(root, name) {
  const found = [];
  const seen = new Set();
  const walk = (holder, path) => {
    if (holder === null || typeof holder !== "object" || seen.has(holder)) return;
    seen.add(holder);
    for (const [key, value] of Object.entries(holder)) {
      if (LIBRARIES.test(key)) continue;
      if (typeof value !== "string") walk(value, `${path}.${key}`);
      else if (REMOTE.test(value) && !/\s/.test(value) && PICTURE.test(value)) {
        found.push({ value, holder, key, name: `${path}.${key}` });
      }
    }
  };
  walk(root, name);
  return found;
}

/** A copy of plain data in which the strings that `addresses` knows are replaced. */
function replaced(data, addresses) {
  if (typeof data === "string") return addresses.get(data) ?? data;
  if (Array.isArray(data)) return data.map((item) => replaced(item, addresses));
  if (data === null || typeof data !== "object" || data.constructor !== Object) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, replaced(value, addresses)]));
}

module.exports = { findFields, findPictures, replaced, restore };
