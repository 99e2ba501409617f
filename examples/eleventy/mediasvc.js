// An Eleventy plugin: pictures of every page by mediasvc, fetched during the build and published with the site.

import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";

const ASSET = /(?<![\w./:-])\/assets\/([0-9a-f]{64}\.[a-z0-9]+)/g;
const OWN = "/this-site/";
const PAGES_AT_ONCE = 4;
const TIMEOUT_MS = 60_000;

export default function (config, settings) {
  const slots = Array.from({ length: PAGES_AT_ONCE }, () => Promise.resolve());
  let next = 0;
  const inTurn = (task) => {
    const slot = next++ % PAGES_AT_ONCE;
    slots[slot] = slots[slot].then(task);
    return slots[slot];
  };

  config.addTransform("mediasvc", function (html) {
    const isPage = (this.page.outputPath || "").endsWith(".html");
    return isPage ? inTurn(() => rewritten(html, this.page.inputPath, this.baseHref)) : html;
  });

  // base: the site's address, before its own addresses where the HTML is for a feed; those are no remote pictures.
  async function rewritten(html, name, base) {
    try {
      const own = base ? html.replaceAll(base, OWN) : html;
      const article = { content: own, type: "html", mode: "eager", ...settings.options };
      const { content, images } = await (await ask("/v1/rewrite", article)).json();
      for (const { source, status, code } of images) {
        if (status === "failed") console.warn(`mediasvc: ${name} keeps ${source} (${code})`);
      }
      await Promise.all(Array.from(content.matchAll(ASSET), ([, asset]) => keep(asset)));
      return content.replace(ASSET, `${base ?? "/"}${settings.folder}/$1`).replaceAll(OWN, base ?? "/");
    } catch (error) {
      console.warn(`mediasvc: ${name} keeps its picture addresses: ${error.cause?.code ?? error.message}`);
      return html;
    }
  }

  async function keep(asset) {
    const file = path.join(config.directories.output, settings.folder, asset);
    if (existsSync(file)) return;
    await mkdir(path.dirname(file), { recursive: true });
    const reply = await ask(`/assets/${asset}`);
    const temporary = `${file}.${Math.random()}`;
    await writeFile(temporary, Buffer.from(await reply.arrayBuffer()));
    await rename(temporary, file);
  }

  async function ask(target, article) {
    const headers = { "Content-Type": "application/json" };
    if (settings.token) headers.Authorization = `Bearer ${settings.token}`;
    const request = article && { method: "POST", headers, body: JSON.stringify(article) };
    const reply = await fetch(settings.service + target, { ...request, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (reply.ok) return reply;
    const { code, detail } = await reply.json();
    throw new Error(`${reply.status} ${code} ${detail}`);
  }
}
