/* Rows of a stream in a page, one connection for all tabs: rowcast(url, { onRow }), <row-cast src>.
 *
 * A classic script; rowcast.mjs is the module. docs/page.md explains both, and how tabs share.
 *
 * The invariant: a tab's id says exactly which rows it was given, and a tab takes an event only if
 * that follows directly on its id. So it does not matter over which connection an event came.
 */
(() => {
  const LEAST_WAIT_MS = 200; // whatever the server says
  const MOST_WAIT_MS = 1e9; // a timer takes little more
  const FAILED_WAIT_MS = 30_000; // at most
  const SILENCE_MS = 40_000; // of a dead connection; heartbeats come every 15 s
  const LOOK_MS = 5_000; // is it silent, does the leader answer?
  const KEPT = 1_000; // events, and rows
  const KEPT_CHARS = 1_000_000;
  const LONGEST_MET_ID = 512; // a longer one may be merged: equal ids, other rows

  /* HTML standard 9.2.6. Takes text in pieces of any size. */
  class EventParser {
    constructor({ onEvent, onRetry = () => {}, lastEventId = "" }) {
      this.onEvent = onEvent;
      this.onRetry = onRetry;
      this.lastEventId = this.id = lastEventId;
      this.rest = this.data = this.type = "";
      this.skipLineFeed = false; // an LF now belongs to a CR before
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
      const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
      if (field === "data") this.data += value + "\n";
      else if (field === "event") this.type = value;
      else if (field === "id" && !value.includes("\0")) this.id = value;
      else if (field === "retry" && /^[0-9]+$/.test(value)) this.onRetry(Number(value));
    }

    dispatch() {
      const { data, type } = this;
      this.data = this.type = "";
      const id = (this.lastEventId = this.id);
      if (data) this.onEvent({ type: type || "message", data: data.slice(0, -1), id });
    }
  }

  /* Comes back for ever, unless the server says 204. Its owner has the id to go on from. */
  class Connection {
    constructor(owner, url, init, silenceMs) {
      Object.assign(this, { owner, url, init, silenceMs, running: false });
      this.retryMs = 2_000;
    }

    start() {
      this.stop();
      this.running = true;
      this.failures = 0;
      this.connect();
    }

    stop() {
      this.running = false;
      this.letGo();
    }

    letGo() {
      clearTimeout(this.timer);
      clearInterval(this.watch);
      this.attempt?.abort();
      this.attempt = null;
    }

    async connect() {
      const attempt = (this.attempt = new AbortController());
      this.live = false;
      this.owner.show({ name: "connecting" });
      this.heardAt = Date.now(); // timers may stop while a laptop sleeps
      this.watch = setInterval(
        () => Date.now() - this.heardAt > this.silenceMs && attempt.abort(),
        Math.min(LOOK_MS, this.silenceMs / 5),
      );
      let outcome = "failed";
      try {
        outcome = await this.read(attempt);
      } catch {
        // Refused, cut off, silent: all the same.
      }
      if (this.attempt !== attempt) return; // stopped
      this.letGo();
      if (outcome === "over") return this.owner.show({ name: "closed" });
      this.failures = outcome === "ended" ? 0 : this.failures + 1;
      this.wait();
    }

    async read(attempt) {
      const headers = new Headers(this.init?.headers);
      headers.set("Accept", "text/event-stream");
      const id = new TextEncoder().encode(this.owner.id); // UTF-8, as EventSource sends it
      if (id.length) headers.set("Last-Event-ID", String.fromCharCode(...id));
      const { signal } = attempt;
      const response = await fetch(this.url, { cache: "no-store", ...this.init, headers, signal });
      if (response.status === 204) return "over";
      const type = response.headers.get("Content-Type") ?? "";
      if (response.status !== 200 || !/^text\/event-stream(;|$)/i.test(type.trim())) {
        return "failed"; // an error page
      }
      this.clockAheadMs = Date.parse(response.headers.get("Date") ?? "") - Date.now();
      let events = [];
      const parser = new EventParser({
        lastEventId: this.owner.id,
        onRetry: (ms) => (this.retryMs = Math.min(Math.max(ms, LEAST_WAIT_MS), MOST_WAIT_MS)),
        onEvent: (event) => events.push(event),
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (this.attempt !== attempt) return "failed";
        if (done) return "ended";
        this.heardAt = Date.now();
        parser.push(value);
        if (events.length) this.take(events);
        if (this.attempt !== attempt) return "failed";
        events = [];
      }
    }

    /* A full server sends a time to retry, and no event: that is not live. */
    take(events) {
      this.failures = 0;
      this.tell("catching-up");
      this.owner.brought(events);
      this.live ||= events.some(({ type }) => type === "live");
      this.tell("live");
    }

    tell(name) {
      if (!this.running || this.live !== (name === "live")) return;
      this.owner.show({ name, clockAheadMs: this.clockAheadMs });
    }

    wait() {
      const doubled = Math.min(this.retryMs * 2 ** Math.max(0, this.failures - 1), FAILED_WAIT_MS);
      // A server that ended it has said when to come back, and spreads that itself.
      const waitMs = this.failures === 0 ? this.retryMs : doubled * (0.5 + Math.random() / 2);
      this.timer = setTimeout(() => this.connect(), waitMs);
      const name = navigator.onLine ? "waiting" : "offline";
      this.owner.show({ name, until: Date.now() + waitMs });
    }
  }

  /* The newest entries. */
  class Recent extends Map {
    chars = 0;

    set(key, value) {
      this.delete(key);
      this.chars += value.data.length;
      super.set(key, value);
      while (this.size > KEPT || this.chars > KEPT_CHARS) this.delete(this.keys().next().value);
      return this;
    }

    delete(key) {
      this.chars -= this.get(key)?.data.length ?? 0;
      return super.delete(key);
    }

    clear() {
      this.chars = 0;
      super.clear();
    }
  }

  /* One call of rowcast(). The tab with the lock leads: it has the connection, and tells the others
   * each event. One that joins asks for what follows its id; if the leader does not know that, the
   * tab has a connection of its own until it meets the others. A leader that ends loses the lock, a
   * mute one has it stolen; each tab goes on from its own id. */
  class Source {
    constructor(url, { from, key = "id", share = true, init, silenceMs, ...handlers }) {
      silenceMs ||= SILENCE_MS;
      const address = new URL(url, document.baseURI);
      for (const name of ["lastEventId", "last_event_id"]) {
        from ??= address.searchParams.get(name);
        address.searchParams.delete(name); // one name for all tabs
      }
      Object.assign(this, { id: from ?? "", key, silenceMs, handlers, state: {} });
      this.name = `rowcast 1 ${address}`;
      this.connection = new Connection(this, address, init, silenceMs);
      this.shares = share && !init && navigator.locks && globalThis.BroadcastChannel;
      this.me = String(Math.random());
      this.seen = new Recent();
      this.recent = new Recent(); // the leader's events
      this.count = 0;
      this.over = new AbortController();
      this.listen();
      this.join();
    }

    listen() {
      const { signal } = this.over;
      const on = (target, name, does) => target.addEventListener(name, does, { signal });
      const again = () => this.connection.running && this.connection.start();
      on(globalThis, "online", again);
      on(globalThis, "offline", again);
      // A page put aside answers nobody, and may hold nothing if it is to come back.
      on(globalThis, "pagehide", () => this.leave());
      on(globalThis, "pageshow", () => this.join());
      on(document, "freeze", () => this.leave());
      on(document, "resume", () => this.join());
      on(document, "visibilitychange", () => document.hidden || this.hurry());
    }

    join() {
      if (this.joined || this.over.signal.aborted) return;
      this.joined = true;
      this.show({ name: "connecting" });
      if (!this.shares) return this.connection.start();
      this.tip = null; // the leader's id
      this.heardAt = 0;
      this.channel = new BroadcastChannel(this.name);
      this.channel.onmessage = ({ data }) => this.hear(data);
      this.watch = setInterval(() => this.look(), Math.min(LOOK_MS, this.silenceMs / 5));
      this.ask();
      this.queue();
    }

    leave() {
      this.joined = this.leads = this.inStep = false;
      this.connection.stop();
      clearInterval(this.watch);
      this.channel?.close();
      this.turn?.abort();
      this.channel = this.turn = null;
      this.release?.();
      this.recent.clear();
    }

    close() {
      this.leave();
      this.over.abort();
      this.show({ name: "closed" });
    }

    queue(steal = false) {
      this.turn?.abort();
      const turn = (this.turn = new AbortController());
      navigator.locks
        .request(this.name, steal ? { steal } : { signal: turn.signal }, () => {
          if (this.turn === turn) return this.lead();
        })
        .catch((error) => this.turn === turn && this.lost(error));
    }

    lead() {
      this.leads = true;
      this.inStep = false;
      if (this.tip !== this.id) this.recent.clear();
      this.tip = this.id;
      if (!this.connection.running) this.connection.start();
      this.tell();
      return new Promise((release) => (this.release = release));
    }

    /* Stolen, since we did not answer; or there may be no locks here. */
    lost(error) {
      this.leave();
      if (error.name !== "AbortError") this.shares = false;
      this.join();
    }

    ask() {
      this.askedAt = Date.now();
      this.channel.postMessage({ ask: true, from: this.me, id: this.id });
    }

    look() {
      const now = Date.now();
      if (this.leads) return this.tell();
      if (now - this.heardAt < this.silenceMs / 2) return this.state.until < now && this.hurry();
      if (this.askedAt <= this.heardAt) this.ask();
      else if (now - this.askedAt > (this.silenceMs / 12) * (1 + Math.random())) this.queue(true);
    }

    /* Somebody looks, or a hidden leader's timer is late. */
    hurry() {
      if (!this.state.until) return;
      if (this.connection.running) this.connection.start();
      else this.channel?.postMessage({ hurry: true });
    }

    /* With state and id each time: nothing missed goes unnoticed. */
    tell(message = {}) {
      this.channel.postMessage({ ...message, state: this.state, tip: this.tip });
    }

    hear({ ask, hurry, from, to, id, prev, events, state, tip }) {
      if (this.leads) {
        if (ask) this.tell({ to: from, id, events: this.after(id) });
        if (hurry) this.hurry();
      }
      if (this.leads || !state || (to && to !== this.me)) return;
      this.heardAt = Date.now();
      this.leaderState = state;
      if (to) this.heardAnswer(id, events, tip);
      else if (events) this.heardEvents(events, prev);
      else this.heardTip(tip);
      if (this.inStep) this.show(state);
    }

    heardTip(tip) {
      if (tip === this.tip && this.inStep) return;
      if (tip !== this.tip) this.recent.clear();
      this.tip = tip;
      this.meet();
    }

    heardEvents(events, prev) {
      if (prev !== this.tip) this.recent.clear();
      this.remember(events, prev);
      if (!this.id && !this.connection.running) {
        this.id = prev; // from now
        this.inStep = true;
      }
      if (this.inStep && prev === this.id) this.take(events);
      else this.meet();
    }

    heardAnswer(id, events, tip) {
      if (this.inStep || this.connection.running || id !== this.id) return;
      this.recent.clear();
      this.tip = tip;
      if (events) this.remember(events, id);
      else this.connection.start();
      this.meet();
    }

    meet() {
      this.id ||= this.tip;
      const missed = this.after(this.id);
      this.inStep = Boolean(missed);
      if (missed) {
        this.connection.stop();
        this.take(missed);
        if (this.joined) this.show(this.leaderState);
      } else if (!this.connection.running && this.askedAt < this.heardAt - 1000) {
        this.ask();
      }
    }

    brought(events) {
      if (this.leads) {
        this.remember(events, this.id);
        this.tell({ events, prev: this.id });
      }
      this.take(events);
      if (this.channel && !this.leads && this.tip !== null) this.meet();
    }

    remember(events, prev) {
      for (const event of events) {
        this.recent.set(this.count++, { ...event, prev });
        this.tip = prev = event.id;
      }
    }

    /* What follows that id at its first place; null if unknown. */
    after(id) {
      if (!id) return [];
      if (id.length > LONGEST_MET_ID) return null;
      const events = [...this.recent.values()];
      const at = events.findIndex(({ prev }) => prev === id);
      return at >= 0 ? events.slice(at) : id === this.tip ? [] : null;
    }

    take(events) {
      for (const event of events) {
        if (!this.joined) return; // closed by a handler
        this.id = event.id;
        this.call(() => this.hand(event));
      }
    }

    hand({ type, data }) {
      const { onRow, onReset, onUnreadable } = this.handlers;
      const value = JSON.parse(data);
      if (type === "message" && this.isNew(value[this.key], data)) onRow?.(value);
      if (type === "unreadable") onUnreadable?.(value);
      if (type === "reset") {
        this.seen.clear();
        onReset?.(value.reason);
      }
    }

    /* The same may come again after a reconnect. */
    isNew(key, data) {
      if (key === undefined) return true;
      const known = this.seen.get(key)?.data === data;
      this.seen.set(key, { data });
      return !known;
    }

    show(state) {
      if (state.name === this.state.name && !state.until) return;
      this.state = state;
      if (this.leads) this.tell();
      this.call(() => this.handlers.onState?.(state));
      if (state.name === "closed" && this.joined) this.close();
    }

    call(work) {
      try {
        work();
      } catch (error) {
        globalThis.reportError ? reportError(error) : console.error(error);
      }
    }
  }

  function rowcast(url, options = {}) {
    const source = new Source(url, options);
    return {
      close: () => source.close(),
      get state() {
        return source.state;
      },
      get lastEventId() {
        return source.id;
      },
    };
  }

  class RowCast extends (globalThis.HTMLElement ?? Object) {
    static observedAttributes = ["src"];

    connectedCallback() {
      if (document.readyState !== "loading") return this.open();
      document.addEventListener("DOMContentLoaded", () => this.open(), { once: true });
    }

    disconnectedCallback() {
      if (!this.source) return;
      this.lastEventId = this.source.lastEventId;
      this.source.close();
      this.source = null;
    }

    attributeChangedCallback(_, before) {
      if (before !== null && this.source) this.restart();
    }

    open() {
      const url = this.getAttribute("src");
      if (!this.isConnected || this.source || !url) return;
      this.adopt();
      this.source = rowcast(url, {
        from: this.lastEventId ?? this.getAttribute("from"),
        key: this.key,
        share: !this.hasAttribute("alone"),
        silenceMs: Number(this.getAttribute("silence-ms")),
        onRow: (row) => this.upsert(row),
        onUnreadable: (row) => this.say("unreadable", row),
        onReset: (reason) => this.reset(reason),
        onState: (state) => {
          this.setAttribute("state", state.name);
          this.say("state", state);
        },
      });
    }

    get key() {
      return this.getAttribute("key") || "id";
    }

    get place() {
      return document.querySelector(this.getAttribute("target")) ?? this;
    }

    /* What the server rendered. */
    adopt() {
      const there = [...this.place.querySelectorAll(":scope > [data-key]")];
      if (!this.hasAttribute("append")) there.reverse();
      this.rows = new Map(there.map((element) => [element.dataset.key, element])); // oldest first
    }

    upsert(row) {
      const key = String(row[this.key]);
      const known = this.rows.get(key);
      const named = document.querySelector(this.getAttribute("template"));
      const template = named ?? this.querySelector("template"); // without one, events only
      const element = known ?? template?.content.firstElementChild.cloneNode(true);
      if (element) fill(element, row, key);
      if (!this.say("row", { row, element }) || known || !element) return;
      if (this.hasAttribute("append")) this.place.append(element);
      else this.place.prepend(element);
      this.rows.set(key, element);
      const most = Number(this.getAttribute("limit")) || 100;
      for (const old of this.rows.keys()) {
        if (this.rows.size <= most) break;
        this.rows.get(old).remove();
        this.rows.delete(old);
      }
    }

    reset(reason) {
      if (!this.say("reset", { reason })) return;
      if (this.getAttribute("from") === "0") this.restart();
      else this.clear();
    }

    restart() {
      this.disconnectedCallback();
      this.clear();
      this.open();
    }

    clear() {
      this.rows.forEach((element) => element.remove());
      this.rows.clear();
      this.lastEventId = undefined;
    }

    say(name, detail) {
      const how = { detail, bubbles: true, cancelable: true };
      return this.dispatchEvent(new CustomEvent(`rowcast:${name}`, how));
    }
  }

  /* Text only: nothing in a row becomes markup. */
  function fill(element, row, key) {
    element.dataset.key = key;
    for (const one of [element, ...element.querySelectorAll("[data-field]")]) {
      const value = row[one.dataset.field];
      if (value === undefined) continue;
      one.textContent = Object(value) === value ? JSON.stringify(value) : (value ?? "");
    }
  }

  if (globalThis.rowcast) return; // loaded twice
  globalThis.rowcast = Object.assign(rowcast, { EventParser });
  globalThis.customElements?.define("row-cast", RowCast);
})();
