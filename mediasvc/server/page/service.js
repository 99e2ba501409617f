// The service's own routes, asked relative to this page so that a proxy may put it under any path.

const HERE = new URL(".", document.baseURI);
let token = "";

/** What the service said went wrong (application/problem+json), or that it could not be reached: status 0. */
export class Problem extends Error {
  constructor(status, code, detail, requestId = "") {
    super(detail);
    Object.assign(this, { status, code, requestId });
  }
}

export const useToken = (text) => {
  token = text;
};

async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let reply;
  try {
    reply = await fetch(new URL(path, HERE), { credentials: "same-origin", ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "unreachable", "The service does not answer. Is it still running?");
  }
  if (reply.ok) return reply;
  const problem = await reply.json().catch(() => ({}));
  const wait = reply.headers.get("Retry-After");
  const detail = problem.detail || problem.title || `The service answered ${reply.status}.`;
  throw new Problem(
    reply.status,
    problem.code ?? "",
    wait && reply.status !== 401 ? `${detail} Try again in ${wait} s.` : detail,
    reply.headers.get("X-Request-ID") ?? "",
  );
}

const json = async (path, options) => (await ask(path, options)).json();

export const rewrite = (request, signal) =>
  json("v1/rewrite", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
    signal,
  });

export const resolve = (url) => json(`v1/resolve?url=${encodeURIComponent(url)}`);
export const example = () => json("v1/example");
export const stats = () => json("v1/stats");

/**
 * The address of our own copy, or null. path: as a report names it ("assets/…", "/img/…", or under the public
 * address, which may lead elsewhere: the picture is taken from this very service all the same).
 */
export function ownAddress(path) {
  const own = /(?:^|\/)(assets\/[0-9a-f]{64}\.\w+|img\/[\w-]+\/[\w,.-]+\/[\w-]+)$/.exec(path ?? "");
  return own ? new URL(own[1], HERE).href : null;
}

/** The bytes of our own copy, fetched from its origin if need be, in the format that this browser's pages would get. */
export const look = async (address) =>
  (await ask(address, { headers: { Accept: "image/avif,image/webp,image/*,*/*;q=0.8" } })).blob();

/** Runs work over items, at most `limit` at a time; each failure is its own. */
export async function eachOf(items, limit, work) {
  const queue = items.values();
  const lane = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
}
