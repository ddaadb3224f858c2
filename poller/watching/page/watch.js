/* One table, live: puts the stream, the table and the words about both together. */
import { $, ask, copies, element, plural } from "./dom.js";
import { Drawer } from "./drawer.js";
import { Grid } from "./grid.js";
import { Meters } from "./meters.js";
import { Status } from "./status.js";
import { Tabs } from "./tabs.js";
import { isExact, momentOf } from "./values.js";

const FLUSH_MS = 60; // rows that come together are shown together
const LOOK_MS = 1_000; // at what the server says of all tables
const RETRY_MS = 1_000;
const TOP_PX = 24; // scrolled no further than that, new rows may push the others down
const SETTLE_MS = 500; // rows that come so soon after all were void are those that are there
const LONGEST_DELAY_S = 600; // beyond it the column is no time of arrival

const feed = decodeURIComponent(location.pathname.split("/").pop());
const address = encodeURIComponent(feed);
const hold = { paused: false, pausedAt: 0 };
let facts, grid, drawer, meters, tabs, source;
let arrived = []; // not shown yet
let dropped = 0; // of them, beyond what is kept
let isFull = false; // the rows that were there have come
let flushing = 0;

const status = new Status({
  hurry() {
    if (facts) open(source.lastEventId);
  },
});

/* -- the stream ------------------------------------------------------------------------------ */

async function load() {
  for (;;) {
    try {
      const found = await ask(`/watch/table/${address}`);
      describe(found);
      if (found.ready) {
        begin(found);
        return look(); // a table that is opened for the first time is a tab from now on
      }
      status.problem(found.problem);
    } catch (error) {
      status.refused(error);
    }
    await new Promise((done) => setTimeout(done, RETRY_MS));
  }
}

function describe({ name, database, host, place, poll_s: poll, choice }) {
  document.title = `${name} · ${database} · Rowcast`;
  $("sheet").setAttribute("aria-label", name);
  const [base, where] = $("source").children;
  base.textContent = database;
  where.textContent = host ? ` on ${host}` : "";
  $("source").title = place;
  tabs ??= new Tabs(feed, choice);
  status.poll_s = poll;
}

function begin(found) {
  facts = found;
  grid = new Grid(facts, { onOpen: (tr) => drawer.open(tr) });
  drawer = new Drawer(facts);
  meters ??= new Meters(facts.came);
  sample();
  grid.refilter($("filter").value);
  open(facts.from);
}

function open(from) {
  source?.close();
  source = rowcast(`/stream/${address}`, {
    from,
    key: facts.keys.length ? facts.keys : facts.key,
    onRow: (row) => take(grid.entryOf(row, isFull)),
    onDelete: (key) => take(grid.entryGone(key)),
    onClear: cleared,
    onUnreadable: (told) => take(grid.entryUnreadable(told, isFull)),
    onReset: again,
    onState(state) {
      status.stream(state);
      if (state.name === "live") settle();
    },
  });
}

/* By window: all rows are void, and those that are there follow, the newest first. */
function cleared() {
  arrived = [];
  drawer.close();
  grid.clear();
  grid.fillUntil = Date.now() + SETTLE_MS;
}

/* All that was there is in: from now on rows are news. */
function settle() {
  if (!isFull) flush();
  isFull = true;
  $("blank").hidden = grid.body.children.length > 0;
}

async function again(reason) {
  source.close();
  drawer.close();
  arrived = [];
  dropped = 0;
  isFull = false;
  grid.clear();
  held();
  status.reset(facts.name, reason);
  await load();
}

/* -- rows ------------------------------------------------------------------------------------- */

function take(entry) {
  arrived.push(entry);
  if (facts.keys.length) {
    // Of each row the last state counts, and no removal may be forgotten.
    if (arrived.length > facts.rows) arrived = [...new Map(arrived.map((one) => [one.name, one])).values()];
  } else if (arrived.length > facts.rows) {
    dropped += arrived.length - facts.rows;
    arrived = arrived.slice(-facts.rows);
  }
  if (entry.isNews) measure(entry);
  flushing ||= setTimeout(flush, FLUSH_MS);
}

function measure({ row, at, name }) {
  meters.count(1);
  if (name !== undefined) return; // a change has no time of its own
  const came = row && facts.came ? row[facts.came] : null;
  if (!isExact(came)) return; // to the second only: no delay can be told by it
  const ahead = source.state.clockAheadMs ?? 0;
  const seconds = (at + (Math.abs(ahead) > 2_000 ? ahead : 0) - momentOf(came)) / 1000;
  if (seconds < LONGEST_DELAY_S) meters.delay(Math.max(0, seconds));
}

function flush() {
  clearTimeout(flushing);
  flushing = 0;
  if (isFull && (hold.paused || isDown())) return held();
  if (!arrived.length) return held();
  const [entries, moves] = [arrived, isFull];
  arrived = [];
  dropped = 0;
  $("blank").hidden = true;
  grid.insert(entries, moves);
  held();
}

