/* A live stream of server-sent events, read with fetch().
 *
 * Why not EventSource? It gives up for good after any answer but 200 (a proxy's 502, a deploy), and
 * it hides what a truthful connection chip needs: heartbeats, the retry time, the status. A socket
 * that died without a word looks open to it for many minutes. The format is the same: this parser
 * follows the WHATWG's HTML standard, section 9.2.6, and any EventSource can read our stream.
 *
 * This file knows the protocol, and nothing of the page.
 */

const LEAST_WAIT_MS = 200; // whatever the server says: nobody is helped by a storm of requests
const LONGEST_WAIT_MS = 30_000; // between attempts that failed; a server may ask for more
const LONGEST_TIMER_MS = 2 ** 31 - 1; // beyond, setTimeout fires at once
const SILENT_HEARTBEATS = 2.5; // silence of that many heartbeats: the connection is dead

/* Feed it text in pieces of any size; it calls back for each event and each retry time. */
export class EventParser {
  constructor({ onEvent, onRetry = () => {}, lastEventId = "" }) {
    this.onEvent = onEvent;
    this.onRetry = onRetry;
    this.lastEventId = lastEventId; // as of the last finished event: a reconnect goes on there
    this.id = lastEventId;
    this.rest = "";
    this.skipLineFeed = false; // the last piece ended with CR: an LF now belongs to it
    this.heard = false; // an event or a heartbeat: this stream is served
    this.clear();
  }

  push(text) {
    if (text === "") return;
    if (this.skipLineFeed && text.startsWith("\n")) text = text.slice(1);
    this.skipLineFeed = text.endsWith("\r");
    const lines = (this.rest + text).split(/\r\n|\r|\n/);
    this.rest = lines.pop();
    for (const line of lines) this.line(line);
  }

  line(line) {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "") {
      this.heard ||= value === ""; // a heartbeat; other comments say why there is nothing yet
      return;
    }
    if (field === "data") this.data += value + "\n";
    else if (field === "event") this.type = value;
    else if (field === "id" && !value.includes("\0")) this.id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) this.onRetry(Number(value));
  }

  dispatch() {
    this.lastEventId = this.id;
    const { data, type } = this;
    this.clear();
    if (!data) return;
    this.heard = true;
    this.onEvent({ type: type || "message", data: data.slice(0, -1) });
  }

  clear() {
    this.data = "";
    this.type = "";
  }
}

/* Stays connected for ever, unless the server says 204.
 *
 * onState gets {name}: "connecting", "live", "waiting" (with `until`, ms since the epoch; `offline`
 * when the browser says so), "ended". onEvent gets {type, data}; onClock the server's time in ms.
 */
export class LiveStream {
  constructor({ url, lastEventId, heartbeatMs, onEvent, onState, onClock = () => {} }) {
    Object.assign(this, { url, lastEventId, heartbeatMs, onEvent, onState, onClock });
    this.retryMs = 2000;
    this.failures = 0;
    this.state = null;
    this.attempt = null; // the AbortController of the connection that counts
    this.timer = 0;
  }

  start() {
    addEventListener("online", () => this.reconnect());
    // The browser knows of the network only, not of this server: so try, and see.
    addEventListener("offline", () => this.reconnect());
    addEventListener("pagehide", () => this.disconnect()); // an open fetch keeps a page out of bfcache
    addEventListener("pageshow", (event) => event.persisted && this.reconnect());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.state === "waiting") this.reconnect();
    });
    this.connect();
  }

  reconnect() {
    if (this.state === "ended") return;
    this.disconnect();
    this.failures = 0;
    this.connect();
  }

  disconnect() {
    clearTimeout(this.timer);
    this.attempt?.abort();
    this.attempt = null;
  }

  async connect() {
    const attempt = (this.attempt = new AbortController());
    this.setState("connecting");
    this.expectLife(attempt);
    let outcome = "failed";
    try {
      outcome = await this.read(attempt);
    } catch {
      // Refused, reset, cut off, silent for too long: all the same, we come back.
    }
    if (this.attempt !== attempt) return; // replaced, or the page is hidden
    this.disconnect();
    if (outcome === "ended") return this.setState("ended");
    // A server that ends a stream has said when to come back. What failed waits longer each time.
    this.failures = outcome === "closed" ? 0 : this.failures + 1;
    this.wait();
  }

  /* "ended", "closed" by the server, "failed"; throws where the connection breaks. */
  async read(attempt) {
    const response = await fetch(this.url, {
      headers: { Accept: "text/event-stream", ...this.resumeHeader() },
      cache: "no-store",
      signal: attempt.signal,
    });
    if (response.status === 204) return "ended";
    const type = response.headers.get("Content-Type") ?? "";
    if (response.status !== 200 || !/^text\/event-stream(;|$)/i.test(type.trim())) {
      attempt.abort(); // an error page; its text is of no use
      return "failed";
    }
    this.onClock(Date.parse(response.headers.get("Date") ?? ""));
    const parser = new EventParser({
      lastEventId: this.lastEventId,
      onRetry: (ms) => (this.retryMs = Math.min(Math.max(ms, LEAST_WAIT_MS), LONGEST_TIMER_MS)),
      onEvent: this.onEvent,
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(); // strips a BOM
    for (;;) {
      const { done, value } = await reader.read();
      if (this.attempt !== attempt) return "failed";
      if (done) return "closed";
      this.expectLife(attempt);
      parser.push(value);
      this.lastEventId = parser.lastEventId;
      // A server that is full answers with nothing but a time to retry, one that waits for its
      // table with a comment: that is not live.
      if (parser.heard) this.setLive();
    }
  }

  setLive() {
    this.failures = 0;
    this.setState("live");
  }

  resumeHeader() {
    if (!this.lastEventId) return {};
    // Headers are bytes, and an id may be any text: its UTF-8, as EventSource sends it.
    const bytes = new TextEncoder().encode(this.lastEventId);
    return { "Last-Event-ID": String.fromCharCode(...bytes) };
  }

  expectLife(attempt) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => attempt.abort(), this.heartbeatMs * SILENT_HEARTBEATS);
  }

  wait() {
    const doubled = Math.min(this.retryMs * 2 ** Math.max(0, this.failures - 1), LONGEST_WAIT_MS);
    // Only what we chose is spread; the server spreads its own times.
    const waitMs = this.failures === 0 ? this.retryMs : doubled * (0.5 + Math.random() / 2);
    this.timer = setTimeout(() => this.connect(), waitMs);
    this.setState("waiting", { until: Date.now() + waitMs, offline: !navigator.onLine });
  }

  setState(name, more = {}) {
    if (name === this.state && name !== "waiting") return;
    this.state = name;
    this.onState({ name, ...more });
  }
}
