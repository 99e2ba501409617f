"use strict";
// The HTTP interface of mediasvc: what a build asks of it, and when it stops asking.

const { createHmac } = require("node:crypto");

const TRIES = 4;
const LONGEST_WAIT_S = 10;
// So many requests in a row without an answer in time, and the service counts as down.
const TIMEOUTS = 3;

class Service {
  /** address: without a slash at its end. timeout_s: for one post, retries included. */
  constructor({ service, token, timeout, concurrency }) {
    this.address = service;
    this.token = token;
    this.timeout_s = timeout;
    this.slots = new Slots(concurrency);
    this.requests = 0;
    this.reset();
  }

  /** Forget what the last build saw. */
  reset() {
    this.down = null;
    this.timeouts = 0;
  }

  /** The JSON reply of POST /v1/rewrite. Throws an Error with a sentence for the log. */
  async rewrite(article) {
    const headers = { "Content-Type": "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const request = { method: "POST", headers, body: JSON.stringify(article) };
    return this.ask("/v1/rewrite", request, (reply) => reply.json());
  }

  /** The bytes of an asset. */
  async asset(name) {
    return this.ask(`/assets/${name}`, {}, async (reply) => Buffer.from(await reply.arrayBuffer()));
  }

  async ask(path, request, read) {
    return this.slots.run(async () => {
      if (this.down) throw new Error(this.down);
      const signal = AbortSignal.timeout(1000 * this.timeout_s);
      try {
        const answer = await this.tried(path, { ...request, signal }, read);
        this.timeouts = 0;
        return answer;
      } catch (error) {
        throw this.understood(error);
      }
    });
  }

  async tried(path, request, read) {
    for (let attempt = 1; ; attempt += 1) {
      this.requests += 1;
      const reply = await fetch(this.address + path, request);
      if (reply.ok) return read(reply);
      const busy = [429, 503].includes(reply.status) && attempt < TRIES;
      if (!busy) throw new Refused(reply.status, await sentence(reply));
      await reply.arrayBuffer();
      await pause(Math.min(Number(reply.headers.get("Retry-After")) || 1, LONGEST_WAIT_S), request.signal);
    }
  }

  /** The error for the log; also notes whether the next post should ask at all. */
  understood(error) {
    if (error instanceof Refused) {
      if (error.status !== 401) return error;
      this.down = `${error.message} (set token to the MEDIASVC_API_TOKEN of the service)`;
      return new Error(this.down);
    }
    if (error.name === "TimeoutError" || error.name === "AbortError") {
      this.timeouts += 1;
      const slow = `${this.address} did not answer within ${this.timeout_s} s`;
      if (this.timeouts >= TIMEOUTS) this.down = `${slow}, ${this.timeouts} times in a row`;
      return new Error(slow);
    }
    const reason = error.cause?.code ?? error.cause?.message ?? error.message;
    if (error instanceof TypeError) this.down = `${this.address} cannot be reached: ${reason}`;
    return new Error(this.down ?? reason);
  }
}

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** What a problem document says, in one line. */
async function sentence(reply) {
  const problem = await reply.json().catch(() => ({}));
  return [reply.status, problem.code, problem.detail].filter(Boolean).join(" ");
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

/** At most `count` tasks at once, the others wait in turn. */
class Slots {
  constructor(count) {
    this.free = count;
    this.waiting = [];
  }

  async run(task) {
    if (this.free > 0) this.free -= 1;
    else await new Promise((resolve) => this.waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.free += 1;
    }
  }
}

/** A signed path for a picture; needs nothing of the service but its key (hex). */
function signedPath(key, url, options = "original") {
  const path = `/${options}/${Buffer.from(url).toString("base64url")}`;
  return `/img/${createHmac("sha256", Buffer.from(key, "hex")).update(path).digest("base64url")}${path}`;
}

module.exports = { Service, Slots, signedPath };