/* What waits, in a sentence. */
function held() {
  const waiting = arrived.length + dropped;
  const { paused } = hold;
  const isHeld = isFull && (paused || (isDown() && waiting > 0));
  $("strip-held").hidden = !isHeld;
  if (!isHeld) return;
  const [told, button] = $("strip-held").children;
  const what = plural(waiting, facts.keys.length ? "change" : "new row");
  const text = paused ? `${what} waiting` : `${what} above`;
  told.replaceChildren(element("b", "", text));
  if (paused) told.append(element("small", "", ` · paused ${since(hold.pausedAt)}`));
  button.textContent = paused ? "Show them" : "Show";
}

const since = (at) => {
  const s = Math.round((Date.now() - at) / 1000);
  return s < 2 ? "now" : s < 60 ? `${s}\u00a0s ago` : `${Math.floor(s / 60)}\u00a0min ago`;
};

function pause(on) {
  hold.paused = on;
  hold.pausedAt = Date.now();
  const button = $("pause");
  button.setAttribute("aria-pressed", String(on));
  button.querySelector("span").textContent = on ? "Resume" : "Pause";
  button.setAttribute("aria-label", on ? "Resume" : "Pause");
  button.querySelector("path").setAttribute("d", on ? "M3 1l9 6-9 6z" : "M2 1h4v12H2zM8 1h4v12H8z");
  status.pause(on);
  if (grid) flush();
}

function toTop() {
  $("scroller").scrollTop = 0;
  scrollTo(0, 0);
  pause(false);
}

/* On narrow screens the page itself is scrolled, and its bars with it. */
const isDown = () => $("scroller").scrollTop > TOP_PX || scrollY > TOP_PX + $("sheet").offsetTop;

function scrolled() {
  if (arrived.length && !isDown()) flush();
}

/* -- an empty table ---------------------------------------------------------------------------- */

function sample() {
  const blank = $("blank");
  blank.querySelector("h2").textContent = `${facts.name} has no rows yet`;
  const texts = [facts.insert, facts.client];
  blank.querySelectorAll(".sample").forEach((one, at) => {
    one.hidden = !texts[at];
    one.querySelector("code").textContent = texts[at];
  });
}

/* -- every second ------------------------------------------------------------------------------ */

async function lookOn() {
  await look();
  setTimeout(lookOn, LOOK_MS);
}

async function look() {
  try {
    const { tables } = await ask("/watch/now");
    tabs?.show(tables);
    const here = tables.find((one) => one.feed === feed);
    status.database(here);
    if (here) {
      const last = here.looked_s === null ? "" : ` Last look ${here.looked_s.toFixed(1)}\u00a0s ago.`;
      $("blank").querySelector(".wait span:last-child").textContent =
        `Looking every ${status.poll_s}\u00a0s.${last}`;
    }
  } catch (error) {
    status.refused(error);
  }
}

function tick() {
  status.tick();
  if (!grid) return;
  grid.tick();
  drawer.tell();
  meters.draw(status.isLive);
  $("chip-delay").hidden = hold.paused;
  status.facts(meters, source);
  held();
}

/* -- keys and buttons -------------------------------------------------------------------------- */

const isTyped = ({ target }) => target.closest("input, textarea, select, button, summary, a, [contenteditable]");

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return escape(event);
  if (isTyped(event) || !grid) return;
  const does = {
    " ": () => pause(!hold.paused),
    "/": () => $("filter").focus(),
    c: () => {
      $("columns").open = !$("columns").open;
      if ($("columns").open) $("choices").querySelector("input")?.focus();
    },
  }[event.key];
  if (does) does();
  else if (!grid.take(event)) return;
  event.preventDefault();
}

function escape(event) {
  const menu = document.querySelector(".menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  } else if (event.target === $("filter") && $("filter").value) {
    $("filter").value = "";
    grid?.refilter("");
  } else if (event.target === $("filter")) {
    $("filter").blur();
  } else drawer?.close();
}

addEventListener("keydown", key);
addEventListener("scroll", scrolled, { passive: true });
$("scroller").addEventListener("scroll", scrolled, { passive: true });
$("filter").addEventListener("input", () => grid?.refilter($("filter").value));
$("pause").addEventListener("click", () => pause(!hold.paused));
$("strip-held").querySelector("button").addEventListener("click", toTop);
document.addEventListener("click", ({ target }) => {
  for (const menu of document.querySelectorAll(".menu[open]")) menu.open = menu.contains(target);
});
Drawer.listen(() => drawer);
for (const one of document.querySelectorAll(".sample")) {
  copies(one.querySelector("button"), () => one.querySelector("code").textContent);
}
$("about").addEventListener("toggle", tick);
setInterval(tick, 1_000);
load();
lookOn();
