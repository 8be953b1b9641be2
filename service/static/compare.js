// A list that stays beside the next ones: of another moment, user, topic or arm.

import { $ } from "./dom.js";

const OF_NOW = ".like, .more, .moved"; // parts that a list has only while it is the answer

function posts(list) {
  return new Map([...$(list).children].map((node) => [node.dataset.id, node]));
}

export function keep() {
  const kept = [...$("list").cloneNode(true).children];
  for (const node of kept) for (const part of node.querySelectorAll(OF_NOW)) part.remove();
  $("kept-list").replaceChildren(...kept);
  $("kept-summary").textContent = $("summary").textContent;
  compare();
}

export function drop() {
  $("kept-list").replaceChildren();
  compare();
}

export function compare() {
  const now = posts("list");
  const kept = posts("kept-list");
  let n = 0;
  for (const [id, node] of [...now, ...kept]) {
    const isInBoth = now.has(id) && kept.has(id);
    node.classList.toggle("both", isInBoth);
    n += isInBoth;
  }
  $("kept-both").textContent = `${n / 2} of ${kept.size} posts are in both lists`;
  $("kept").hidden = !kept.size;
  document.body.classList.toggle("comparing", kept.size > 0);
}
