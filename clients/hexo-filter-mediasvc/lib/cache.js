"use strict";
// What earlier builds fetched: assets under their names, replies under the digest of their request.

const { createHash, randomUUID } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const UNUSED_DAYS = 30;
const DAY_MS = 86_400_000;

class Cache {
  constructor(folder) {
    this.folder = folder;
    this.fetching = new Map();
  }

  assetPath(name) {
    return path.join(this.folder, "assets", name);
  }

  has(name) {
    return fs.existsSync(this.assetPath(name));
  }

  /** Number of bytes of an asset; undefined where it is not here. Counts as a use. */
  size(name) {
    const file = this.assetPath(name);
    const size = fs.statSync(file, { throwIfNoEntry: false })?.size;
    if (size !== undefined) touch(file);
    return size;
  }

  /** Fetch an asset unless it is here, once for all posts. Gives the bytes that came, 0 for none. */
  async keep(name, fetchAsset) {
    if (this.has(name)) return 0;
    if (!this.fetching.has(name)) {
      const task = fetchAsset(name).then((data) => this.keepBytes(name, data));
      this.fetching.set(name, task.finally(() => this.fetching.delete(name)));
      return this.fetching.get(name);
    }
    await this.fetching.get(name);
    return 0;
  }

  keepBytes(name, data) {
    const digest = createHash("sha256").update(data).digest("hex");
    if (!name.startsWith(`${digest}.`)) throw new Error(`the asset ${name} came with other bytes`);
    write(this.assetPath(name), data);
    return data.length;
  }

  reply(key) {
    const file = this.replyPath(key);
    try {
      const reply = JSON.parse(fs.readFileSync(file, "utf8"));
      touch(file);
      return reply;
    } catch {
      return null; // absent, or cut short by a crash: the service is asked
    }
  }

  keepReply(key, reply) {
    write(this.replyPath(key), JSON.stringify(reply));
  }

  replyPath(key) {
    return path.join(this.folder, "replies", `${key}.json`);
  }

  /** Remove what no build of the last 30 days used. */
  prune(now = Date.now()) {
    for (const kind of ["assets", "replies"]) {
      const folder = path.join(this.folder, kind);
      for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
        const file = path.join(folder, name);
        const used = fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? now;
        if (now - used > UNUSED_DAYS * DAY_MS) fs.rmSync(file, { force: true });
      }
    }
  }
}

function keyOf(value) {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

function touch(file) {
  const now = new Date();
  fs.utimesSync(file, now, now);
}

function write(file, data) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${randomUUID()}`;
  fs.writeFileSync(temporary, data);
  fs.renameSync(temporary, file);
}

module.exports = { Cache, keyOf };
