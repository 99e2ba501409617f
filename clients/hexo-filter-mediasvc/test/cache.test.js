"use strict";

const assert = require("node:assert/strict");
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { afterEach, beforeEach, test } = require("node:test");

const { Cache } = require("../lib/cache");

const DATA = Buffer.from("a picture");
const NAME = `${createHash("sha256").update(DATA).digest("hex")}.jpg`;
let folder;
let cache;

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "mediasvc-cache-"));
  cache = new Cache(folder);
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

test("an asset that two posts name is fetched once and counted once", async () => {
  let fetched = 0;
  const fetchAsset = async () => ((fetched += 1), DATA);

  const sizes = await Promise.all([cache.keep(NAME, fetchAsset), cache.keep(NAME, fetchAsset)]);

  assert.deepEqual([fetched, ...sizes.sort()], [1, 0, DATA.length]);
  assert.deepEqual(fs.readFileSync(cache.assetPath(NAME)), DATA);
  assert.equal(await cache.keep(NAME, fetchAsset), 0);
});

test("bytes that are not those of the name are not kept", async () => {
  await assert.rejects(cache.keep(NAME, async () => Buffer.from("cut")), /came with other bytes/);

  assert.equal(cache.has(NAME), false);
});

test("a reply that a crash cut short counts as absent", () => {
  cache.keepReply("key", { content: "x" });
  assert.deepEqual(cache.reply("key"), { content: "x" });

  fs.writeFileSync(cache.replyPath("key"), '{"content"');

  assert.equal(cache.reply("key"), null);
  assert.equal(cache.reply("another"), null);
});

test("what no build used for 30 days is removed", async () => {
  await cache.keep(NAME, async () => DATA);
  cache.keepReply("key", {});
  const later = Date.now() + 31 * 86_400_000;

  cache.prune(Date.now() + 29 * 86_400_000);
  assert.equal(cache.size(NAME), DATA.length);
  cache.prune(later);

  assert.equal(cache.size(NAME), undefined);
  assert.equal(cache.reply("key"), null);
});
