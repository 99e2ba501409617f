"use strict";
// What a build says about its pictures: a warning for each post that keeps some, one line at the end.

class Summary {
  constructor(log) {
    this.log = log;
    this.reset();
  }

  reset() {
    this.started = Date.now();
    this.articles = 0;
    this.pictures = new Set();
    this.fetched = 0;
    this.bytes = 0;
    this.failed = new Set();
    this.kept = new Set();
  }

  /** label: a function that names the post of a source. */
  add({ images, fetched, bytes }, label) {
    this.articles += 1;
    this.fetched += fetched;
    this.bytes += bytes;
    for (const { source, status, code, address } of images) {
      if (address) this.pictures.add(address);
      const line = `mediasvc: ${label(source)} keeps ${source} (${code})`;
      if (status !== "failed" || this.failed.has(line)) continue;
      this.failed.add(line);
      this.log.warn(line);
    }
  }

  keeps(label, reason) {
    if (!this.kept.has(label)) this.log.warn(`mediasvc: ${label} keeps its picture addresses: ${reason}`);
    this.kept.add(label);
  }

  /** "" for none. */
  troubles() {
    const articles = count(this.kept.size, "article keeps its addresses", "articles keep their addresses");
    const pictures = count(this.failed.size, "picture failed", "pictures failed");
    return [this.kept.size && articles, this.failed.size && pictures].filter(Boolean).join(", ");
  }

  say() {
    if (!this.articles && !this.kept.size) return;
    const pictures = count(this.pictures.size, "picture", "pictures");
    const done = `${count(this.articles, "article", "articles")} with ${pictures}`;
    const megabytes = (this.bytes / 1e6).toFixed(1);
    const came = this.fetched ? `${this.fetched} fetched (${megabytes} MB)` : "none fetched";
    const seconds = `${((Date.now() - this.started) / 1000).toFixed(1)} s`;
    this.log.info(`mediasvc: ${[done, came, this.troubles(), seconds].filter(Boolean).join(", ")}`);
  }
}

function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}

module.exports = { Summary };
