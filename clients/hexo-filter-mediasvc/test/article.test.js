"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const article = require("../lib/article");

const NAME = `${"a".repeat(64)}.jpg`;
const OTHER = `${"b".repeat(64)}.webp`;

test("values and HTML come back as they were sent", () => {
  const values = [
    { value: 'http://news.example/a"b\\c.jpg', use: "original" },
    { value: "http://news.example/湖.jpg", use: "thumbnail" },
  ];
  const html = "---\nnot: front matter\n---\n<p>\n\n</p>";

  const { content, front_matter } = article.compose(values, html);

  assert.deepEqual(front_matter, { f0: "original", f1: "thumbnail" });
  assert.deepEqual(article.takeApart(content, 2), { values: values.map(({ value }) => value), html });
});

test("without values the HTML is still behind a front matter", () => {
  const { content } = article.compose([], "---\ncover: x\n---\n");

  assert.deepEqual(article.takeApart(content, 0), { values: [], html: "---\ncover: x\n---\n" });
});

test("a reply of another form is refused", () => {
  assert.throws(() => article.takeApart("<p>", 0), /front matter/);
});

test("assets are those that the reply names and the article did not", () => {
  const sent = `<img src="/assets/${OTHER}">`;
  const reply = `<img src="/assets/${NAME}"><img src="/assets/${OTHER}">`;

  assert.deepEqual(article.assetNames(reply, sent, "/assets/"), [NAME]);
});

test("only whole paths are led into the site", () => {
  const text = `"/assets/${NAME}" (/assets/${NAME}) http://elsewhere.example/assets/${NAME} x/assets/${NAME}`;

  const led = article.ledToFolder(text, "/assets/", [NAME], "/blog/mediasvc/");

  assert.equal(
    led,
    `"/blog/mediasvc/${NAME}" (/blog/mediasvc/${NAME}) ` +
      `http://elsewhere.example/assets/${NAME} x/assets/${NAME}`,
  );
});

test("assets under the public address of the service are led into the site", () => {
  const prefix = article.assetPrefix([{ original: null }, { original: `https://m.example/assets/${NAME}` }]);

  const led = article.ledToFolder(`<img src="https://m.example/assets/${NAME}">`, prefix, [NAME], "/m/");

  assert.equal(led, `<img src="/m/${NAME}">`);
});

test("signed paths are led to the service, other paths stay", () => {
  const signed = `/img/${"s".repeat(43)}/600x400,webp/aHR0cDovLw`;
  const text = `<img srcset="${signed} 1x, /img/unsafe/original/aHR0 2x" src="/img/logo/large/a.png">`;

  assert.equal(
    article.ledToService(text, "https://m.example"),
    `<img srcset="https://m.example${signed} 1x, https://m.example/img/unsafe/original/aHR0 2x" ` +
      'src="/img/logo/large/a.png">',
  );
});

test("a feed gets absolute addresses once", () => {
  const text = `"/m/${NAME}" &quot;/m/${NAME}&quot; https://blog.example/m/${NAME}`;

  const absolute = article.madeAbsolute(text, "/m/", "https://blog.example/m/");

  assert.equal(absolute.match(/https:\/\/blog\.example\/m\//g).length, 3);
  assert.equal(article.madeAbsolute(absolute, "/m/", "https://blog.example/m/"), absolute);
});
