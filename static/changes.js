/* What a visitor may do to a post, in its place: edit, delete, hide. The links lead to pages that do
 * the same without a script; here they are taken over.
 *
 * The text in the editor stays until the server has it, also where the post is removed meanwhile.
 */

import { ANSWER_WITHIN_MS, countLeft, refusal, unanswered } from "./form.js";

const LOOK_EVERY_MS = 5000; // for links whose time is over; the server minds it by itself

export class Changes {
  constructor({ feed, posts, controls, editor, longest, changeableMs, speak }) {
    Object.assign(this, { feed, posts, controls, editor, longest, changeableMs, speak });
    this.own = new Map(); // ids of what this page posted: until when they may be changed
    posts.onArticle = (element) => this.offer(element);
    posts.isHeld = (element, { removed = false } = {}) => this.holds(element, removed);
    feed.addEventListener("click", (event) => this.clicked(event));
    setInterval(() => this.withdraw(), LOOK_EVERY_MS);
  }

  /* This page wrote it, just now. */
  wrote(row) {
    const until = Date.now() + this.changeableMs;
    this.own.set(String(row.id), until);
    const element = this.posts.known.get(String(row.id));
    if (element) this.offer(element);
  }

  /* The links: on an article that is this page's own, and on all for a moderator. */
  offer(element) {
    const until = this.own.get(element.dataset.id);
    if (until && !element.dataset.until) {
      element.dataset.until = Math.floor(until / 1000);
      element.querySelector(":scope > .controls")?.remove(); // a moderator's: the new one has it, too
      element.append(this.controls.content.firstElementChild.cloneNode(true));
    }
    const post = element.querySelector(".when").getAttribute("href");
    for (const link of element.querySelectorAll(".controls a")) link.href = `${post}/${link.dataset.do}`;
  }

  withdraw() {
    const now = Date.now() / 1000;
    for (const element of this.feed.querySelectorAll("article[data-until]")) {
      if (Number(element.dataset.until) > now || element.querySelector(".editor")) continue;
      delete element.dataset.until;
      element.querySelectorAll("[data-do=edit], [data-do=delete], .confirm").forEach((one) => one.remove());
    }
  }

  clicked(event) {
    const link = event.target.closest?.(".controls [data-do]");
    const element = link?.closest("article");
    if (!element || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.close(element);
    if (link.dataset.do === "edit") this.edit(element);
    else this.confirm(element, link.dataset.do);
  }

  edit(element) {
    const form = this.editor.content.firstElementChild.cloneNode(true);
    const { body } = form.elements;
    body.value = element.querySelector(".body").textContent;
    const counter = form.querySelector(".counter");
    countLeft(counter, this.longest, body.value);
    body.addEventListener("input", () => countLeft(counter, this.longest, body.value));
    form.addEventListener("submit", (event) => this.save(event, element));
    form.querySelector("[data-do=cancel]").addEventListener("click", (event) => {
      event.preventDefault();
      this.close(element);
    });
    form.addEventListener("keydown", (event) => this.pressed(event, element));
    element.classList.add("editing");
    this.posts.keepInView(() => element.append(form));
    body.focus();
    body.setSelectionRange(body.value.length, body.value.length);
  }

  /* "Delete this post? Delete, Keep it." */
  confirm(element, what) {
    const box = document.createElement("p");
    box.className = "confirm";
    const label = document.createElement("span");
    label.textContent = what === "delete" ? "Delete it for good?" : "Hide it from everybody?";
    const yes = button(what === "delete" ? "Delete" : "Hide", "danger small");
    const no = button("Keep it", "ghost small");
    yes.addEventListener("click", () => this.take(element, box, what));
    no.addEventListener("click", () => this.close(element));
    box.addEventListener("keydown", (event) => this.pressed(event, element));
    box.append(label, yes, no);
    element.classList.add("asking");
    this.posts.keepInView(() => element.append(box));
    no.focus();
  }

  async save(event, element) {
    event.preventDefault();
    const form = event.target;
    const body = form.elements.body;
    if (body.readOnly) return; // under way
    body.readOnly = true;
    const problem = await this.send(element, "PATCH", { body: body.value }, async (response) => {
      const row = await response.json();
      this.close(element);
      this.posts.put(row); // the stream brings it as well; by its version it counts once
      this.speak("Your post was changed.");
    });
    body.readOnly = false;
    if (problem) showProblem(form.querySelector(".problem"), problem, body);
  }

  async take(element, box, what) {
    const [method, body] = what === "delete" ? ["DELETE", undefined] : ["PATCH", { hidden: true }];
    const buttons = box.querySelectorAll("button");
    buttons.forEach((one) => (one.disabled = true));
    const problem = await this.send(element, method, body, () => {
      this.close(element);
      this.posts.remove(element.dataset.id);
    });
    buttons.forEach((one) => (one.disabled = false));
    if (problem) box.firstElementChild.textContent = problem.fields?.body ?? problem.error;
  }

  /* Null when it was done, else what the server says is wrong. */
  async send(element, method, body, done) {
    try {
      const response = await fetch(element.querySelector(".when").href, {
        method,
        headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout?.(ANSWER_WITHIN_MS),
      });
      if (!response.ok) return await refusal(response);
      await done(response);
      return null;
    } catch (error) {
      return unanswered(error);
    }
  }

  /* Whether somebody edits it; who does is told that it was removed. */
  holds(element, removed) {
    const form = element.querySelector(".editor");
    if (!form) return false;
    if (removed) {
      element.dataset.gone = "";
      const error = "This post was removed meanwhile. Your text is still here, to be copied.";
      showProblem(form.querySelector(".problem"), { error });
      form.querySelector("[type=submit]").disabled = true;
    }
    return true;
  }

  close(element) {
    const open = element.querySelector(":scope > .editor, :scope > .confirm");
    if (!open) return;
    const focused = open.contains(document.activeElement);
    element.classList.remove("editing", "asking");
    this.posts.keepInView(() => open.remove());
    if (focused) element.focus({ preventScroll: true });
    if (element.dataset.gone === undefined) return;
    delete element.dataset.gone;
    this.posts.remove(element.dataset.id);
  }

  pressed(event, element) {
    if (event.isComposing) return;
    if (event.key === "Escape") this.close(element);
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    event.currentTarget.requestSubmit?.();
  }
}

function button(text, className) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = className;
  made.textContent = text;
  return made;
}

function showProblem(place, { error, fields = {} }, field) {
  place.textContent = fields.body ?? error;
  place.classList.remove("none");
  field?.toggleAttribute("aria-invalid", true);
  field?.focus();
}
