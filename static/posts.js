/* The posts on the page: sorted by id with the newest on top, each at most once, bounded.
 *
 * Invariant: the feed holds the articles of `this.entries` in the same order, and nothing else.
 * Ids are strings outside (a table may count beyond 2^53) and BigInt where they are compared.
 * Rows come in bursts, so they wait in `this.waiting` and go in together, once per frame.
 * What a post says becomes text nodes only.
 */

import { showTime } from "./times.js";

const MOST_ARTICLES = 1000; // beyond, the oldest go; they are still below "older posts"
const HIDDEN_FLUSH_MS = 200; // a hidden tab has no frames
const HUES = 12;

export class Posts {
  constructor({ feed, template, olderNav, home, onInserted = () => {} }) {
    Object.assign(this, { feed, template, olderNav, home, onInserted });
    this.entries = []; // {id: BigInt, element}, newest first
    this.known = new Set();
    this.waiting = new Map();
    this.olderLoading = false;
    this.frame = 0;
    this.timer = 0;
    this.adopt();
    feed.addEventListener("keydown", (event) => this.moveFocus(event));
    document.addEventListener("visibilitychange", () => this.waiting.size && this.schedule());
  }

  get size() {
    return this.entries.length;
  }

  has(id) {
    return this.known.has(String(id)) || this.waiting.has(String(id));
  }

  /* A row {id, author, body, created_at}, or {id, unreadable: true}. Throws where the id is none:
   * here, and not later, where the rows that came with it would be lost as well. */
  add(row) {
    if (this.has(BigInt(row.id)) || this.isBelow(BigInt(row.id))) return;
    this.waiting.set(String(row.id), row);
    this.schedule();
  }

  /* Whether "older posts" will bring it. While they load it may be too late for that. */
  isBelow(id) {
    if (this.olderNav.hidden || this.olderLoading) return false;
    return this.entries.length > 0 && id < this.entries.at(-1).id;
  }

