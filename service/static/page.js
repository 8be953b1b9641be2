// The page: controls for user and moment, and the service's answer.

import { get, hasKey, onKey, Problem } from "./api.js";
import { compare, drop, keep } from "./compare.js";
import { $, element } from "./dom.js";
import { clearFeed, showFeed } from "./feed.js";
import { tellFollowing } from "./following.js";
import { Likes } from "./like.js";

const HOUR = 3600_000;
const DAY = 24 * HOUR;
const ALL = 1_000_000; // impressions of one user, at most
const PLAY_EVERY = 900; // ms a day: time to see the list move, which takes 280 ms

let origin = 0; // of the slider, in milliseconds of the log's own clock
let likes = null;
let request = null;
let past = {}; // how much of it is told; empty: the latest
const chosen = { topic: "", arm: "" }; // empty: all of them, and the user's own
let playing = null;
let soon = null;
let typed = null;

// The log's clock has no zone: all of it is handled as if it were UTC.
const written = (ms) => new Date(ms).toISOString().slice(0, 19);
const parsed = (text) => Date.parse(text.length === 10 ? `${text}T00:00:00Z` : `${text}Z`);
const spoken = (ms) =>
  new Date(ms).toLocaleString("en-GB", {
    timeZone: "UTC", weekday: "short", day: "numeric", month: "short", year: "numeric",
    hour: "2-digit", minute: "2-digit",
  });

function moment() {
  return parsed($("moment").value);
}

function setMoment(ms) {
  const text = written(ms);
  $("moment").value = text.slice(0, 16);
  $("slider").value = Math.round((ms - origin) / HOUR);
  $("slider").setAttribute("aria-valuetext", spoken(ms));
  $("shown-moment").textContent = spoken(ms);
  $("list").classList.toggle("past", !likes.canAt(ms));
  mark($("moments"), text.slice(0, 16));
}

function mark(chips, value) {
  for (const chip of chips.children) {
    chip.setAttribute("aria-pressed", String(chip.dataset.value === value));
  }
}

async function show() {
  const user = $("user").value.trim();
  if (!user || Number.isNaN(moment())) return;
  request?.abort();
  request = new AbortController();
  document.body.classList.add("busy");
  mark($("users"), user);
  mark($("found-users"), user);
  for (const name in chosen) mark($(name), chosen[name]);
  const query = { ...asked(), time: written(moment()) };
  history.replaceState(null, "", `#${new URLSearchParams(query)}`);
  try {
    const feed = await get("/feed", { ...query, ...past }, request.signal);
    report(null);
    draw(feed);
  } catch (error) {
    if (error.name === "AbortError") return;
    report(error);
  }
  document.body.classList.remove("busy");
}

function asked() {
  const given = Object.entries(chosen).filter(([, value]) => value);
  return { id: $("user").value.trim(), ...Object.fromEntries(given) };
}

function draw(feed) {
  showFeed(feed);
  $("all").hidden = "history" in past || feed.history.length >= feed.n_shown;
  $("all").textContent = `All ${feed.n_shown}`;
  if (chosen.topic) $("summary").textContent += `, of topic ${chosen.topic}`;
  if (chosen.arm) $("summary").textContent += `, by arm ${chosen.arm}`;
  compare();
}

// A slider sends many moments while it moves; a request is made for the last one.
function showSoon() {
  clearTimeout(soon);
  soon = setTimeout(show, 60);
}

function report(error) {
  if (error && !(error instanceof Problem)) throw error;
  $("key-form").hidden = error?.status !== 401;
  $("problem").hidden = !error;
  $("problem").textContent = error ? error.message : "";
  if (!error) return;
  stop();
  clearFeed(); // or the former feed would pass for the answer
}

async function like(id) {
  stop();
  document.body.classList.add("busy");
  try {
    await likes.send(asked(), id, written, (feed, next) => {
      setMoment(next);
      draw(feed);
    });
  } catch (error) {
    report(error);
  }
  document.body.classList.remove("busy");
}

function move(ms) {
  setMoment(moment() + ms);
  showSoon();
}

function stop() {
  clearInterval(playing);
  playing = null;
  $("play").setAttribute("aria-pressed", "false");
  $("play").innerHTML = "&#9654;";
}

function play() {
  if (playing) return stop();
  $("play").setAttribute("aria-pressed", "true");
  $("play").innerHTML = "&#10074;&#10074;";
  playing = setInterval(() => {
    if ($("slider").value === $("slider").max) return stop();
    move(DAY);
  }, PLAY_EVERY);
}

