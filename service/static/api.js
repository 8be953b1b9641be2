// Calls of the service; a key is kept for this tab only.

import { $ } from "./dom.js";

// The service may lie under a prefix: its addresses are relative to this file's folder.
const ROOT = new URL("..", import.meta.url).href.slice(0, -1);
// Ids of 16 digits or more, which may lie beyond the whole numbers that a browser tells apart,
// become text. Within a text of JSON a quote has a backslash before it, so none is taken for one.
const WIDE_ID = /("id":)(-?\d{16,})(?=[,}])/g;

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

export const hasKey = () => sessionStorage.getItem("key") !== null;

export const get = (path, query = {}, signal = undefined) =>
  answered(`${path}?${new URLSearchParams(query)}`, { signal });

export const post = (path, body) =>
  answered(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  });

async function answered(address, { headers = {}, ...options }) {
  const key = sessionStorage.getItem("key");
  const all = key ? { ...headers, "X-API-Key": asBytes(key) } : headers;
  let answer;
  try {
    answer = await fetch(ROOT + address, { ...options, headers: all });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer. Is it running?");
  }
  const body = JSON.parse((await answer.text()).replace(WIDE_ID, '$1"$2"'));
  if (!answer.ok) throw new Problem(answer.status, body.detail);
  return body;
}

// A header holds bytes: letters beyond them are sent as UTF-8.
const asBytes = (text) => String.fromCharCode(...new TextEncoder().encode(text));
