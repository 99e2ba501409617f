// The page: one article in, its rewritten self and its pictures out.

import * as article from "./article.js";
import { changesBetween, excerpts } from "./changes.js";
import { byId, figure, h } from "./dom.js";
import { picturesOf, pictureItem, savings } from "./pictures.js";
import * as service from "./service.js";
import { showText } from "./text.js";
import { askForToken } from "./token.js";
import { counted, languageOf, number, statFigures } from "./words.js";

const PICTURES_AT_ONCE = 48;
const ASKING_AT_ONCE = 6;
const TITLE = document.title;

const calm = matchMedia("(prefers-reduced-motion: reduce)");
let running = null;
let latest = null;
let rounds = 0;

function say(words) {
  byId("status").textContent = words;
}

function complain(error) {
  const box = byId("problem");
  const details = [error.code && `Code: ${error.code}`, error.requestId && `Request: ${error.requestId}`].filter(Boolean);
  box.replaceChildren(h("p", {}, error.message), details.length ? h("p", { class: "quiet" }, details.join(" · ")) : "");
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
}

function setRunning(controller) {
  running = controller;
  const busy = controller !== null;
  byId("progress").hidden = !busy;
  byId("cancel").hidden = !busy;
  byId("run").disabled = busy;
  byId("run").textContent = busy ? "Rewriting…" : "Rewrite the article";
  byId("form").setAttribute("aria-busy", String(busy));
  document.title = busy ? `Rewriting… · ${TITLE}` : TITLE;
  if (!busy) byId("run").focus({ preventScroll: true });
}

async function withToken(work) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (error.status !== 401 || !(await askForToken())) throw error;
    }
  }
}

async function run() {
  if (running) return;
  byId("problem").hidden = true;
  if (article.isEmpty()) {
    complain(new Error("There is no article yet. Paste one, open a file, or take the example."));
    byId("article").focus();
    return;
  }
  const content = article.text();
  const mode = new FormData(byId("form")).get("mode");
  const base = byId("base").value.trim();
  const request = { content, type: byId("type").value, mode, ...(base && { base_url: base }) };
  const controller = new AbortController();
  byId("article").lang = languageOf(content);
  setRunning(controller);
  say(mode === "eager" ? "Fetching the pictures and rewriting the article." : "Rewriting the article.");
  let reply = null;
  let failure = null;
  try {
    reply = await withToken(() => service.rewrite(request, controller.signal));
  } catch (error) {
    failure = error;
  }
  setRunning(null);
  if (reply) {
    latest = { before: content, after: reply.content, name: article.nameFor(content) };
    showResult(reply, mode);
  } else if (failure.name === "AbortError") {
    say("Cancelled. Nothing was changed.");
  } else {
    say("");
    complain(failure);
  }
  void showStats();
}

function headline({ references, localised }, mode) {
  if (references === 0) return "This article names no pictures";
  if (localised === 0) return "Nothing could be made local";
  const verb = mode === "eager" ? ["is local now", "are local now"] : ["leads here now", "lead here now"];
  if (localised === references) return references === 1 ? `The one place ${verb[0]}` : `All ${number(references)} places ${verb[1]}`;
  return `${number(localised)} of ${counted(references, "place")} ${localised === 1 ? verb[0] : verb[1]}`;
}

/** Text and links that follow the headline. */
function remark({ localised, left, failed }, mode, pictures) {
  const first = (status) => pictures.find((picture) => picture.status === status)?.number;
  const link = (status, words) => (first(status) ? h("a", { href: `#picture-${first(status)}` }, words) : words);
  const parts = [];
  if (failed) {
    parts.push(link("failed", `${number(failed)} failed`));
    parts.push(` and ${failed === 1 ? "keeps its" : "keep their"} text; the reason stands beside each picture. `);
  }
  if (left) parts.push(link("left", `${number(left)} ${left === 1 ? "was" : "were"} left alone`), ". ");
  if (mode === "lazy" && localised) {
    parts.push("Each picture is fetched when somebody first looks at it, as this page does now.");
  }
  return parts.length ? parts : ["Everything around them is the same, byte for byte."];
}

function showResult(reply, mode) {
  const pictures = picturesOf(reply.images);
  byId("result-title").textContent = headline(reply.counts, mode);
  byId("result-note").replaceChildren(...remark(reply.counts, mode, pictures));
  byId("result").hidden = false;
  document.title = `${headline(reply.counts, mode)} · mediasvc`;
  showPictures(pictures);
  showChanges(pictures);
  say(`${byId("result-title").textContent}. ${byId("result-note").textContent}`);
  byId("result-title").focus({ preventScroll: true });
  byId("result").scrollIntoView({ behavior: calm.matches ? "auto" : "smooth", block: "start" });
}

