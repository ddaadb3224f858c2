// Numbers as the page says them: with a unit, and a blank that does not break.
const BLANK = "\u00a0";

export const count = (value) => Math.round(value).toLocaleString("en");
export const rate = (value) => (value < 9.95 ? value.toFixed(1) : count(value));
export const percent = (value) => `${Math.round(value)}${BLANK}%`;
export const megabytes = (value) => `${count(value)}${BLANK}MB`;

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.0995) return `${(seconds * 1000).toFixed(seconds < 0.00995 ? 1 : 0)}${BLANK}ms`;
  if (seconds < 9.95) return `${seconds.toFixed(seconds < 0.995 ? 2 : 1)}${BLANK}s`;
  if (seconds < 60) return `${Math.round(seconds)}${BLANK}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${BLANK}min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)}${BLANK}h`;
  return `${Math.floor(seconds / 86400)}${BLANK}days`;
}

export const clock = (seconds) =>
  new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

/** An element with a class, and text or children in it. */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Sets a text only where it is another: nothing is announced, or loses its selection, for nothing. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
