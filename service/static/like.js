// A like on the page: sent as an event, then the next list, before and after the service follows.

import { get, post } from "./api.js";

const TRIES = 40;
const REST = 250; // ms: with the tries ten seconds, of which the service needs one

export class Likes {
  // Milliseconds of the log's clock: its first midnight, its end, and the length of a step.
  constructor(origin, end, step) {
    Object.assign(this, { origin, end, step });
  }

  canAt(ms) {
    return ms >= this.end;
  }

  // The moment from which on an event right after the log's end counts.
  next() {
    return this.origin + (Math.floor((this.end + 1000 - this.origin) / this.step) + 1) * this.step;
  }

  // Show the next list as it is, send the like, and show it again once the like counts.
  async send(asked, id, written, show) {
    const next = this.next();
    const query = { ...asked, time: written(next) };
    const before = await get("/feed", query);
    show(before, next);
    this.end += 1000;
    const event = { user_id: before.id, post_id: id, time: written(this.end), liked: true };
    await post("/feed", { events: [event] });
    for (let tried = 0; tried < TRIES; tried++) {
      const after = await get("/feed", query);
      if (after.n_liked > before.n_liked) return show(after, next);
      await new Promise((done) => setTimeout(done, REST));
    }
  }
}
