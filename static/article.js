/* One post's article: filled, changed, emptied. What a post says becomes text nodes and links only. */

import { showLinked } from "./links.js";
import { showMoment, showTime } from "./times.js";

const HUES = 12;
const WAYS = { form: "", sql: "via SQL", api: "via API" }; // wall.way() in Python says the same

/* The article of a row {id, version, author, body, created_at, via, edited_at}, or of one that is
 * {id, unreadable: true}, from the page's template. */
export function newArticle(template, row, href) {
  const element = template.content.firstElementChild.cloneNode(true);
  const id = String(row.id);
  element.id = `post-${id}`;
  element.dataset.id = id;
  element.dataset.version = String(row.version ?? ""); // before the others, as the server has it
  name(element, ".author", "aria-labelledby", `author-${id}`);
  name(element, ".body", "aria-describedby", `body-${id}`);
  element.querySelector(".when").href = href;
  show(element, row);
  return element;
}

/* What the row says now, into its article. Whether it says something else than before: not each
 * change of a row is one of its text. */
export function show(element, row) {
  const said = () =>
    [".author", ".body"].map((part) => element.querySelector(part).textContent).join("\0");
  const before = said();
  if (row.version !== undefined) element.dataset.version = String(row.version);
  if (row.unreadable || row._withheld) showUnreadable(element, String(row.id));
  else fill(element, row);
  return said() !== before;
}

/* Whether the article shows an older version than this one. Without a version the stream's order
 * decides: what comes later is newer. */
export function isOlder(element, version) {
  if (version === undefined || !element.dataset.version) return true;
  return BigInt(element.dataset.version) < BigInt(version);
}

/* Author, text and marks into an article; also for the card of a post under way. */
export function fill(element, { author, body, created_at, via, edited_at, delay }) {
  element.classList.remove("unreadable");
  const name = String(author ?? "");
  element.querySelector(".author bdi").textContent = name;
  showLinked(element.querySelector(".body bdi"), String(body ?? ""));
  const disc = element.querySelector(".disc");
  disc.textContent = ([...name][0] ?? "").toUpperCase();
  disc.className = `disc hue-${hue(name)}`;
  showWay(element, via, delay);
  const edited = element.querySelector(".edited");
  edited.hidden = !edited_at;
  if (edited_at) edited.dataset.at = edited_at;
  showMoment(edited);
  const when = element.querySelector(".when");
  if (!when.querySelector("time")) when.replaceChildren(document.createElement("time"));
  const time = when.querySelector("time");
  if (time.dateTime === created_at) return;
  time.dateTime = created_at;
  delete time.dataset.absolute;
  showTime(time);
}

/* One that stays as it is on the page, from the same one on another page. */
export function takeOver(element, fresh) {
  element.className = fresh.className;
  element.dataset.version = fresh.dataset.version;
  element.replaceChildren(...fresh.childNodes);
}

/* Its place, for a while, without what it said. */
export function showRemoved(element) {
  element.className = "post removed";
  element.removeAttribute("aria-labelledby");
  element.removeAttribute("aria-describedby");
  element.textContent = "A post was removed";
}

/* wall.hue() in Python counts the same. */
function hue(author) {
  return [...author].reduce((sum, char) => sum + char.codePointAt(0), 0) % HUES;
}

/* How it came; and how long that took, where this page saw it. */
function showWay(element, via, delay) {
  const place = element.querySelector(".via");
  place.textContent = via ? (WAYS[via] ?? `via ${via}`) : "";
  place.hidden = !place.textContent;
  if (!delay) return;
  place.dataset.delay = delay; // shown by style
  place.title = `Here ${delay} after it was written`;
}

function showUnreadable(element, id) {
  element.classList.add("unreadable");
  element.querySelector(".author bdi").textContent = "Unreadable row";
  element.querySelector(".when").textContent = `#${id}`;
  element.querySelector(".body bdi").textContent =
    "This row is in the table, but its text could not be read.";
}

function name(article, selector, attribute, id) {
  article.querySelector(selector).id = id;
  article.setAttribute(attribute, id);
}
