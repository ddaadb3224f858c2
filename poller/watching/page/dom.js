/* Elements, and what a page asks its server. What comes from a database is only ever text. */

export const $ = (id) => document.getElementById(id);

export function element(tag, className = "", text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/* Raises Refused for an answer that is none, TypeError if nobody answers. */
export async function ask(path) {
  const response = await fetch(path, { cache: "no-store" });
  if (response.ok) return response.json();
  const told = await response.json().catch(() => ({}));
  throw new Refused(response.status, told.error ?? "");
}

/* A button that copies a text, and says so. */
export function copies(button, text) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1500);
  });
}

/* The browser's memory, which may be switched off. */
export const kept = {
  get(key) {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(key, JSON.stringify(value));
    } catch {
      // Not kept, then.
    }
  },
};

export const plural = (n, one, many = `${one}s`) =>
  `${n.toLocaleString("en")}\u00a0${n === 1 ? one : many}`;
