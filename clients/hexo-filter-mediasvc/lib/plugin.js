"use strict";
// The plugin in Hexo: which filter does what, and what is kept with a post between builds.

const fs = require("node:fs");
const path = require("node:path");

const article = require("./article");
const { Cache, keyOf } = require("./cache");
const { readConfig } = require("./config");
const { findFields, findPictures, replaced, restore } = require("./fields");
const { Rewriter } = require("./rewriter");
const { Service } = require("./service");
const { Summary } = require("./summary");

// Hexo renders posts in before_generate at 10: what is to be rendered again is chosen before.
const BEFORE_RENDER_POST = 5;
// Hexo takes the excerpt from the content in after_post_render at 10.
const BEFORE_EXCERPT = 5;
const MARKUP_FIELDS = ["excerpt", "description", "intro", "summary"];
const MAYBE_REMOTE = /https?:|\/\/|&#|&sol;|&colon;/i;
const DATA_FILE = /\.(?:xml|json|rss|atom|rdf|txt)$/i;
const FEED = /<(?:feed|rss|rdf:RDF)\b|jsonfeed\.org\/version/;
// An address in a search file: up to what ends it in Markdown, HTML and JSON.
const ADDRESS = /(?:https?:)?\/\/[^\s"'<>\\)\]]+/gi;

function register(hexo) {
  const section = hexo.config.mediasvc;
  if (section === false || section?.enable === false) return;
  const { filter, generator } = hexo.extend;
  let plugin;
  // Not before the first build: other commands need no valid section.
  const running = () => (plugin ??= new Plugin(hexo));
  filter.register("before_generate", () => running().start(), BEFORE_RENDER_POST);
  filter.register("after_post_render", (post) => running().post(post), section?.priority ?? BEFORE_EXCERPT);
  generator.register("mediasvc", () => running().routes());
  filter.register("after_generate", () => running().finish());
}

class Plugin {
  constructor(hexo) {
    this.hexo = hexo;
    this.config = readConfig(hexo.config.mediasvc);
    const { root, url } = hexo.config;
    const html = `${root.replace(/\/*$/, "/")}${this.config.path}/`;
    this.absolute = `${url.replace(/\/+$/, "")}/${this.config.path}/`;
    // Themes put the root before addresses of front matter: below a root only whole addresses are right.
    this.site = { html, fields: root === "/" ? html : this.absolute };
    this.service = new Service(this.config);
    this.cache = new Cache(path.resolve(hexo.base_dir, this.config.cache));
    this.rewriter = new Rewriter(this);
    this.summary = new Summary(hexo.log);
    const { mode, public_url, fields, options } = this.config;
    this.fingerprint = keyOf([mode, fields, options, this.site, mode === "lazy" ? public_url : ""]);
    this.settingsNames = new Set();
    this.followData();
  }

  // -- before a build ------------------------------------------------------------------------------------

  async start() {
    this.service.reset();
    this.summary.reset();
    await Promise.all(this.documents().filter((doc) => this.isStale(doc)).map((doc) => this.renew(doc)));
    if (this.config.settings) await this.settings();
  }

  documents() {
    const isPage = (doc) => ["html", "htm"].includes(this.hexo.render.getOutput(doc.source));
    return ["Post", "Page"].flatMap((model) => this.hexo.model(model).toArray()).filter(isPage);
  }

  /** True for a post whose content Hexo kept from an earlier build and that needs to be rewritten again. */
  isStale(doc) {
    if (typeof doc.content !== "string" || doc.mediasvc === false) return false;
    const mark = doc._mediasvc;
    if (mark?.fingerprint !== this.fingerprint || mark.again) return true;
    return this.namesOf(doc).some((name) => !this.cache.has(name));
  }

  /** Have Hexo render this post again, from what its file says. */
  async renew(doc) {
    const mark = doc._mediasvc;
    for (const [place, value] of mark?.fields ?? []) restore(doc, place, value);
    if (!(mark?.hasExcerpt ?? /^excerpt\s*:/m.test(doc.raw))) delete doc.excerpt;
    delete doc.content;
    delete doc.more;
    delete doc._mediasvc;
    await doc.save();
  }

  /** Lead pictures in the theme's settings, the site's and `source/_data` into the site. */
  async settings() {
    const { mediasvc, ...own } = this.hexo.config;
    const data = this.hexo.model("Data").toArray().map((doc) => [doc._id, doc.data]);
    const found = [
      ...findPictures(this.hexo.theme.config, "theme"),
      ...findPictures(own, "config"),
      ...findPictures(Object.fromEntries(data), "data"),
    ].map((place) => ({ ...place, use: "original" }));
    this.dataAddresses = new Map();
    if (!found.length) return;
    const names = new Map(found.map(({ value, name }) => [value, name]));
    const label = (source) => (source ? names.get(source) ?? "settings" : "settings");
    const done = await this.rewritten(found, "", this.config.options, label);
    if (!done) return;
    for (const name of done.names) this.settingsNames.add(name);
    found.forEach(({ value, holder, key, name }, index) => {
      if (name.startsWith("data.")) this.dataAddresses.set(value, done.values[index]);
      else holder[key] = done.values[index];
    });
  }

  /** Give themes `source/_data` with new addresses; Hexo's database keeps the old ones. */
  followData() {
    const given = this.hexo.locals.getters.data;
    this.dataAddresses = new Map();
    this.hexo.locals.set("data", () => {
      const data = given();
      return this.dataAddresses.size ? replaced(data, this.dataAddresses) : data;
    });
  }

  // -- a post --------------------------------------------------------------------------------------------

  /** Rewrite what Hexo has just rendered, before Hexo takes the excerpt from the content. */
  async post(post) {
    if (post.mediasvc === false || typeof post.content !== "string") return post;
    const label = post.source ?? post.title ?? "a fragment of a post";
    const options = { ...this.config.options, ...post.mediasvc };
    const mark = { fingerprint: this.fingerprint, hasExcerpt: post.excerpt !== undefined, fields: [] };
    const { values, put } = this.valuesOf(post, mark);
    const outcomes = [];
    if (values.length || MAYBE_REMOTE.test(post.content)) {
      const done = await this.rewritten(values, post.content, options, () => label);
      outcomes.push(done);
      if (done) post.content = done.html;
      const fields = done?.values ?? this.rewriter.signed(values);
      if (fields) put(fields);
    }
    for (const field of MARKUP_FIELDS) outcomes.push(await this.markup(post, field, options, label, mark));
    const asked = outcomes.filter((outcome) => outcome !== undefined);
    mark.again = asked.some((done) => done === null || done.images.some(({ status }) => status === "failed"));
    mark.names = [...new Set(asked.flatMap((done) => done?.names ?? []))];
    mark.images = asked.flatMap((done) => done?.images ?? []).flatMap(known);
    if (post.source) post._mediasvc = mark;
    return post;
  }

  /** Remote addresses in the fields as { value, use }, and a function that puts new ones in their place. */
  valuesOf(post, mark) {
    const scalars = findFields(post, this.config.fields);
    const values = scalars.flatMap(({ parts, remote, use }) =>
      remote.map((index) => ({ value: parts[index].trim(), use })),
    );
    const put = (addresses) => {
      const rest = [...addresses];
      for (const { value, holder, path: place, parts, remote } of scalars) {
        for (const index of remote) parts[index] = rest.shift();
        mark.fields.push([place, value]);
        holder[place.at(-1)] = parts.join("");
      }
    };
    return { values, put };
  }

  /** A field that holds HTML of its own. undefined: nothing to do; null: it failed. */
  async markup(post, field, options, label, mark) {
    const text = post[field];
    if (typeof text !== "string" || !text.includes("<") || !MAYBE_REMOTE.test(text)) return undefined;
    const done = await this.rewritten([], text, options, () => `${label} (${field})`);
    if (done && done.html !== text) {
      mark.fields.push([[field], text]);
      post[field] = done.html;
    }
    return done;
  }

  /** null: the service did not do it; the reason is in the log. */
  async rewritten(values, html, options, label) {
    try {
      const done = await this.rewriter.rewrite(values, html, options);
      this.summary.add(done, label);
      return done;
    } catch (error) {
      this.summary.keeps(label(), error.message);
      return null;
    }
  }

  // -- what the site gets --------------------------------------------------------------------------------

  namesOf(doc) {
    const texts = [doc.content, doc.excerpt, doc.more].filter((text) => typeof text === "string");
    const named = texts.flatMap((text) => article.namesIn(text, this.site.html));
    return [...new Set([...named, ...(doc._mediasvc?.names ?? [])])];
  }

  /** The assets that posts, pages and settings name, as routes of the site. */
  routes() {
    const names = new Set([...this.settingsNames, ...this.documents().flatMap((doc) => this.namesOf(doc))]);
    const { public_dir } = this.hexo;
    return [...names].flatMap((name) => {
      const size = this.cache.size(name);
      if (size === undefined) return [];
      const place = `${this.config.path}/${name}`;
      const data = () => fs.createReadStream(this.cache.assetPath(name));
      const written = fs.statSync(path.join(public_dir, place), { throwIfNoEntry: false })?.size;
      return [{ path: place, data: { data, modified: written !== size } }];
    });
  }

  /** Feeds get absolute addresses, search files made of raw Markdown the new ones; then the summary. */
  finish() {
    const images = new Map(this.documents().flatMap((doc) => doc._mediasvc?.images ?? []));
    for (const place of this.hexo.route.list().filter((name) => DATA_FILE.test(name))) {
      const text = this.hexo.route.routes[place].data;
      if (typeof text !== "string") continue;
      const changed = FEED.test(text.slice(0, 2000))
        ? article.madeAbsolute(text, this.site.html, this.absolute)
        : text.replace(ADDRESS, (address) => images.get(address.replaceAll("&amp;", "&")) ?? address);
      if (changed !== text) this.hexo.route.set(place, changed);
    }
    this.cache.prune();
    this.summary.say();
    const troubles = this.summary.troubles();
    if (troubles && this.config.on_error === "fail") {
      throw new Error(`mediasvc: ${troubles} (on_error: fail)`);
    }
  }
}

function known({ source, address, status }) {
  return status === "localised" && address ? [[source, address]] : [];
}

module.exports = { register };
