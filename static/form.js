/* The form: sends without leaving the page, and never loses what somebody wrote.
 *
 * The text stays in its field until the server has the post: it said 201, or it did not answer and
 * the stream brought the post back. Until then a pale card shows what is under way. What is typed is
 * also kept in the tab's storage, so that a reload does not lose it. So is the key of the draft, by
 * which the server knows a text that is sent again.
 */

import { fill } from "./article.js";

export const ANSWER_WITHIN_MS = 20_000;
const AUTHOR_KEY = "rowcast.author";
const DRAFT_KEY = "rowcast.draft";
const SENT_KEY = "rowcast.sent";

export class Form {
  constructor({ form, pending, template, onTaken }) {
    Object.assign(this, { form, pending, template, onTaken, sent: null, unsure: null, countdown: 0 });
    this.author = form.elements.author;
    this.body = form.elements.body;
    this.button = form.querySelector("button[type=submit]");
    this.longest = Number(form.dataset.bodyLength);
    this.recall();
    this.count();
    this.showHint();
    form.addEventListener("submit", (event) => this.submit(event));
    form.addEventListener("input", (event) => this.typed(event.target));
    form.addEventListener("keydown", (event) => this.shortcut(event));
  }

  async submit(event) {
    event.preventDefault();
    if (this.sent) return; // under way
    this.clearProblems();
    const post = { author: this.author.value, body: this.body.value, key: this.form.elements.key.value };
    keep(sessionStorage, SENT_KEY, post.key);
    this.begin(post);
    let problem = null;
    try {
      problem = await this.send(post);
    } catch (error) {
      problem = unanswered(error);
    }
    const { arrived } = this.sent;
    this.end();
    if (problem?.unsure && arrived) return this.clear(); // the answer was lost, the post was not
    this.unsure = problem?.unsure ? post : null;
    if (problem) this.showProblem(problem);
  }

