"use strict";
// One article through the service or the cache: its assets are fetched, its addresses led into the site.

const article = require("./article");
const { keyOf } = require("./cache");
const { signedPath } = require("./service");

class Rewriter {
  /**
   * site: { html, fields } are the folders of assets as HTML and as front matter name them.
   */
  constructor({ config, service, cache, site }) {
    this.config = config;
    this.service = service;
    this.cache = cache;
    this.site = site;
  }

  /**
   * Rewrite the fields and the HTML of one post.
   *
   * values: list of { value, use }.
   * options: those of /v1/rewrite, by their names there.
   * Gives { values, html, names, images, fetched, bytes }: images as { source, status, code, address },
   * names of assets used, and how many came new. Throws an Error with a sentence for the log.
   */
  async rewrite(values, html, options) {
    const { content, front_matter } = article.compose(values, html);
    const request = { ...options, content, front_matter, type: "html", mode: this.config.mode };
    // Assets are the same whichever service made them; signed paths are not.
    const key = keyOf([request, this.config.mode === "lazy" ? this.service.address : ""]);
    const cached = this.cache.reply(key);
    const isWhole = this.config.mode === "eager" && cached?.names.every((name) => this.cache.has(name));
    const reply = isWhole ? cached : await this.asked(request, key, cached);
    const brought = isWhole ? { fetched: 0, bytes: 0 } : await this.bring(reply.names);
    if (!isWhole && reply.images.every(({ status }) => status !== "failed")) this.cache.keepReply(key, reply);
    return { ...this.led(reply, values.length), ...brought };
  }

  /** The reply of the service; a lazy one of an earlier build where the service does not answer. */
  async asked(request, key, cached) {
    let reply;
    try {
      reply = await this.service.rewrite(request);
    } catch (error) {
      if (this.config.mode === "lazy" && cached) return cached;
      throw error;
    }
    const prefix = article.assetPrefix(reply.images);
    const isEager = this.config.mode === "eager" && prefix !== null;
    const names = isEager ? article.assetNames(reply.content, request.content, prefix) : [];
    const images = reply.images.map(({ source, status, code, original, thumbnail }) => {
      return { source, status, code, address: thumbnail ?? original };
    });
    return { content: reply.content, prefix, names, images };
  }

  async bring(names) {
    const sizes = await Promise.all(
      names.map((name) => this.cache.keep(name, (wanted) => this.service.asset(wanted))),
    );
    return {
      fetched: sizes.filter((size) => size > 0).length,
      bytes: sizes.reduce((sum, size) => sum + size, 0),
    };
  }

  led({ content, prefix, names, images }, count) {
    const { values, html } = article.takeApart(content, count);
    const lead = (text, folder) => {
      if (this.config.mode === "lazy") return article.ledToService(text, this.config.public_url);
      return prefix === null ? text : article.ledToFolder(text, prefix, names, folder);
    };
    return {
      values: values.map((value) => lead(value, this.site.fields)),
      html: lead(html, this.site.html),
      images: images.map((image) => {
        return { ...image, address: image.address && lead(image.address, this.site.html) };
      }),
      names,
    };
  }

  /** What the fields of a post become without the service: signed paths, where the key is known. */
  signed(values) {
    const { mode, key, public_url } = this.config;
    if (mode !== "lazy" || !key) return null;
    const absolute = (value) => (value.startsWith("//") ? `https:${value}` : value);
    return values.map(({ value }) => public_url + signedPath(key, absolute(value)));
  }
}

module.exports = { Rewriter };
