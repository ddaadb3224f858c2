/* What the page says about itself: the connection chip, the pill, the title, the spoken line. */

const SPEAK_EVERY_MS = 5000; // a screen reader is not to be flooded by a busy wall

const LABELS = {
  connecting: "Connecting…",
  "catching-up": "Catching up…",
  live: "Live",
  closed: "Ended",
};

/* Shows exactly the state that the stream is in; while it waits, the seconds left. It is a button
 * then: a click does not wait. */
export class Chip {
  constructor(element, { speak, onClick }) {
    Object.assign(this, { element, speak, lost: false, timer: 0 });
    element.hidden = false;
    element.addEventListener("click", () => this.waits && onClick());
  }

  get waits() {
    return this.element.tabIndex === 0;
  }

  show(state) {
    clearInterval(this.timer);
    // Not `disabled`: that would take the focus away from who has just clicked it.
    this.element.tabIndex = state.until ? 0 : -1;
    this.element.setAttribute("aria-disabled", String(!state.until));
    this.element.querySelector("u").textContent = state.name === "waiting" ? "Now" : "";
    if (state.until) {
      this.count(state);
      this.timer = setInterval(() => this.count(state), 500);
    } else {
      const again = this.lost && state.name === "connecting";
      this.label(state.name, again ? "Reconnecting…" : LABELS[state.name]);
    }
    this.say(state);
  }

  count({ name, until }) {
    const seconds = Math.max(1, Math.ceil((until - Date.now()) / 1000));
    this.label(name, name === "offline" ? "Offline" : `Reconnecting in ${seconds} s`);
  }

  label(name, text) {
    this.element.dataset.state = name;
    const label = this.element.querySelector(".label");
    if (label.textContent !== text) label.textContent = text;
  }

  /* Loss and return are spoken once each, not every attempt. */
  say({ name, until }) {
    if (name === "waiting" && !this.lost) this.speak("Connection lost.");
    if (name === "offline" && !this.lost) this.speak("You are offline.");
    if (name === "live" && this.lost) this.speak("Live again.");
    if (name === "closed") this.speak("The stream has ended.");
    if (until) this.lost = true;
    if (name === "live") this.lost = false;
  }
}

/* A polite live region that says the latest thing, at most once in five seconds. What is said may
 * be a function, asked for its text when its time has come. */
export function speaker(element) {
  let waiting = null;
  let timer = 0;
  const speak = () => {
    timer = 0;
    if (waiting === null) return;
    element.textContent = typeof waiting === "function" ? waiting() : waiting;
    waiting = null;
    timer = setTimeout(speak, SPEAK_EVERY_MS);
  };
  return (what) => {
    waiting = what;
    if (!timer) timer = setTimeout(speak, 100);
  };
}

/* Counts what nobody has seen yet: in the title while the tab is hidden, on the pill while the
 * newest posts are above the window. What was edited or removed is spoken only: it is in its place. */
export class News {
  constructor({ pill, feed, speak }) {
    Object.assign(this, { pill, feed, speak, above: 0, hidden: 0 });
    this.unspoken = { added: 0, edited: 0, removed: 0 };
    this.title = document.title;
    pill.addEventListener("click", () => this.toTop());
    addEventListener("scroll", () => this.above && this.seen(), { passive: true });
    document.addEventListener("visibilitychange", () => this.seen());
  }

  /* How many. `top`: where the feed began, in the window, when the posts came. */
  add(counts, top) {
    if (!counts.added && !counts.edited && !counts.removed) return;
    if (document.hidden) this.hidden += counts.added;
    if (top < 0) this.above += counts.added;
    for (const what of Object.keys(this.unspoken)) this.unspoken[what] += counts[what];
    this.speak(() => this.spoken());
    this.show();
  }

  spoken() {
    const { added, edited, removed } = this.unspoken;
    this.unspoken = { added: 0, edited: 0, removed: 0 };
    const parts = [
      added && newPosts(added),
      edited && `${posts(edited)} edited`,
      removed && `${posts(removed)} removed`,
    ];
    return parts.filter(Boolean).join(", ");
  }

  seen() {
    if (!document.hidden) this.hidden = 0;
    if (this.feed.getBoundingClientRect().top >= 0) this.above = 0;
    this.show();
  }

  show() {
    const title = this.hidden ? `(${this.hidden}) ${this.title}` : this.title;
    if (document.title !== title) document.title = title;
    this.pill.hidden = this.above === 0;
    this.pill.textContent = newPosts(this.above);
  }

  toTop() {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    scrollTo({ top: 0, behavior: calm ? "instant" : "smooth" });
    this.feed.querySelector("article")?.focus({ preventScroll: true });
  }
}

function newPosts(count) {
  return `${count} new ${count === 1 ? "post" : "posts"}`;
}

function posts(count) {
  return `${count} ${count === 1 ? "post" : "posts"}`;
}
