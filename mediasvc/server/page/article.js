// The article in the text field: typed, pasted, dropped, opened or the example, and the exact text behind it.

import { byId } from "./dom.js";
import { languageOf } from "./words.js";

const field = byId("article");
const nameLine = byId("file-name");

// A text field turns every line end into one kind. What was opened is sent as it was, as long as nobody edits it.
let opened = null;

export function put(text, name = "") {
  field.value = text;
  opened = { text, name, shown: field.value };
  nameLine.textContent = name;
  nameLine.hidden = !name;
  field.lang = languageOf(text);
  field.scrollTop = 0;
}

export const isEmpty = () => field.value.trim() === "";

export const text = () => (opened && opened.shown === field.value ? opened.text : field.value);

/** A name for the result: the opened file's, else one that fits what the text looks like. */
export function nameFor(content) {
  if (opened?.name && opened.shown === field.value) return opened.name;
  return /^\ufeff?\s*(<!doctype|<html)/i.test(content) ? "article.html" : "article.md";
}

/** Reads a file into the field. Rejects with an Error in words when it is not text in UTF-8. */
export async function open(file) {
  const data = await file.arrayBuffer();
  let content;
  try {
    content = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw new Error(
      `${file.name} is not UTF-8 text. The command line reads other encodings too: mediasvc rewrite "${file.name}" --out local`,
    );
  }
  put(content, file.name);
}

/** Calls `take(file)` or `take(null, text)` for what is dropped anywhere on the page. */
export function onDrop(take) {
  const root = document.documentElement;
  let depth = 0;
  const accepts = (event) => [...event.dataTransfer.types].some((type) => type === "Files" || type === "text/plain");
  const over = (inside) => root.classList.toggle("dropping", inside);
  addEventListener("dragenter", (event) => {
    if (!accepts(event)) return;
    depth += 1;
    over(true);
  });
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    over(depth > 0);
  });
  addEventListener("dragover", (event) => {
    if (accepts(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    depth = 0;
    over(false);
    if (!accepts(event)) return;
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) take(file);
    else take(null, event.dataTransfer.getData("text/plain"));
  });
}
