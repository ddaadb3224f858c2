/* Values as the database gives them: no commas in numbers, no rounding, null is not ''. */
import { element } from "./dom.js";

const FOLDED_FROM = 48; // characters
const DAY_S = 86_400;
const MOMENT = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d(?::?\d\d)?)?$/;
const LONG = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const SHORT = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" });

/* Milliseconds since the epoch. A moment without a zone is in UTC: the server says which are. */
export function momentOf(text) {
  const found = typeof text === "string" && MOMENT.exec(text);
  return found ? Date.parse(`${found[1]}T${found[2]}${found[3] ?? "Z"}`) : NaN;
}

export const isExact = (text) => /[:]\d\d\.\d/.test(text);

export function ago(ms) {
  const s = Math.round((Date.now() - ms) / 1000);
  if (s < -1 || s >= DAY_S) return SHORT.format(ms);
  if (s < 2) return "now";
  if (s < 60) return `${s}\u00a0s`;
  return s < 3600 ? `${Math.floor(s / 60)}\u00a0min` : `${Math.floor(s / 3600)}\u00a0h`;
}

const bytesOf = (base64) => (base64.length / 4) * 3 - (/=*$/.exec(base64)[0].length);

export function size(n) {
  if (n < 1024) return `${n}\u00a0B`;
  return n < 2 ** 20 ? `${(n / 1024).toFixed(1)}\u00a0KB` : `${(n / 2 ** 20).toFixed(1)}\u00a0MB`;
}

/* A value into a cell, or all of it into the details. */
export function show(into, kind, value, { full = false, withheld } = {}) {
  if (withheld !== undefined) return into.append(kept(withheld));
  if (value === null || value === undefined) return into.append(element("span", "null", "null"));
  if (value === "") return into.append(element("span", "void", "''"));
  if (typeof value === "boolean") {
    return into.append(element("span", `truth ${value ? "t" : "f"}`, String(value)));
  }
  if (kind === "bytes" && typeof value === "string") return showBytes(into, value);
  if (kind === "time" && !Number.isNaN(momentOf(value))) return showMoment(into, value, full);
  if (kind === "uuid" && !full && value.length > 12) {
    into.title = value;
    return into.append(`${value.slice(0, 8)}…`);
  }
  if (typeof value === "object" || kind === "json") return showJson(into, value, full);
  showText(into, String(value), full || typeof value === "number");
}

function kept(reason) {
  const made = element("span", "withheld", "not sent");
  made.title = reason;
  return made;
}

function showBytes(into, value) {
  into.title = `${bytesOf(value).toLocaleString("en")} bytes`;
  into.append(size(bytesOf(value)));
}

function showMoment(into, value, full) {
  const ms = momentOf(value);
  const time = element("time", "", full ? LONG.format(ms) : ago(ms));
  time.dateTime = new Date(ms).toISOString();
  time.title = value;
  into.append(time);
  if (full) into.append(element("small", "", value));
}

function showJson(into, value, full) {
  let data = value;
  if (typeof value === "string") {
    try {
      data = JSON.parse(value);
    } catch {
      return showText(into, value, full);
    }
  }
  const flat = typeof value === "string" ? value : JSON.stringify(data);
  const long = JSON.stringify(data, null, 2);
  if (full) into.append(long);
  else if (flat.length < 24) into.append(element("bdi", "", flat));
  else fold(into, flat, long);
}

function showText(into, text, full) {
  const isShort = text.length < FOLDED_FROM && !text.includes("\n");
  if (full || isShort) into.append(element("bdi", "", text));
  else fold(into, text.replaceAll("\n", " ↵ "), text);
}

/* A long text is in the page once it is asked for. */
function fold(into, flat, long) {
  const button = element("button", "fold");
  const short = flat.slice(0, 400);
  const text = element("bdi", "", short);
  button.type = "button";
  button.tabIndex = -1; // the table is one stop: the details show all of it
  button.setAttribute("aria-label", "Unfold");
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    text.textContent = open ? long : short;
  });
  into.append(button, text);
}
