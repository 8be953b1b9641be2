// One answer: the list and its reasons, the user's profile, topics and history.

import { $, element } from "./dom.js";

const percent = (p) => `${(100 * p).toFixed(1)}%`;
const LEAST = 1.02; // factor of the odds below which a reason is not worth a line
let previous = { user: null, ranks: new Map() };

// Every topic has its own colour, whatever topics a network has.
function hue(topic) {
  let sum = 7;
  for (const letter of topic) sum = (sum * 31 + letter.codePointAt(0)) % 997;
  return (sum * 137) % 360;
}

function topicBadge(badge, topic) {
  badge.textContent = topic;
  badge.style.setProperty("--hue", hue(topic));
}

function bar(node, share, at) {
  node.querySelector("i").style.width = `${100 * Math.min(share, 1)}%`;
  const tick = node.querySelector("em");
  if (tick) tick.style.left = `${100 * Math.min(at, 1)}%`;
}

function moved(rank, id, isSameUser) {
  if (!isSameUser) return ["", ""];
  const before = previous.ranks.get(id);
  if (before === undefined) return ["new", "new"];
  if (before === rank) return ["", ""];
  return before > rank ? [`▲ ${before - rank}`, "up"] : [`▼ ${rank - before}`, "down"];
}

function reason(found) {
  const line = element("li", "", found.effect > 0 ? "" : "against");
  const arrow = found.effect > 0 ? "▲" : "▼";
  line.append(element("b", `${arrow} ×${found.times.toFixed(2)}`), found.words);
  line.title = found.sentence;
  return line;
}

function worthALine(post) {
  const strong = post.reasons.filter((r) => Math.max(r.times, 1 / r.times) >= LEAST);
  return strong.length ? strong : post.reasons.slice(0, 1);
}

function shownBefore(post) {
  if (post.explores) return "explores: may be better than is known yet";
  if (!post.n_shown) return "";
  const times = post.n_shown === 1 ? "once" : `${post.n_shown} times`;
  return post.n_liked ? `♥ shown ${times}, liked` : `shown ${times}`;
}

function write(node, text) {
  node.textContent = text.trim() ? text : "a post without text";
  node.classList.toggle("textless", !text.trim());
}

function fold(node) {
  const text = node.querySelector(".text");
  const more = node.querySelector(".more");
  more.addEventListener("click", () => {
    const isOpen = text.classList.toggle("open");
    more.setAttribute("aria-expanded", String(isOpen));
    more.textContent = isOpen ? "less" : "more";
  });
  requestAnimationFrame(() => {
    more.hidden = text.scrollHeight <= text.clientHeight + 2;
  });
}

function drawPost(post, rank, feed, scale, isSameUser) {
  const node = $("post").content.firstElementChild.cloneNode(true);
  node.dataset.id = post.id;
  node.querySelector(".rank b").textContent = rank;
  const [text, kind] = moved(rank, post.id, isSameUser);
  const movedNode = node.querySelector(".moved");
  movedNode.textContent = text;
  if (kind) movedNode.classList.add(kind);
  topicBadge(node.querySelector(".topic"), post.topic);
  node.querySelector(".id").textContent = `post ${post.id}`;
  node.querySelector(".seen").textContent = shownBefore(post);
  write(node.querySelector(".text"), post.text);
  node.querySelector(".chance strong").textContent = percent(post.probability);
  bar(node.querySelector(".bar"), post.probability / scale, feed.base_probability / scale);
  const like = node.querySelector(".like");
  like.setAttribute("aria-label", `Like post ${post.id}`);
  like.addEventListener("click", () =>
    like.dispatchEvent(new CustomEvent("like", { bubbles: true, detail: post.id })),
  );
  node.querySelector(".reasons").append(...worthALine(post).map(reason));
  return node;
}

// Posts that stay slide to their new place (FLIP).
function slide(list, draw) {
  const tops = new Map([...list.children].map((n) => [n.dataset.id, n.getBoundingClientRect().top]));
  draw();
  if (!tops.size) return; // the first list is simply there
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  for (const node of list.children) {
    const by = tops.get(node.dataset.id) - node.getBoundingClientRect().top;
    const from = Number.isNaN(by) ? { opacity: 0 } : { transform: `translateY(${by}px)` };
    if (by !== 0) node.animate([from, {}], { duration: 280, easing: "cubic-bezier(.2,.7,.2,1)" });
  }
}

function drawList(feed) {
  const isSameUser = previous.user === feed.id;
  const posts = feed.recommendations;
  const scale = Math.max(...posts.map((p) => p.probability), feed.base_probability) * 1.1;
  slide($("list"), () =>
    $("list").replaceChildren(
      ...posts.map((post, i) => drawPost(post, i + 1, feed, scale, isSameUser)),
    ),
  );
  for (const node of $("list").children) fold(node);
  previous = { user: feed.id, ranks: new Map(posts.map((p, i) => [p.id, i + 1])) };
  $("legend").hidden = false;
}

function drawProfile(feed) {
  const rows = Object.entries(feed.profile);
  rows.push(["arm", feed.exp_group]);
  $("profile").replaceChildren(
    ...rows.flatMap(([k, v]) => [element("dt", k.replaceAll("_", " ")), element("dd", v)]),
  );
}

function drawTopics(feed) {
  const share = feed.n_shown ? feed.n_liked / feed.n_shown : 0;
  $("totals").textContent = feed.n_shown
    ? `${feed.n_liked} of ${feed.n_shown} posts, ${percent(share)}`
    : "Nothing was shown before this moment.";
  const most = Math.max(...feed.topics.map((t) => t.n_liked / t.n_shown), 0.01);
  $("topics").replaceChildren(
    ...feed.topics.map((t) => {
      const line = element("li");
      line.append(element("span", t.topic), element("span", `${t.n_liked} of ${t.n_shown}`, "n"));
      const track = element("div", "", "bar");
      track.append(element("i"));
      bar(track, t.n_liked / t.n_shown / most, 0);
      line.append(track);
      return line;
    }),
  );
}

function drawHistory(feed) {
  const lines = feed.history.map((shown) => {
    const line = element("li", "", shown.liked ? "liked" : "");
    const heart = element("span", shown.liked ? "♥" : "♡", "heart");
    heart.setAttribute("aria-label", shown.liked ? "liked" : "shown");
    heart.setAttribute("role", "img");
    const words = element("div");
    const text = element("p");
    write(text, shown.text);
    words.append(text, element("small", `${shown.topic} · ${shown.day.slice(0, 10)}`));
    line.append(heart, words);
    return line;
  });
  if (!lines.length) lines.push(element("li", "Nothing was shown before this moment.", "empty"));
  $("history").replaceChildren(...lines);
  $("history").scrollTop = 0;
}

export function clearFeed() {
  for (const id of ["list", "profile", "topics", "history"]) $(id).replaceChildren();
  for (const id of ["totals", "summary"]) $(id).textContent = "";
  $("legend").hidden = true;
  previous = { user: null, ranks: new Map() };
}

export function showFeed(feed) {
  drawList(feed);
  drawProfile(feed);
  drawTopics(feed);
  drawHistory(feed);
  const until = feed.known_until.replace("T", " ").slice(0, 16);
  $("summary").textContent = `of user ${feed.id}, from the log before ${until}`;
}