  /* Null when it was taken, else what the server says is wrong. */
  async send(post) {
    const response = await fetch(this.form.action, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(post),
      signal: AbortSignal.timeout?.(ANSWER_WITHIN_MS),
    });
    if (!response.ok) return await refusal(response); // 201, or 200: it was there
    this.taken(await response.json());
    return null;
  }

  begin(post) {
    this.sent = { ...post, arrived: false };
    this.form.setAttribute("aria-busy", "true");
    this.button.disabled = true;
    this.body.readOnly = true;
    if (!post.author.trim() || !post.body.trim()) return; // will come back; no card for nothing
    const card = this.template.content.firstElementChild.cloneNode(true);
    card.classList.add("sending");
    card.removeAttribute("tabindex");
    fill(card, { ...post, created_at: new Date().toISOString() });
    card.querySelector("time").textContent = "sending…";
    this.pending.replaceChildren(card);
  }

  end() {
    this.sent = null;
    this.form.removeAttribute("aria-busy");
    this.button.disabled = false;
    this.body.readOnly = false;
    this.pending.replaceChildren();
  }

  /* The stream may bring our post before the answer comes: its card then makes way at once. The
   * text waits for the answer, since the row may be somebody else's with the same words. Where the
   * answer was lost, the row is the answer. */
  echo(row) {
    if (this.sent && !this.sent.arrived && sameText(row, this.sent)) {
      this.sent.arrived = true;
      this.pending.replaceChildren();
      return true;
    }
    if (!this.unsure || !sameText(row, this.unsure)) return false;
    if (!this.sent && this.body.value === this.unsure.body) {
      this.clear();
      this.clearProblems();
    }
    this.unsure = null;
    return true;
  }

  /* The answer has the row, so that it shows even while the stream is away. */
  taken(row) {
    this.clear();
    this.pending.replaceChildren();
    this.onTaken(row);
  }

  clear() {
    this.body.value = "";
    forget(sessionStorage, DRAFT_KEY);
    forget(sessionStorage, SENT_KEY);
    this.form.elements.key.value = newKey();
    this.count();
  }

  typed(field) {
    keep(sessionStorage, DRAFT_KEY, this.body.value);
    keep(localStorage, AUTHOR_KEY, this.author.value);
    this.problemAt(field.name, "");
    this.count();
  }

  recall() {
    this.author.value ||= recalled(localStorage, AUTHOR_KEY);
    this.body.value ||= recalled(sessionStorage, DRAFT_KEY);
    this.form.elements.key.value = recalled(sessionStorage, SENT_KEY) || this.form.elements.key.value;
  }

  count() {
    countLeft(this.form.querySelector("#counter"), this.longest, this.body.value);
  }

  shortcut(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
    event.preventDefault();
    this.form.requestSubmit();
  }

  showHint() {
    const hint = this.form.querySelector("#hint");
    const mac = /Mac|iPhone|iPad/.test(navigator.platform);
    hint.textContent = mac ? "⌘ Enter" : "Ctrl + Enter";
    hint.hidden = false;
  }

  showProblem({ error, fields = {}, retry_after_s }) {
    if (/\b\d+ s\b/.test(error) && retry_after_s) return this.countDown(error, retry_after_s);
    for (const [field, text] of Object.entries(fields)) this.problemAt(field, text);
    if (!Object.keys(fields).length) this.problemAt("", error);
    const first = ["author", "body"].find((field) => fields[field]);
    (this.form.elements[first] ?? this.body).focus();
  }

  /* "You can post again in 34 s", with the seconds running. */
  countDown(error, seconds) {
    const until = Date.now() + seconds * 1000;
    const show = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      this.problemAt("", left > 0 ? error.replace(/\b\d+ s\b/, `${left} s`) : "");
      if (left <= 0) clearInterval(this.countdown);
    };
    show();
    this.countdown = setInterval(show, 1000);
    this.body.focus();
  }

  clearProblems() {
    clearInterval(this.countdown);
    ["", "author", "body"].forEach((field) => this.problemAt(field, ""));
  }

  problemAt(field, text) {
    const place = this.form.querySelector(field ? `#${field}-problem` : "#problem");
    if (!place) return;
    place.textContent = text;
    place.classList.toggle("none", !text);
    if (field) this.form.elements[field].toggleAttribute("aria-invalid", Boolean(text));
  }
}

/* Not randomUUID(), which plain http on a LAN does not have. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/* In characters as the server counts them: an emoji is one or a few, never half of one. */
export function countLeft(counter, longest, text) {
  const left = longest - [...text.normalize("NFC").trim()].length;
  counter.textContent = left < 0 ? `${-left} too many` : `${left.toLocaleString("en")} left`;
  counter.classList.toggle("over", left < 0);
}

/* What a refusing answer says; a proxy's error page says nothing of use. */
export async function refusal(response) {
  const answer = await response.json().catch(() => ({}));
  const unsure = response.status >= 500; // it may have been taken before that went wrong
  if (answer.error) return { ...answer, unsure };
  const error = `The server answered ${response.status}. Your text is still here; try again.`;
  return { error, unsure };
}

export function unanswered(error) {
  if (error.name === "TimeoutError") {
    return { error: "No answer yet. Your post may still appear; your text is kept.", unsure: true };
  }
  const away = "The server cannot be reached. Your text is still here; try again soon.";
  return { error: away, unsure: true };
}

/* The server trims and normalises. */
function sameText(row, sent) {
  const plain = (text) => String(text).normalize("NFC").replace(/\s+/g, " ").trim();
  return plain(row.author) === plain(sent.author) && plain(row.body) === plain(sent.body);
}

/* Storage may be forbidden; the form works without. */
function keep(storage, key, value) {
  try {
    storage.setItem(key, value);
  } catch {
    // full or forbidden
  }
}

function forget(storage, key) {
  try {
    storage.removeItem(key);
  } catch {
    // forbidden
  }
}

function recalled(storage, key) {
  try {
    return storage.getItem(key) ?? "";
  } catch {
    return "";
  }
}