  schedule() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    if (!document.hidden) this.frame = requestAnimationFrame(() => this.flush());
    this.timer = setTimeout(() => this.flush(), HIDDEN_FLUSH_MS);
  }

  flush() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    if (this.waiting.size === 0) return;
    const rows = [...this.waiting.values()];
    this.waiting.clear();
    const fresh = rows.map((row) => ({ id: BigInt(row.id), row })).sort(newestFirst);
    // What would be cut off again below need not be built.
    if (fresh.length > MOST_ARTICLES) this.cutBelow(fresh.splice(MOST_ARTICLES)[0].id + 1n);
    const entries = fresh.map(({ id, row }) => ({ id, element: this.article(row), isNew: true }));
    const top = this.feed.getBoundingClientRect().top;
    this.keepInView(() => this.merge(entries));
    this.onInserted(rows, top);
  }

  /* Articles of an older page. */
  append(articles, older) {
    const entries = articles
      .filter((element) => !this.has(element.dataset.id))
      .map((element) => ({ id: BigInt(element.dataset.id), element }));
    this.setOlder(older); // before merge(), which may have to cut off some again
    this.merge(entries);
  }

  /* After a reset: what the server shows now, and what the stream brought since. In place: an
   * article that stays is the same element, with its focus. */
  replace(articles, older, since) {
    const fresh = new Set([...articles.map((element) => element.dataset.id), ...since]);
    for (const { element } of this.entries) {
      if (!fresh.has(element.dataset.id)) element.remove();
    }
    this.entries = this.entries.filter(({ element }) => fresh.has(element.dataset.id));
    this.known = new Set(this.entries.map(({ element }) => element.dataset.id));
    this.keepInView(() => this.append(articles, older));
  }

  merge(entries) {
    for (const entry of entries.sort(newestFirst)) {
      const at = this.position(entry.id);
      this.feed.insertBefore(entry.element, this.entries[at]?.element ?? null);
      this.entries.splice(at, 0, entry);
      this.known.add(entry.element.dataset.id);
    }
    this.trim();
    this.number();
  }

  /* Where an id belongs; it is nearly always the top. */
  position(id) {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.entries[middle].id > id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  trim() {
    if (this.entries.length <= MOST_ARTICLES) return;
    const first = this.entries[MOST_ARTICLES].element.getBoundingClientRect();
    // Not under the eyes of somebody who reads down there, unless it becomes far too many.
    if (first.top < innerHeight && this.entries.length < 2 * MOST_ARTICLES) return;
    this.cutBelow(this.entries[MOST_ARTICLES - 1].id);
  }

  /* Takes out what is older than `id`; "older posts" then begins there. */
  cutBelow(id) {
    const keep = this.entries.findIndex((entry) => entry.id < id);
    const gone = keep < 0 ? [] : this.entries.splice(keep);
    for (const { element } of gone) {
      this.known.delete(element.dataset.id);
      element.remove();
    }
    this.setOlder(new URL(`?before=${id}`, this.home).href);
  }

  setOlder(href) {
    this.olderNav.hidden = !href;
    if (href) this.olderNav.querySelector("a").href = href;
  }

  get older() {
    return this.olderNav.hidden ? null : this.olderNav.querySelector("a").href;
  }

  get full() {
    return this.entries.length >= MOST_ARTICLES;
  }

  /* Somebody who scrolled down to read keeps the line under the eyes. By hand, since not every
   * browser has scroll anchoring, and those that have it do not at the very top. */
  keepInView(change) {
    const anchor = this.firstInView();
    const before = anchor?.getBoundingClientRect().top;
    change();
    if (!anchor?.isConnected) return;
    const moved = anchor.getBoundingClientRect().top - before;
    if (moved) scrollBy({ top: moved, behavior: "instant" });
  }

  /* The article at the upper edge of the window; none while the top of the feed is in view. */
  firstInView() {
    if (this.feed.getBoundingClientRect().top >= 0) return null;
    return this.entries.find(({ element }) => element.getBoundingClientRect().bottom > 0)?.element;
  }

  number() {
    const size = this.olderNav.hidden ? this.entries.length : -1; // -1: there are more, unknown
    this.entries.forEach(({ element }, index) => {
      element.setAttribute("aria-posinset", index + 1);
      element.setAttribute("aria-setsize", size);
    });
  }

  article(row) {
    const element = this.template.content.firstElementChild.cloneNode(true);
    const id = String(row.id);
    element.id = `post-${id}`;
    element.dataset.id = id;
    element.classList.add("new");
    name(element, ".author", "aria-labelledby", `author-${id}`);
    name(element, ".body", "aria-describedby", `body-${id}`);
    element.querySelector(".when").href = new URL(`posts/${id}`, this.home).pathname;
    if (row.unreadable || row._withheld) return unreadable(element, id);
    fill(element, row);
    return element;
  }

  /* The server's articles, from the first page. */
  adopt() {
    for (const element of this.feed.querySelectorAll(":scope > article")) {
      this.entries.push({ id: BigInt(element.dataset.id), element });
      this.known.add(element.dataset.id);
    }
  }

  /* Page Down and Page Up go from article to article, as the ARIA practice for feeds has it. */
  moveFocus(event) {
    const step = { PageDown: 1, PageUp: -1 }[event.key];
    const article = step && event.target.closest("article");
    if (!article) return;
    const at = this.entries.findIndex(({ element }) => element === article);
    const next = this.entries[at + step]?.element;
    if (!next) return;
    event.preventDefault();
    next.focus();
  }
}

/* Author, body and time into an empty article; also for the card of a post under way. */
export function fill(element, { author, body, created_at }) {
  const name = String(author ?? "");
  element.querySelector(".author bdi").textContent = name;
  element.querySelector(".body bdi").textContent = String(body ?? "");
  const disc = element.querySelector(".disc");
  disc.textContent = ([...name][0] ?? "").toUpperCase();
  disc.className = `disc hue-${hue(name)}`;
  const time = element.querySelector("time");
  time.dateTime = created_at;
  showTime(time);
}

/* wall.hue() in Python counts the same. */
function hue(author) {
  return [...author].reduce((sum, char) => sum + char.codePointAt(0), 0) % HUES;
}

function unreadable(element, id) {
  element.classList.add("unreadable");
  element.querySelector(".author bdi").textContent = "Unreadable row";
  element.querySelector(".when").textContent = `#${id}`;
  element.querySelector(".body bdi").textContent =
    "This row is in the table, but its text could not be read.";
  return element;
}

function name(article, selector, attribute, id) {
  article.querySelector(selector).id = id;
  article.setAttribute(attribute, id);
}

function newestFirst(one, other) {
  return one.id < other.id ? 1 : one.id > other.id ? -1 : 0;
}
