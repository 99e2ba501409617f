// What changed between an article and its rewritten self; plain values in, plain values out.

const OWN = /(?:https?:\/\/[^\s"'<>()\\]*?)?\/(?:assets\/[0-9a-f]{64}\.[a-z0-9]+|img\/[\w-]+\/[\w,.-]+\/[\w-]+)/g;

/**
 * Parts in order: {same: text} or {before, after}. The service keeps every byte outside the values that it rewrites,
 * so the text between two of our own addresses must stand in the article too: that is what lines them up.
 */
export function changesBetween(before, after) {
  if (before === after) return before ? [{ same: before }] : [];
  return alignedAt(ownAddresses(after), before, after) ?? endsTrimmed(before, after);
}

function ownAddresses(text) {
  return [...text.matchAll(OWN)].map((match) => [match.index, match.index + match[0].length]);
}

function alignedAt(spans, before, after) {
  const parts = [];
  let at = 0;
  let from = 0;
  let pending = null;
  for (const [start, end] of [...spans, [after.length, after.length]]) {
    const same = after.slice(from, start);
    const last = start === after.length;
    const found = pending === null ? 0 : last ? before.length - same.length : before.indexOf(same, at);
    if (found < at || !before.startsWith(same, found)) return null;
    if (pending !== null) add(parts, before.slice(at, found), pending);
    add(parts, same, same);
    at = found + same.length;
    from = end;
    pending = after.slice(start, end);
  }
  return at === before.length ? parts : null;
}

function endsTrimmed(before, after) {
  const most = Math.min(before.length, after.length);
  let head = 0;
  while (head < most && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < most - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  const parts = [];
  add(parts, before.slice(0, head), after.slice(0, head));
  add(parts, before.slice(head, before.length - tail), after.slice(head, after.length - tail));
  add(parts, before.slice(before.length - tail), after.slice(after.length - tail));
  return parts;
}

function add(parts, before, after) {
  if (before !== after) parts.push({ before, after });
  else if (before && parts.at(-1)?.same !== undefined) parts.at(-1).same += before;
  else if (before) parts.push({ same: before });
}

/**
 * Excerpts that hold the changes, each with some text around it: {skipped, parts}. skipped: how many characters lie
 * between it and the one before; the last excerpt may have no parts and only say what follows.
 */
export function excerpts(parts, around = 70) {
  const found = [];
  let current = { skipped: 0, parts: [] };
  parts.forEach((part, position) => {
    if (part.same === undefined) {
      current.parts.push(part);
      return;
    }
    const text = part.same;
    const first = position === 0;
    const last = position === parts.length - 1;
    if (text.length <= (first || last ? 1.5 * around : 3 * around)) {
      current.parts.push(part);
      return;
    }
    const kept = first ? "" : cutAfter(text, around);
    const next = last ? "" : cutBefore(text, around);
    if (kept) current.parts.push({ same: kept });
    if (current.parts.length) found.push(current);
    current = { skipped: text.length - kept.length - next.length, parts: next ? [{ same: next }] : [] };
  });
  if (current.parts.length || current.skipped) found.push(current);
  return found;
}

// A pair of surrogates is one character: never cut in the middle of it.
const isLow = (text, at) => /[\udc00-\udfff]/.test(text.charAt(at));

function cutAfter(text, length) {
  return text.slice(0, isLow(text, length) ? length + 1 : length);
}

function cutBefore(text, length) {
  const start = text.length - length;
  return text.slice(isLow(text, start) ? start - 1 : start);
}
