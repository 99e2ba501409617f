// The dialog that asks for the API token, which lives in memory only.

import { byId } from "./dom.js";
import { useToken } from "./service.js";

const dialog = byId("token-dialog");
const field = byId("token");
let asked = false;
let answer = null;

/** Asks; true once a token was given, false when the dialog was left. */
export function askForToken() {
  if (asked) byId("token-note").textContent = "The service did not accept that token. Is it the whole of it?";
  field.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    answer = resolve;
  });
}

function close(given) {
  asked ||= given;
  dialog.close();
  answer?.(given);
  answer = null;
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(field.value.trim());
  field.value = "";
  close(true);
});
byId("token-cancel").addEventListener("click", () => close(false));
dialog.addEventListener("cancel", (event) => {
  event.preventDefault();
  close(false);
});