function showPictures(pictures) {
  const list = byId("pictures");
  const more = byId("more-pictures");
  for (const image of list.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  list.replaceChildren();
  byId("totals").replaceChildren();
  list.closest("section").hidden = pictures.length === 0;
  const sizes = [];
  let shown = 0;
  const round = ++rounds;

  const next = async () => {
    const batch = pictures.slice(shown, shown + PICTURES_AT_ONCE);
    shown += batch.length;
    more.hidden = shown >= pictures.length;
    more.textContent = `Show ${counted(Math.min(PICTURES_AT_ONCE, pictures.length - shown), "more picture")}`;
    const items = batch.map(pictureItem);
    list.append(...items.map(({ item }) => item));
    await service.eachOf(items, ASKING_AT_ONCE, async ({ fill }) => {
      const size = await fill();
      if (size) sizes.push(size);
    });
    if (round !== rounds) return; // another article has taken the place of this one
    if (sizes.length) byId("totals").replaceChildren(...savings(sizes).map((entry) => figure(...entry)));
    void showStats();
    setTimeout(showStats, FIGURES_KEPT_MS);
  };
  more.onclick = next;
  void next();
}

function showChanges(pictures) {
  const parts = changesBetween(latest.before, latest.after);
  const numbers = new Map();
  for (const picture of pictures) {
    for (const place of picture.places) {
      for (const path of [place.original, place.thumbnail]) {
        const address = service.ownAddress(path);
        if (address) numbers.set(address, picture.number);
      }
    }
  }
  const numberOf = (text) => numbers.get(service.ownAddress(text)) ?? null;
  const language = document.getElementById("article").lang;
  const whole = byId("whole");
  const more = byId("more-text");
  const show = (everything) => {
    const pieces = everything ? [{ skipped: 0, parts }] : excerpts(parts);
    const view = showText(byId("text"), pieces, numberOf, language);
    const label = (left) => {
      more.hidden = left === 0;
      more.textContent = `Show ${counted(left, "more excerpt")}`;
    };
    label(view.left);
    more.onclick = () => label(view.more());
    whole.setAttribute("aria-pressed", String(everything));
    whole.textContent = everything ? "Show only what changed" : "Show the whole text";
  };
  whole.onclick = () => show(whole.getAttribute("aria-pressed") !== "true");
  show(false);
}

async function copy() {
  try {
    await navigator.clipboard.writeText(latest.after);
  } catch {
    // Browsers keep the clipboard from pages that were not fetched over https: the old way still works there.
    const carrier = h("textarea", { class: "visually-hidden", "aria-hidden": "true" });
    carrier.value = latest.after;
    byId("result").append(carrier);
    carrier.select();
    document.execCommand("copy");
    carrier.remove();
    byId("copy").focus();
  }
  confirmOn(byId("copy"), "Copied");
  say("The rewritten article is on the clipboard.");
}

function download() {
  const address = URL.createObjectURL(new Blob([latest.after], { type: "text/plain;charset=utf-8" }));
  h("a", { href: address, download: latest.name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
  say(`${latest.name} is being saved.`);
}

function confirmOn(button, words) {
  const usual = button.dataset.usual ?? button.textContent;
  button.dataset.usual = usual;
  button.textContent = words;
  setTimeout(() => {
    button.textContent = usual;
  }, 1800);
}

// The service counts anew when its figures are 5 s old.
const FIGURES_KEPT_MS = 5500;

async function showStats() {
  const note = byId("stats-note");
  try {
    const figures = statFigures(await service.stats());
    byId("stats").replaceChildren(...figures.map((entry) => figure(...entry)));
    note.textContent = "";
  } catch (error) {
    byId("stats").replaceChildren();
    note.textContent = error.status === 401 ? "The figures are shown once a token was given." : error.message;
  }
}

async function offerExample() {
  let example;
  try {
    example = await service.example();
  } catch {
    return;
  }
  const button = byId("example");
  const take = () => article.put(example.content, `example.${example.type === "html" ? "html" : "md"}`);
  button.hidden = false;
  button.addEventListener("click", () => {
    take();
    byId("example-note").hidden = Boolean(example.ready);
    say("The example is in the text field.");
    byId("article").focus({ preventScroll: true });
  });
  if (example.ready && article.isEmpty()) take();
}

async function openFile(file) {
  byId("problem").hidden = true;
  byId("example-note").hidden = true;
  try {
    await article.open(file);
    say(`${file.name} is in the text field.`);
  } catch (error) {
    complain(error);
  }
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  void run();
});
byId("article").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    void run();
  }
});
byId("cancel").addEventListener("click", () => running?.abort());
byId("copy").addEventListener("click", () => void copy());
byId("download").addEventListener("click", download);
byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) void openFile(file);
  event.target.value = "";
});
article.onDrop((file, text) => {
  if (file) void openFile(file);
  else article.put(text);
});
void offerExample();
void showStats();
