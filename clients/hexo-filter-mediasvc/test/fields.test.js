"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { findFields, findPictures, replaced, restore } = require("../lib/fields");

test("fields are found at the top, in objects, in lists and in objects of lists", () => {
  const post = {
    cover: "http://n.example/a",
    image: { url: "//n.example/b" },
    photos: ["http://n.example/c http://n.example/d a title", "/own.png"],
    gallery: [{ url: "http://n.example/e" }, { url: 3 }, null],
    banner: "/own.png",
  };
  const fields = {
    cover: "original",
    "image.url": "original",
    "photos[]": "original",
    "gallery[].url": "thumbnail",
    banner: "original",
    headimg: "original",
  };

  const found = findFields(post, fields);

  const addresses = found.flatMap(({ parts, remote }) => remote.map((index) => parts[index]));
  assert.deepEqual(
    addresses,
    ["a", "b", "c", "d", "e"].map((name) => (name === "b" ? "//n.example/b" : `http://n.example/${name}`)),
  );
  assert.deepEqual(found.at(-1).path, ["gallery", 0, "url"]);
  assert.equal(found.at(-1).use, "thumbnail");
});

test("an address with a blank is one address, but in photos", () => {
  const [{ parts, remote }] = findFields({ cover: "http://n.example/a b.jpg" }, { cover: "original" });

  assert.deepEqual(remote.map((index) => parts[index]), ["http://n.example/a b.jpg"]);
});

test("a skipped field is not found", () => {
  assert.deepEqual(findFields({ cover: "http://n.example/a" }, { cover: "skip" }), []);
});

test("a value goes back to its place, where that is still there", () => {
  const post = { image: { url: "new" }, gallery: [] };

  restore(post, ["image", "url"], "old");
  restore(post, ["gallery", 0, "url"], "old");

  assert.deepEqual(post, { image: { url: "old" }, gallery: [] });
});

test("pictures are found in settings by what they look like", () => {
  const settings = {
    avatar: "https://n.example/me.png?v=1",
    covers: ["https://w.workers.dev/?http://n.example/a", "https://n.example/script.js"],
    vendors: { icon: "https://cdn.example/icon.svg" },
    home: "https://n.example/",
  };
  settings.self = settings;

  assert.deepEqual(
    findPictures(settings, "theme").map(({ name }) => name),
    ["theme.avatar", "theme.covers.0"],
  );
});

test("a copy of data has new addresses, the data itself does not", () => {
  const data = { friends: [{ avatar: "old", name: "A" }], when: new Date(0) };

  const copy = replaced(data, new Map([["old", "new"]]));

  assert.deepEqual([copy.friends[0].avatar, data.friends[0].avatar], ["new", "old"]);
  assert.equal(copy.when, data.when);
});
