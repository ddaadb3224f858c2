/* Is it live? What the chip and the strips say of the stream and of the database. */
import { $, Refused, element } from "./dom.js";

const OLD = "What you see may be old. Rows that you miss will come, in order; none is skipped.";
const REASONS = {
  "history-changed": "it was dropped, truncated or restored",
  "ids-restarted": "its ids started again",
};
const GRACE_MS = 1_500; // a stream that comes back within it was not lost to anybody

export class Status {
  constructor({ hurry }) {
    this.state = { name: "connecting" };
    this.paused = false;
    this.reason = ""; // why the database is away
    this.since = Date.now();
    this.poll_s = 0;
    $("retry").addEventListener("click", hurry);
    $("strip-reset")
      .querySelector("button")
      .addEventListener("click", () => ($("strip-reset").hidden = true));
  }

  get isLive() {
    return this.state.name === "live" && !this.reason;
  }

  stream(state) {
    const was = this.isLive;
    this.state = state;
    this.changed(was);
  }

  /* `table`: what the server says of it now. */
  database(table) {
    this.problem(table?.problem ?? "");
    this.exceptions = table?.exceptions ?? [];
  }

  problem(reason) {
    const was = this.isLive;
    this.reason = reason;
    this.outside = "";
    this.changed(was);
  }

  /* The server gave no answer, or said no. */
  refused(error) {
    this.outside =
      error instanceof Refused && error.status === 403
        ? "This page belongs to an earlier rowcast watch. Open the address that the new one printed."
        : error instanceof Refused && error.message
          ? `${error.message[0].toUpperCase()}${error.message.slice(1)}.`
          : "";
    if (this.outside) this.tick();
  }

  changed(wasLive) {
    if (wasLive && !this.isLive) this.lostAt = Date.now();
    if (!wasLive && this.isLive) this.liveAt = Date.now();
    this.tick();
  }

  pause(on) {
    this.paused = on;
    this.tick();
  }

  reset(table, reason) {
    const at = new Date().toLocaleTimeString();
    const told = $("strip-reset").firstElementChild;
    told.replaceChildren(
      element("b", "", `${table} is another table since ${at}`),
      ` (${REASONS[reason] ?? "what was known of it no longer holds"}). The rows below were loaded ` +
        "afresh; nothing from before is among them.",
    );
    $("strip-reset").hidden = false;
  }

  tick() {
    const { until } = this.state;
    const isWaiting = until !== undefined && !this.outside;
    $("retry").hidden = !isWaiting;
    $("about").hidden = isWaiting;
    if (isWaiting) {
      $("retry-in").textContent = `${Math.max(0, Math.ceil((until - Date.now()) / 1000))}\u00a0s`;
    }
    const [state, label] = this.label();
    if ($("chip").dataset.state !== state || $("chip-label").textContent !== label) {
      $("chip").dataset.state = state;
      $("chip-label").textContent = label;
      $("spoken").textContent = label;
    }
    this.tellLost();
  }

  label() {
    if (this.outside) return ["waiting", "Not here"];
    if (this.reason) return ["waiting", "Waiting for the database"];
    if (this.paused) return ["paused", "Paused"];
    if (this.isLive) return ["live", "Live"];
    if (this.state.name === "catching-up") return ["connecting", "Catching up"];
    return ["connecting", "Connecting"];
  }

  tellLost() {
    const strip = $("strip-lost");
    const lostMs = Date.now() - (this.lostAt ?? this.since);
    const isLost = this.outside || (!this.isLive && lostMs > GRACE_MS && (this.reason || this.state.until));
    strip.hidden = !isLost;
    if (!isLost) return;
    const ago = `${Math.round(lostMs / 1000)}\u00a0s`;
    const [fact, more] = this.outside
      ? [this.outside, ""]
      : this.reason
        ? [`No answer for ${ago}: ${this.reason}.`, OLD]
        : [`Connection lost ${ago} ago. Does rowcast watch still run?`, OLD];
    strip.firstElementChild.replaceChildren(element("b", "", fact), ` ${more}`);
  }

  /* What is known of the connection, while its menu is open. */
  facts(meters, source) {
    if (!$("about").open) return;
    const minutes = Math.floor((Date.now() - (this.liveAt ?? Date.now())) / 60_000);
    const delay = (q) => {
      const s = meters.quantile(q);
      return s === null ? "unknown" : `${s.toFixed(2)}\u00a0s`;
    };
    const token = source.lastEventId;
    const known = {
      "Live for": this.isLive ? (minutes ? `${minutes}\u00a0min` : "less than a minute") : "–",
      Rows: `${meters.rate.toFixed(1)} a second`,
      "Delay, median": delay(0.5),
      "Delay, 99 of 100": delay(0.99),
      Polls: `every ${this.poll_s}\u00a0s`,
      Position: token.length > 24 ? `${token.slice(0, 23)}…` : token,
      "The promise": this.exceptions?.length ? "with exceptions" : "in full",
    };
    const shown = Object.entries(known).flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value)]);
    $("facts").replaceChildren(...shown);
  }
}
