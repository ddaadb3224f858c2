/* The wall on a television: the newest post large, the others in columns, and nobody to press a key.
 *
 * Invariant: `posts` has the newest `most` posts by id; the element of one of them is in #lead, those
 * of the others are in #stream, newest first. What does not fit is left out by style, whole.
 * It must go on for months: after sleep, a day offline, a deploy. It never leaves its page before the
 * server has answered, since a browser's error page would stay.
 */

import { isOlder, newArticle, show } from "./article.js";
import { delaySince, setServerTime, showTimes } from "./times.js";

const { rowcast } = globalThis;
const HOLD_MS = 6000; // so long a post stays large at least: time to read it
const NEW_MS = 12_000; // the longest animation of screen.css, and a little
const LOST_AFTER_MS = 10_000; // a blink is no news
const AGAIN_MS = 60_000; // until a page whose stream has ended for good begins anew
const ASK_AGAIN_MS = 3000; // for this page
const RENEW_MS = 6 * 3_600_000; // a newer version of this page may be there
const SILENT_HEARTBEATS = 2.5; // silence of that many: the connection is dead
const NO_CURSOR = "reload"; // not a cursor: the server answers it with a reset
const SIZES = { s: 40, m: 120, l: 280 }; // characters, as wall.size() in Python has it
const RISE_MS = 80; // from one post of a group to the next
const EASE = "cubic-bezier(0.2, 0.7, 0.2, 1)";

const at = (id) => document.getElementById(id);
const place = at("posts").dataset;
const lead = at("lead");
const stream = at("stream");
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const calm = matchMedia("(prefers-reduced-motion: reduce)");

class Screen {
  constructor(most) {
    this.most = most;
    this.posts = new Map(); // id: element
    this.waiting = new Map(); // id: row, until the next frame
    this.leading = null; // the element in #lead
    this.heldUntil = 0;
    this.adopt([...lead.children, ...stream.children]);
  }

  /* What the server rendered. */
  adopt(elements) {
    this.posts = new Map(elements.map((element) => [element.dataset.id, element]));
    showTimes();
    this.arrange([], { force: true });
  }

  put(row) {
    const id = String(row.id);
    BigInt(id); // throws here, where it costs no other row
    if (!this.waiting.size) requestAnimationFrame(() => this.flush());
    this.waiting.set(id, row);
  }

  remove(id) {
    this.waiting.delete(id);
    this.posts.get(id)?.remove();
    this.posts.delete(id);
    this.arrange([]);
  }

  flush() {
    const rows = [...this.waiting.values()];
    this.waiting.clear();
    const fresh = [];
    for (const row of rows) {
      const known = this.posts.get(String(row.id));
      if (known && !isOlder(known, row.version)) continue;
      if (known) show(known, row);
      const element = known ?? newArticle(at("post-template"), row, "");
      element.dataset.size = sizeOf(row.body);
      if (known) continue;
      this.posts.set(element.dataset.id, element);
      fresh.push(element);
    }
    this.arrange(fresh);
  }

  /* Puts each element where it belongs; those that came enter, the others slide to their places. */
  arrange(fresh, { force = false } = {}) {
    const all = [...this.posts.values()].sort(newestFirst);
    for (const element of all.splice(this.most)) {
      this.posts.delete(element.dataset.id);
      element.remove();
    }
    const before = new Map(all.map((element) => [element, element.getBoundingClientRect()]));
    this.choose(all[0], force);
    const others = all.filter((element) => element !== this.leading);
    if (this.leading) put(lead, [this.leading]);
    put(stream, others);
    at("nothing").hidden = all.length > 0;
    document.body.classList.toggle("is-empty", all.length === 0);
    const came = fresh.filter((element) => element.isConnected).sort(newestFirst);
    enter(came);
    if (!force && !calm.matches) slide(all, before, came);
  }

  /* The newest post is the large one, once the one before has had its time. */
  choose(newest, force) {
    clearTimeout(this.timer);
    if (!newest || newest === this.leading) {
      if (!newest) this.leading = null;
      return;
    }
    const left = this.heldUntil - Date.now();
    if (!force && left > 0 && this.leading?.isConnected) {
      this.timer = setTimeout(() => this.arrange([]), left);
      return;
    }
    this.leading?.classList.remove("new");
    this.leading = newest;
    this.heldUntil = force ? 0 : Date.now() + HOLD_MS; // who has just turned it on waits for none
  }
}

/* Moves what is not there yet, and nothing else. */
function put(parent, elements) {
  for (const old of [...parent.children]) if (!elements.includes(old)) old.remove();
  elements.forEach((element, index) => {
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index]);
  });
}

/* Style gives a tint to the large one and a line of accent to the others: many are no green wall.
 * Several come in turn. */
function enter(elements) {
  elements.forEach((element, index) => {
    element.classList.add("new");
    element.style.animationDelay = `0s, ${Math.min(index, 5) * RISE_MS}ms`;
    setTimeout(() => element.classList.remove("new"), NEW_MS);
  });
}

