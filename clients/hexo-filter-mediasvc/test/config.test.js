"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { readConfig } = require("../lib/config");

test("without a section everything has its default", () => {
  const config = readConfig(undefined, {});

  assert.equal(config.service, "http://127.0.0.1:8080");
  assert.equal(config.public_url, config.service);
  assert.equal(config.mode, "eager");
  assert.deepEqual(config.options, {});
  assert.equal(config.fields.thumbnail, "thumbnail");
});

test("what is not the plugin's own goes to the service by its name", () => {
  const section = { mode: "lazy", "promote-lazy": true, densities: [1, 2], size: null };

  assert.deepEqual(readConfig(section, {}).options, { promote_lazy: true, densities: [1, 2] });
});

test("secrets come from the environment where the section has none", () => {
  const environment = { MEDIASVC_API_TOKEN: "secret", MEDIASVC_SIGNING_KEYS: "00ff, 11ee" };

  assert.deepEqual(
    [readConfig({}, environment).token, readConfig({}, environment).key, readConfig({ token: "own" }, environment).token],
    ["secret", "00ff", "own"],
  );
});

test("fields of the section come to the known ones", () => {
  const { fields } = readConfig({ front_matter: { hero: "original", cover: "skip" } }, {});

  assert.deepEqual([fields.hero, fields.cover, fields.headimg], ["original", "skip", "original"]);
});

test("every problem is named", () => {
  const section = { service: "127.0.0.1:8080", mode: "soon", concurrency: 0, timeout: "1m", path: "../x", key: "xyz" };

  assert.throws(() => readConfig(section, {}), (error) => {
    const names = ["service", "mode", "concurrency", "timeout", "path", "key"];
    return names.every((name) => error.message.includes(`${name} is`));
  });
});
