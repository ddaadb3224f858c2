/* The posts on the page: sorted by id with the newest on top, each at most once, bounded.
 *
 * Invariant: the feed holds the articles of `this.entries` in the same order, and nothing else but a
 * sentence above each group of posts that came together. One that was removed keeps its place for a
 * while, without its text.
 * Ids are strings outside (a table may count beyond 2^53) and BigInt where they are compared.
 * Rows come in bursts, so they wait in `this.waiting` and go in together, once per frame.
 */

import { isOlder, newArticle, show, showRemoved, takeOver } from "./article.js";
import { delaySince } from "./times.js";

const MOST_ARTICLES = 1000; // beyond, the oldest go; they are still below "older posts"
const HIDDEN_FLUSH_MS = 200; // a hidden tab has no frames
const REMOVED_SHOWN_MS = 10_000;
const TOGETHER_MS = 1000; // a batch may come in several pieces
const RISE_MS = 40; // from one post of a group to the next
const MOST_RISE = 5; // posts

export class Posts {
  constructor({ feed, template, olderNav, home }) {
    Object.assign(this, { feed, template, olderNav, home });
    this.onChanged = () => {}; // ({ added: [row], edited: [row], removed: [id] }, where the feed began)
    this.onArticle = () => {}; // (element): it was made, or its content is another's
    this.entries = []; // {id: BigInt, element}, newest first
    this.known = new Map(); // id: element
    this.waiting = new Map(); // id: row, or null for one that was removed
    this.gone = new Set(); // ids that were removed: a page that was read before may still have them
    this.isHeld = () => false; // (element): somebody works in it
    this.olderLoading = false;
    this.group = { at: -Infinity, count: 0, sentence: null }; // the newest posts that came together
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

  /* A row as it is now. `live`: it has just been written, as far as this page knows. Throws where the id is none: here, and not later, where the rows that came
   * with it would be lost as well. */
  put(row, { live = false } = {}) {
    const id = String(row.id);
    const element = this.known.get(id);
    this.gone.delete(id);
    if (element ? !isOlder(element, row.version) : this.isBelow(BigInt(row.id))) return;
    const waiting = this.waiting.get(id);
    if (waiting && BigInt(waiting.version ?? 0) > BigInt(row.version ?? 0)) return;
    const delay = live && !element ? delaySince(row.created_at) : "";
    this.waiting.set(id, { ...row, live, delay: delay || waiting?.delay });
    this.schedule();
  }

  /* It was deleted or hidden. */
  remove(postId) {
    const id = String(postId);
    this.gone.add(id);
    if (!this.known.has(id)) return void this.waiting.delete(id);
    this.waiting.set(id, null);
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
    const waiting = [...this.waiting];
    this.waiting.clear();
    const changed = { added: [], edited: [], removed: [] };
    for (const [id, row] of waiting) {
      if (!this.known.has(id)) row && changed.added.push(row);
      else if (row) changed.edited.push(row);
      else changed.removed.push(id);
    }
    const top = this.feed.getBoundingClientRect().top;
    this.keepInView(() => {
      changed.edited = changed.edited.filter((row) => this.edit(row));
      changed.removed.forEach((id) => this.empty(id));
      if (changed.added.length) this.insert(changed.added);
    });
    this.onChanged(changed, top);
  }

  insert(rows) {
    const fresh = rows.map((row) => ({ id: BigInt(row.id), row })).sort(newestFirst);
    // What would be cut off again below need not be built.
    if (fresh.length > MOST_ARTICLES) this.cutBelow(fresh.splice(MOST_ARTICLES)[0].id + 1n);
    const made = fresh.map(({ id, row }) => ({ id, element: this.article(row) }));
    this.merge(made);
    this.gather(made, rows.every(({ live }) => live));
  }

  /* Many at once are shown as a group. */
  gather(entries, live) {
    const now = performance.now();
    const goesOn = now - this.group.at < TOGETHER_MS && this.group.sentence?.isConnected;
    if (entries.length < 2 && !goesOn) return;
    if (!goesOn) this.group = { count: 0, sentence: sentence() };
    this.group.count += entries.length;
    this.group.at = now;
    entries.forEach(({ element }, index) => {
      element.classList.replace("new", "grouped");
      element.style.animationDelay = `0s, ${Math.min(index, MOST_RISE) * RISE_MS}ms`;
    });
    const { count, sentence: line } = this.group;
    line.textContent = `${count} posts came ${live ? "together" : "meanwhile"}`;
    this.feed.insertBefore(line, this.entries[0].element);
  }

  /* Whether anybody sees a difference. */
  edit(row) {
    const element = this.known.get(String(row.id));
    if (element.classList.contains("removed")) {
      element.replaceWith(this.article(row)); // it is shown again
      this.adopt();
      this.number();
      return true;
    }
    if (!show(element, row)) return false;
    // The same animation under two names: the other one begins anew.
    const again = element.classList.contains("changed");
    element.classList.remove("new", "changed", "changed-again");
    element.classList.add(again ? "changed-again" : "changed");
    return true;
  }

  /* Its text goes at once, its place after a while: nothing jumps under the eyes of a reader. */
  empty(id) {
    const element = this.known.get(id);
    if (element.classList.contains("removed") || this.isHeld(element, { removed: true })) return;
    const had = element.contains(document.activeElement);
    showRemoved(element);
    if (had) element.focus({ preventScroll: true });
    setTimeout(() => this.takeOut(element), REMOVED_SHOWN_MS);
  }

  takeOut(element) {
    const at = this.entries.findIndex((entry) => entry.element === element);
    if (at < 0 || !element.classList.contains("removed")) return;
    const next = (this.entries[at + 1] ?? this.entries[at - 1])?.element;
    if (element === document.activeElement) next?.focus({ preventScroll: true });
    this.keepInView(() => {
      this.entries.splice(at, 1);
      this.known.delete(element.dataset.id);
      sentenceOf(element)?.remove();
      element.remove();
      this.number();
    }, element);
    this.onChanged({ added: [], edited: [], removed: [] }, 0);
  }

  /* Articles of an older page. */
  append(articles, older) {
    const entries = articles
      .filter(({ dataset: { id } }) => !this.has(id) && !this.gone.has(id))
      .map((element) => ({ id: BigInt(element.dataset.id), element }));
    this.setOlder(older); // before merge(), which may have to cut off some again
    this.merge(entries);
    entries.forEach(({ element }) => this.made(element));
  }

  /* After a reset: what the server shows now, and what the stream brought since. In place: an
   * article that stays is the same element, with its focus. */
  replace(articles, older, since) {
    const fresh = new Map(articles.map((element) => [element.dataset.id, element]));
    this.keepInView(() => {
      this.feed.querySelectorAll(":scope > .together").forEach((one) => one.remove());
      for (const { element } of this.entries) {
        const { id } = element.dataset;
        const now = this.gone.has(id) ? null : fresh.get(id);
        if (this.isHeld(element)) continue;
        if (now && (isOlder(element, now.dataset.version) || element.matches(".removed"))) {
          takeOver(element, now);
          this.made(element);
        } else if (!now && !since.has(id)) element.remove();
      }
      this.entries = [];
      this.known.clear();
      this.adopt();
      this.append(articles, older);
    });
  }

  merge(entries) {
    for (const entry of entries.sort(newestFirst)) {
      const at = this.position(entry.id);
      const next = this.entries[at]?.element ?? null;
      this.feed.insertBefore(entry.element, sentenceOf(next) ?? next);
      this.entries.splice(at, 0, entry);
      this.known.set(entry.element.dataset.id, entry.element);
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
      sentenceOf(element)?.remove();
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
  keepInView(change, leaving = null) {
    const anchor = this.firstInView(leaving);
    const before = anchor?.getBoundingClientRect().top;
    change();
    if (!anchor?.isConnected) return;
    const moved = anchor.getBoundingClientRect().top - before;
    if (moved) scrollBy({ top: moved, behavior: "instant" });
  }

  /* The article at the upper edge of the window; none while the top of the feed is in view. */
  firstInView(leaving) {
    if (this.feed.getBoundingClientRect().top >= 0) return null;
    const inView = ({ element }) => element !== leaving && element.getBoundingClientRect().bottom > 0;
    return this.entries.find(inView)?.element;
  }

  number() {
    const size = this.olderNav.hidden ? this.entries.length : -1; // -1: there are more, unknown
    this.entries.forEach(({ element }, index) => {
      element.setAttribute("aria-posinset", index + 1);
      element.setAttribute("aria-setsize", size);
    });
  }

  article(row) {
    const href = new URL(`posts/${row.id}`, this.home).pathname;
    const element = newArticle(this.template, row, href);
    element.classList.add("new");
    this.made(element);
    return element;
  }

  /* One stop of the Tab key for a post: the article, where Enter follows the link. Links in a text
   * have stops of their own. */
  made(element) {
    element.tabIndex = 0;
    element.querySelector(".when")?.setAttribute("tabindex", "-1");
    this.onArticle(element);
  }

  /* What the feed holds: the server's articles, from the first page. */
  adopt() {
    this.entries = [...this.feed.querySelectorAll(":scope > article")].map((element) => ({
      id: BigInt(element.dataset.id),
      element,
    }));
    for (const { element } of this.entries) {
      if (element.tabIndex < 0) this.made(element);
    }
    this.known = new Map(this.entries.map(({ element }) => [element.dataset.id, element]));
  }

  /* Page Down and Page Up go from article to article, as the ARIA practice for feeds has it. */
  moveFocus(event) {
    if (event.key === "Enter" && event.target.matches("article")) {
      event.target.querySelector(".when")?.click();
    }
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

function sentence() {
  const line = document.createElement("p");
  line.className = "together";
  line.setAttribute("role", "presentation"); // a feed has articles only; it is spoken by status.js
  return line;
}

function sentenceOf(element) {
  const before = element?.previousElementSibling;
  return before?.matches(".together") ? before : null;
}

function newestFirst(one, other) {
  return one.id < other.id ? 1 : one.id > other.id ? -1 : 0;
}
