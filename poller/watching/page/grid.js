/* The table: the newest rows, newest first in the order of arrival. */
import { $, element, kept, plural } from "./dom.js";
import { Filter, textOf } from "./filter.js";
import { ago, momentOf, show } from "./values.js";

const SETTLED_MS = 4_000; // as --settle
const LEAVES_MS = 2_600; // longer than --leave
const CHANGED_MS = 60_000; // so long a cell says what it was
const SHOWN_AT_FIRST = 30; // columns
const LATE = "Committed after rows with greater ids. A reader that asks for id > last loses it.";
/* In rem, by kind, so that a live value never moves a column. One text column takes the rest. */
const WIDTHS = { op: 1.75, key: 7, num: 7.25, bool: 5, json: 12, uuid: 6.25, bytes: 5.25, time: 7 };
Object.assign(WIDTHS, { enum: 6.5, date: 7, "text-time": 11 });
const OTHER_WIDTH = 9.5;

export class Grid {
  constructor(facts, { onOpen }) {
    const { key, keys, columns, came, rows: most } = facts;
    Object.assign(this, { key, keys, columns, came, most, onOpen, greatest: null });
    this.byName = new Map(); // where rows may change
    this.fillUntil = 0; // rows that come by then were there, the newest first
    this.filter = new Filter(facts.columns);
    this.memory = `rowcast columns ${facts.place} ${facts.name}`;
    const hidden = kept.get(this.memory);
    const isShown = (name, at) => (Array.isArray(hidden) ? !hidden.includes(name) : at < SHOWN_AT_FIRST);
    this.shown = new Set(facts.columns.map(({ name }) => name).filter(isShown));
    this.body = $("rows");
    this.table = $("table");
    this.table.setAttribute("aria-label", `Newest rows of ${facts.name}`);
    this.head();
    this.choices();
  }

  get visible() {
    return this.columns.filter(({ name }) => this.shown.has(name));
  }

  get entries() {
    return [...this.body.children].map(({ entry }) => entry);
  }

  /* -- columns ------------------------------------------------------------------------------ */

  head() {
    const visible = this.visible;
    const rest = visible.findLast(({ name, kind }) => name !== this.key && kind === "text");
    this.rest = rest ?? visible.at(-1);
    const widths = visible.map((column) => WIDTHS[this.kindOf(column)] ?? OTHER_WIDTH);
    const cols = visible.map((column, at) => colOf(column === this.rest ? null : widths[at]));
    $("cols").replaceChildren(colOf(WIDTHS.op), ...cols);
    const least = widths.reduce((sum, one) => sum + one, WIDTHS.op);
    this.table.style.setProperty("--least", `${least}rem`);
    $("head").replaceChildren(cell("th", "op"), ...visible.map((column) => this.heading(column)));
  }

  heading(column) {
    const made = cell("th", this.kindOf(column), column.name);
    made.setAttribute("role", "columnheader");
    made.title = [column.name, column.type].filter(Boolean).join(" ");
    if (column.name === this.key) {
      made.append(element("span", "void", " ↓"));
      made.title += ": newest first, in the order of arrival";
    }
    made.append(element("small", "", column.type || "no type"));
    return made;
  }

  kindOf({ name, kind }) {
    return name === this.key ? "key" : kind;
  }

  choices() {
    const labels = this.columns.map(({ name, type }) => {
      const label = element("label");
      const box = element("input");
      box.type = "checkbox";
      box.checked = this.shown.has(name);
      box.addEventListener("change", () => this.choose(name, box.checked));
      label.append(box, element("bdi", "", name), element("span", "", type));
      return label;
    });
    $("choices").replaceChildren(...labels);
    this.countColumns();
  }

  choose(name, on) {
    if (on) this.shown.add(name);
    else this.shown.delete(name);
    kept.set(this.memory, this.columns.map((one) => one.name).filter((one) => !this.shown.has(one)));
    this.countColumns();
    this.head();
    for (const tr of this.body.children) this.fill(tr);
    this.refilter();
  }

