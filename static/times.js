/* Relative times, kept true by one timer; the absolute time is in the title. */

const STEPS = [
  // [below so many seconds, unit in seconds, unit]
  [3600, 60, "min"],
  [86_400, 3600, "h"],
  [7 * 86_400, 86_400, "d"],
];
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

const MOST_DELAY_MS = 10_000;

let aheadMs = 0; // of the server's clock before ours

/* Call with the server's time when it is known: a wrong clock here must not show wrong ages. */
export function setServerTime(ms) {
  if (Number.isFinite(ms)) aheadMs = Math.abs(ms - Date.now()) > 5000 ? ms - Date.now() : 0;
}

/* From a row's time until now, as "0.2 s". Nothing where a clock is off, or the row is no news: the
 * server's clock is known to the second only, and it need not be the database's. */
export function delaySince(text) {
  const ms = Date.now() - Date.parse(text);
  if (aheadMs || !(ms >= 0 && ms < MOST_DELAY_MS)) return "";
  return `${(Math.max(ms, 100) / 1000).toFixed(1)} s`;
}

export function relative(ms, now = Date.now() + aheadMs) {
  const age = (now - ms) / 1000;
  if (age < 45) return "now";
  const step = STEPS.find(([below]) => age < below);
  return step ? `${Math.max(1, Math.round(age / step[1]))} ${step[2]}` : day.format(ms);
}

export function showTime(time) {
  const ms = Date.parse(time.dateTime);
  if (Number.isNaN(ms)) return;
  const text = relative(ms);
  if (time.textContent !== text) time.textContent = text;
  if (time.dataset.absolute) return;
  time.dataset.absolute = "local";
  time.title = absolute.format(ms);
}

/* When a post was edited, in the title of the mark that says so. */
export function showMoment(mark) {
  const ms = Date.parse(mark.dataset.at);
  if (!Number.isNaN(ms)) mark.title = `Edited ${absolute.format(ms)}`;
}

export function showTimes(root = document) {
  root.querySelectorAll("time[datetime]").forEach(showTime);
  root.querySelectorAll(".edited[data-at]").forEach(showMoment);
}

showTimes();
setInterval(showTimes, 15_000);
document.addEventListener("visibilitychange", () => document.hidden || showTimes());