/* Who stays in its column slides; who changes it, or its size, fades. */
function slide(elements, before, came) {
  for (const element of elements) {
    if (came.includes(element)) continue;
    const was = before.get(element);
    const is = element.getBoundingClientRect();
    const same = Math.abs(is.left - was.left) < 1 && Math.abs(is.width - was.width) < 1;
    if (same && Math.abs(is.top - was.top) < 1) continue;
    const from = same ? { transform: `translateY(${was.top - is.top}px)` } : { opacity: 0 };
    const to = same ? { transform: "none" } : { opacity: 1 };
    element.animate([from, to], { duration: 900, easing: EASE });
  }
}

function sizeOf(body) {
  const length = [...String(body ?? "")].length;
  return Object.keys(SIZES).find((size) => length <= SIZES[size]) ?? "xl";
}

function newestFirst(one, other) {
  const [a, b] = [BigInt(one.dataset.id), BigInt(other.dataset.id)];
  return a < b ? 1 : a > b ? -1 : 0;
}

/* -- the connection ------------------------------------------------------------------------------ */

const screen = new Screen(Number(place.most));
let since = null; // after a reset, until the page has been read again: what the stream has said
let wasLive = false;
let lostAt = 0;
let timer = 0;

/* This page as the server has it now; asked for until it comes. */
async function fetchPage(isIt = () => true) {
  for (;;) {
    try {
      const response = await fetch(location.href, { cache: "no-store" });
      const text = response.ok ? await response.text() : "";
      const page = new DOMParser().parseFromString(text, "text/html");
      if (page.getElementById("posts") && isIt(page)) return page;
    } catch {
      // The server is away.
    }
    await new Promise((done) => setTimeout(done, ASK_AGAIN_MS));
  }
}

/* Whether the database was there: it has posts, or is known to have none. */
function isRead(page) {
  return Boolean(page.getElementById("posts").dataset.cursor || page.querySelector("article"));
}

/* After a reset: what the server shows now. The stream goes on meanwhile. */
async function reload() {
  const mine = (since = { came: new Set(), gone: new Set() });
  const page = await fetchPage(isRead);
  if (mine !== since) return; // there was another reset
  since = null;
  const fresh = [...page.querySelectorAll("#lead > article, #stream > article")].filter(
    ({ dataset }) => !mine.gone.has(dataset.id),
  );
  const known = screen.posts;
  const later = [...known.values()].filter(({ dataset }) => mine.came.has(dataset.id));
  const elements = fresh.map((element) => {
    const here = known.get(element.dataset.id);
    return here && !isOlder(here, element.dataset.version) ? here : document.importNode(element, true);
  });
  const ids = new Set(elements.map(({ dataset }) => dataset.id));
  // It may have said that the database is away.
  const words = document.importNode(page.getElementById("nothing"), true);
  at("nothing").replaceChildren(...words.childNodes);
  screen.adopt([...elements, ...later.filter(({ dataset }) => !ids.has(dataset.id))]);
}

/* A newer version may be there: after a loss, and now and then. */
async function renew() {
  const page = await fetchPage();
  if (page.getElementById("posts").dataset.version !== place.version) location.reload();
}

function showState({ name }) {
  const state = at("state");
  if (name === "live") {
    clearTimeout(timer);
    if (wasLive && lostAt) renew();
    wasLive = true;
    lostAt = timer = 0;
    document.body.classList.remove("is-lost");
    state.dataset.state = "live";
    at("state-label").textContent = "Live";
  } else if (["closed", "refused"].includes(name)) {
    showLost();
    setTimeout(() => fetchPage().then(() => location.reload()), AGAIN_MS);
  } else {
    lostAt ||= Date.now();
    timer ||= setTimeout(showLost, LOST_AFTER_MS);
  }
}

function showLost() {
  document.body.classList.add("is-lost");
  at("state").dataset.state = "waiting";
  at("state-label").textContent = `Not connected since ${clock.format(lostAt || Date.now())}`;
}

const source = rowcast(place.stream, {
  from: place.cursor || NO_CURSOR,
  silenceMs: Number(place.heartbeat) * 1000 * SILENT_HEARTBEATS,
  onRow(row) {
    since?.came.add(String(row.id));
    since?.gone.delete(String(row.id));
    const delay = source.state.name === "live" ? delaySince(row.created_at) : "";
    screen.put({ ...row, delay });
  },
  onUnreadable: (row) => screen.put({ ...row, unreadable: true }),
  onDelete(key) {
    since?.came.delete(String(key.id));
    since?.gone.add(String(key.id));
    screen.remove(String(key.id));
  },
  onReset: reload,
  onState(state) {
    showState(state);
    setServerTime(Date.now() + state.clockAheadMs);
  },
});
setInterval(renew, RENEW_MS);

/* -- the clock, and staying awake ---------------------------------------------------------------- */

let tickedAt = Date.now();

function tick() {
  const now = Date.now();
  if (now - tickedAt > 30_000) source.retryNow(); // it slept
  tickedAt = now;
  for (const [id, format] of [["clock", clock], ["day", day]]) {
    const text = format.format(now);
    if (at(id).textContent !== text) at(id).textContent = text;
  }
}

/* Where the browser can: only over https, and only while the page is in view. */
function stayAwake() {
  if (!document.hidden) navigator.wakeLock?.request("screen").catch(() => {});
}

tick();
setInterval(tick, 1000);
stayAwake();
document.addEventListener("visibilitychange", stayAwake);
