/* The list of tables to choose from, each with what is promised of it. */
import { $, ask, copies, element, plural } from "./dom.js";

const RETRY_MS = 2_000;
const PROMISES = { full: "promise in full", exceptions: "! with exceptions", window: "~ newest rows" };

async function load() {
  try {
    show(await ask("/watch/tables"));
  } catch (error) {
    $("heading").textContent = "The tables cannot be listed now";
    $("lead").textContent = error.message || "Does rowcast watch still run?";
    setTimeout(load, RETRY_MS);
  }
}

function show({ place, tables }) {
  const live = tables.filter(({ promise }) => promise);
  const others = tables.filter(({ promise }) => !promise);
  document.title = `${place} · Rowcast`;
  $("place").textContent = $("place").title = place;
  $("heading").textContent = live.length
    ? "Choose a table to see it live"
    : "No table here can be watched as it is";
  $("lead").textContent = tables.length
    ? `${live.length} of ${plural(tables.length, "table or view", "tables and views")} can be watched. ` +
      "Nothing is written to the database."
    : "The database has no tables.";
  $("live").replaceChildren(...live.map(link));
  $("problems").replaceChildren(...others.map(problem));
  $("live").hidden = !live.length;
  $("others").hidden = !others.length;
}

function link(table) {
  const item = element("li");
  const made = element("a");
  made.href = `/table/${encodeURIComponent(table.address)}`;
  const isWhole = table.promise === "full";
  made.append(
    named(table),
    element("span", "key", `by ${table.window ? table.window.key.join(", ") : table.key}`),
    element("span", "rows", table.rows === null ? "" : plural(table.rows, "row")),
    element("span", `promise ${table.promise}`, PROMISES[table.promise]),
  );
  if (table.window) {
    const told = `The newest rows with all their changes, since ${table.problem}.`;
    made.append(element("span", "why", told));
  } else if (!isWhole) {
    const told = table.exceptions.map(({ fact, lacking }) => `${fact}. Not promised: ${lacking}.`);
    made.append(element("span", "why", told.join(" ")));
  }
  item.append(made);
  const way = table.way_out.join("\n");
  if (way) {
    const details = element("details");
    const summary = element("summary");
    summary.append(element("span", "name", "How to follow every row"));
    details.append(summary, sample(way));
    item.append(details);
  }
  return item;
}

function problem(table) {
  const item = element("li");
  const row = element("div", "plain-row");
  row.append(named(table), element("span", "why", table.problem));
  item.append(row);
  return item;
}

function named({ name, kind }) {
  const made = element("span", "name");
  made.append(element("bdi", "", name));
  if (kind !== "table") made.append(element("small", "", kind));
  return made;
}

function sample(text) {
  const made = element("div", "sample");
  const button = element("button", "", "Copy");
  const pre = element("pre");
  button.type = "button";
  pre.tabIndex = 0;
  pre.append(element("code", "", text));
  copies(button, () => text);
  made.append(button, pre);
  return made;
}

load();