  countColumns() {
    const [n, all] = [this.shown.size, this.columns.length];
    $("columns-count").textContent = n === all ? String(all) : `${n} of ${all}`;
  }

  /* -- rows --------------------------------------------------------------------------------- */

  /* `entries`: oldest first, as they came. `moves`: they are news. */
  insert(entries, moves) {
    const made = this.keys.length ? this.apply(entries, moves) : this.add(entries, moves);
    if (moves) this.slide(made);
    if (!this.body.querySelector("[tabindex='0']")) this.makeStop(this.body.firstChild);
    this.refilter();
  }

  add(entries, moves) {
    const made = entries.slice(-this.most).map((entry) => this.line(entry, moves));
    this.body.prepend(...made.toReversed());
    while (this.body.children.length > this.most) this.body.lastChild.remove();
    return made;
  }

  /* Rows that came, changed or are gone. */
  apply(entries, moves) {
    const made = [];
    for (const entry of entries) {
      const there = this.byName.get(entry.name);
      if (entry.gone) this.leave(there, entry.name);
      else if (there) this.change(there, entry);
      else {
        const wasThere = !moves || entry.at < this.fillUntil;
        const tr = this.line(entry, !wasThere);
        this.byName.set(entry.name, tr);
        if (wasThere) this.body.append(tr);
        else this.body.prepend(tr);
        if (!wasThere) made.push(tr);
      }
    }
    return made;
  }

  change(tr, entry) {
    const before = tr.entry.row ?? {};
    tr.entry = entry;
    tr.className = "";
    this.fill(tr);
    this.sign(tr, "update");
    if (entry.problem !== undefined) return;
    this.visible.forEach(({ name }, at) => {
      const [was, is] = [before[name], entry.row[name]].map((value) => JSON.stringify(value));
      if (was === is) return;
      const td = tr.children[at + 1];
      td.classList.add("changed");
      td.title = `was ${was ?? "not known"}`;
      setTimeout(() => td.classList.remove("changed"), CHANGED_MS);
    });
  }

  /* Struck, and gone a little later; not while its details are open. */
  leave(tr, name) {
    this.byName.delete(name);
    if (!tr) return;
    this.sign(tr, "delete", 0);
    const go = () => (tr.hasAttribute("aria-selected") ? setTimeout(go, LEAVES_MS) : tr.remove());
    setTimeout(go, LEAVES_MS);
  }

  sign(tr, op, settled = SETTLED_MS) {
    tr.dataset.op = op;
    clearTimeout(tr.signed);
    if (settled) tr.signed = setTimeout(() => delete tr.dataset.op, settled);
  }

  line(entry, isNew) {
    const tr = element("tr");
    tr.entry = entry;
    tr.tabIndex = -1;
    tr.setAttribute("role", "row");
    if (isNew) this.sign(tr, "insert");
    tr.addEventListener("click", () => String(getSelection()) || this.onOpen(tr));
    tr.addEventListener("focus", () => this.makeStop(tr));
    this.fill(tr);
    return tr;
  }

  fill(tr) {
    const { entry } = tr;
    tr.replaceChildren(cell("td", "op"));
    if (entry.problem !== undefined) return this.fillUnreadable(tr, entry);
    const withheld = entry.row._withheld ?? {};
    for (const column of this.visible) {
      const td = cell("td", this.classOf(column));
      const { name, kind } = column;
      td.dataset.label = name;
      const value = Object.hasOwn(entry.row, name) ? entry.row[name] : null;
      show(td, kind, value, { withheld: Object.hasOwn(withheld, name) ? withheld[name] : undefined });
      if (name === this.key && entry.late) td.append(late());
      tr.append(td);
    }
  }

  fillUnreadable(tr, { key, problem }) {
    tr.className = "unreadable";
    const id = cell("td", "key", String(key));
    const told = cell("td", "wide", `This row could not be read: ${problem}. The rows around it are whole.`);
    told.colSpan = Math.max(1, this.visible.length - 1);
    tr.append(id, told);
  }

