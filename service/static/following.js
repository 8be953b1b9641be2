// How far the service is behind the database that it follows, told while the page is open.

import { get } from "./api.js";
import { $ } from "./dom.js";

const EVERY = 5000; // ms between two questions; a follower polls every second

export async function tellFollowing() {
  try {
    tell((await get("/ready")).follower);
  } catch {
    tell(null); // the next list says what is the matter
  }
  setTimeout(tellFollowing, EVERY);
}

export function tell(follower) {
  $("following").hidden = !follower;
  if (!follower) return;
  const behind = `${follower.behind_seconds.toFixed(1)} s behind the database`;
  $("following").textContent = follower.error ? `${behind}: ${follower.error}` : behind;
}