function chip(text, value, title, click) {
  const button = element("button", text);
  button.type = "button";
  button.title = title;
  button.dataset.value = value;
  button.addEventListener("click", click);
  return button;
}

function userChips(users) {
  return users.map((user) => {
    const words = Object.entries(user.profile).map(([k, v]) => `${k} ${v}`).join(", ");
    const name = user.known_for ? `${user.id} · ${user.known_for}` : `${user.id}`;
    return chip(name, `${user.id}`, `${words}; ${user.n_shown} posts shown`, () => {
      $("user").value = user.id;
      show();
    });
  });
}

async function find() {
  const words = $("words").value.trim();
  let found = { n_users: 0, users: [], posts: [] };
  try {
    if (words) found = await get("/feed/search", { q: words });
  } catch (error) {
    return report(error);
  }
  if (words !== $("words").value.trim()) return; // a later search is on its way
  $("found-users").replaceChildren(...userChips(found.users));
  mark($("found-users"), $("user").value.trim());
  $("found-posts").hidden = !found.posts.length;
  $("found-posts").replaceChildren(
    ...found.posts.map((post) => element("li", `${post.id} · ${post.topic} · ${post.text}`)),
  );
  const n = found.n_users.toLocaleString("en");
  $("found").textContent = words
    ? `${n} users, the most active first; ${found.posts.length || "no"} posts, at most 12 each`
    : "";
}

function choices(name, all, values) {
  const named = values.length > 1 ? [[all, ""], ...values.map((value) => [value, value])] : [];
  const chips = named.map(([text, value]) =>
    chip(text, value, "", () => {
      chosen[name] = value;
      show();
    }),
  );
  $(name).replaceChildren(...chips);
}

function suggest(found) {
  const since = parsed(found.since);
  const until = parsed(found.until);
  origin = since - DAY;
  likes = new Likes(since, until, 1000 * found.step_seconds);
  $("slider").min = 0;
  $("slider").max = Math.ceil((until + 2 * DAY - origin) / HOUR);
  const days = `${found.since.slice(0, 10)} to ${found.until.slice(0, 10)}`;
  $("about").textContent =
    `${found.n_users.toLocaleString("en")} users, ${found.n_posts.toLocaleString("en")} posts, ${days}`;
  $("users").replaceChildren(...userChips(found.users));
  choices("topic", "all topics", found.topics);
  choices("arm", "own arm", found.arms);
  // A browser that follows a link sends no key.
  $("metrics").hidden = hasKey();
  $("report").hidden = hasKey() || !found.has_report;
  const evening = (ms) => Math.floor(ms / DAY) * DAY + 18 * HOUR;
  const moments = [
    ["before any data", since - 6 * HOUR],
    ["first week", evening(since + 6 * DAY)],
    ["midway", evening((since + until) / 2)],
    ["latest", until],
    ["a day after", evening(until + DAY)],
  ];
  $("moments").replaceChildren(
    ...moments.map(([name, ms]) =>
      chip(name, written(ms).slice(0, 16), spoken(ms), () => {
        setMoment(ms);
        show();
      }),
    ),
  );
  return { user: found.users[Math.floor(found.users.length / 2)].id, at: until };
}

async function begin() {
  let first;
  try {
    first = suggest(await get("/feed/suggestions"));
  } catch (error) {
    return report(error);
  }
  const named = new URLSearchParams(location.hash.slice(1));
  $("user").value = named.get("id") ?? first.user;
  for (const name in chosen) chosen[name] = named.get(name) ?? "";
  const at = parsed(named.get("time") ?? "x");
  setMoment(Number.isNaN(at) ? first.at : at);
  await show();
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  show();
});
$("words").addEventListener("input", () => {
  clearTimeout(typed);
  typed = setTimeout(find, 250); // a word is typed at some five letters a second
});
$("words").addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.preventDefault();
});
$("slider").addEventListener("input", () => {
  setMoment(origin + Number($("slider").value) * HOUR);
  showSoon();
});
$("slider").addEventListener("keydown", (event) => {
  const by = { PageUp: DAY, PageDown: -DAY }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  move(by);
});
$("moment").addEventListener("change", () => {
  if (Number.isNaN(moment())) return;
  setMoment(moment());
  show();
});
$("back").addEventListener("click", () => move(-DAY));
$("on").addEventListener("click", () => move(DAY));
$("play").addEventListener("click", play);
$("all").addEventListener("click", () => {
  past = { history: ALL };
  show();
});
$("keep").addEventListener("click", keep);
$("drop").addEventListener("click", drop);
$("list").addEventListener("like", (event) => like(event.detail));
onKey(begin);
begin();
tellFollowing();