  classOf(column) {
    const classes = [this.kindOf(column)];
    if (column === this.rest) classes.push("wide");
    if (column.name === this.came) classes.push("created");
    return classes.join(" ");
  }

  /* What stands below slides down by as much, as one. */
  slide(made) {
    const calm = matchMedia("(prefers-reduced-motion: reduce), (max-width: 719px)").matches;
    if (calm || document.hidden) return;
    const high = made.reduce((sum, tr) => sum + tr.offsetHeight, 0);
    const keyframes = [{ transform: `translateY(-${high}px)` }, { transform: "none" }];
    this.body.animate(keyframes, { duration: 320, easing: "cubic-bezier(.2,.7,.2,1)" });
  }

  clear() {
    this.body.replaceChildren();
    this.byName.clear();
    this.greatest = null;
    this.refilter();
  }

  /* -- filter and count ---------------------------------------------------------------------- */

  refilter(text) {
    if (text !== undefined) this.filter.read(text);
    const rows = [...this.body.children];
    for (const tr of rows) tr.hidden = !this.isFound(tr.entry);
    const found = rows.filter((tr) => !tr.hidden);
    this.filter.highlight(found);
    $("nothing").hidden = this.filter.empty || found.length > 0 || !rows.length;
    $("nothing").querySelector("p").textContent =
      `None of the ${plural(rows.length, "row")} on this page. New rows that match appear as they come.`;
    const of = plural(rows.length, "newest row");
    const told = this.filter.empty ? of : `${found.length} of the ${of} match`;
    $("count").textContent = rows.length ? told : "No rows yet";
    if (!this.body.querySelector("[tabindex='0']:not([hidden])") && found.length) this.makeStop(found[0]);
  }

  isFound(entry) {
    if (this.filter.empty) return true;
    if (entry.problem !== undefined) return false;
    entry.text ??= textOf(entry.row);
    return this.filter.matches(entry.row, entry.text);
  }

  /* -- keys ---------------------------------------------------------------------------------- */

  makeStop(tr) {
    for (const other of this.body.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    if (tr) tr.tabIndex = 0;
  }

  /* Whether the key was for the table. */
  take(event) {
    const rows = [...this.body.children].filter((tr) => !tr.hidden);
    const at = rows.indexOf(event.target);
    if (at < 0) return false;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (event.key === "Enter") this.onOpen(event.target);
    else if (to === undefined) return false;
    else rows[Math.max(0, Math.min(rows.length - 1, to))].focus();
    return true;
  }

  tick() {
    for (const time of this.body.querySelectorAll("td time")) {
      const text = ago(momentOf(time.title));
      if (time.textContent !== text) time.textContent = text;
    }
  }

  /* A row as it came; `isNews`: after those that were there before. */
  entryOf(row, isNews) {
    if (this.keys.length) return { name: this.nameOf(row), key: row[this.key], row, at: Date.now(), isNews };
    const key = bigint(row[this.key]);
    const late = isNews && key !== null && this.greatest !== null && key < this.greatest;
    if (key !== null && (this.greatest === null || key > this.greatest)) this.greatest = key;
    return { key: row[this.key], row, late, at: Date.now(), isNews };
  }

  entryGone(key) {
    return { name: this.nameOf(key), key: key[this.key], gone: true, at: Date.now(), isNews: true };
  }

  entryUnreadable(told, isNews) {
    const { id, reason } = told;
    const common = { problem: reason, at: Date.now(), isNews };
    return this.keys.length ? { ...common, name: this.nameOf(told), key: told[this.key] } : { ...common, key: id };
  }

  nameOf(row) {
    return JSON.stringify(this.keys.map((name) => row[name]));
  }
}

function colOf(width) {
  const made = element("col");
  if (width) made.style.width = `${width}rem`;
  return made;
}

function cell(tag, className, text) {
  const made = element(tag, className, text);
  if (tag === "td") made.setAttribute("role", "cell");
  return made;
}

function late() {
  const made = element("span", "late", "late");
  made.title = LATE;
  return made;
}

function bigint(value) {
  try {
    return BigInt(value);
  } catch {
    return null;
  }
}
