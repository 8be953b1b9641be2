// Calls of the service; a key is kept for this tab only.

import { $ } from "./dom.js";

// The service may lie under a prefix: its addresses are relative to this file's folder.
const ROOT = new URL("..", import.meta.url).href.slice(0, -1);

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export function onKey(retry) {
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("key", $("key").value);
    retry();
  });
}

export async function get(path, query = {}, signal = undefined) {
  const key = sessionStorage.getItem("key");
  const address = `${ROOT}${path}?${new URLSearchParams(query)}`;
  let answer;
  try {
    answer = await fetch(address, { headers: key ? { "X-API-Key": key } : {}, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer. Is it running?");
  }
  const body = await answer.json();
  if (!answer.ok) throw new Problem(answer.status, body.detail);
  return body;
}
