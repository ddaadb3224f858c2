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
  const SEEN_WAIT_MS = 5_000; // at most, while somebody looks
  const SILENCE_MS = 40_000; // of a dead connection; heartbeats come every 15 s
  const LOOK_MS = 5_000; // is it silent, does the leader answer?
  const QUIET_MS = 5_000; // for coming back after an end that the server planned
  const SETTLE_MS = 500; // after a `clear` its rows come without a pause
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
      Object.assign(this, { owner, url, init, silenceMs, running: false, quiet: 0 });
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
      clearTimeout(this.quiet);
      this.quiet = 0;
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
      this.show({ name: "connecting" });
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
      if (outcome.name) return this.show(outcome);
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
      const { status } = response;
      if (status === 204) return { name: "closed" };
      if (status === 401 || status === 403) return { name: "refused", status };
      const type = response.headers.get("Content-Type") ?? "";
      if (status !== 200 || !/^text\/event-stream(;|$)/i.test(type.trim())) {
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
      this.show({ name, clockAheadMs: this.clockAheadMs });
    }

    wait() {
      const most = document.hidden ? FAILED_WAIT_MS : SEEN_WAIT_MS;
      const doubled = Math.min(this.retryMs * 2 ** Math.max(0, this.failures - 1), most);
      // A server that ended it has said when to come back, and spreads that itself.
      const waitMs = this.failures === 0 ? this.retryMs : doubled * (0.5 + Math.random() / 2);
      this.timer = setTimeout(() => this.connect(), waitMs);
      // The server ended a live stream in good order, as at the end of its lifetime.
      if (this.failures === 0 && this.live && waitMs < QUIET_MS) {
        this.quiet = setTimeout(() => this.say(), QUIET_MS);
      }
      const name = navigator.onLine ? "waiting" : "offline";
      this.show({ name, until: Date.now() + waitMs });
    }

    /* While it comes back quietly, only that it failed to, or is live again, is news. */
    show(state) {
      this.state = state;
      const news = ["live", "closed", "refused"].includes(state.name) || this.failures > 0;
      if (news || !this.quiet) this.say();
    }

    say() {
      clearTimeout(this.quiet);
      this.quiet = 0;
      this.owner.show(this.state);
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
    constructor(url, { from, key, share = true, withCredentials, init, silenceMs, ...handlers }) {
      silenceMs ||= SILENCE_MS;
      const address = new URL(url, document.baseURI);
      for (const name of ["lastEventId", "last_event_id"]) {
        from ??= address.searchParams.get(name);
        address.searchParams.delete(name); // one name for all tabs
      }
      Object.assign(this, { id: from ?? "", silenceMs, handlers, state: {} });
      this.ownKey = [key ?? "id"].flat();
      this.feedKey = undefined; // of a feed whose rows change and go; null: of another
      const credentials = withCredentials ? "include" : "same-origin";
      this.name = `rowcast 2 ${credentials} ${address}`;
      this.connection = new Connection(this, address, { credentials, ...init }, silenceMs);
      this.shares = share && !init && navigator.locks && globalThis.BroadcastChannel;
      this.me = String(Math.random());
      this.seen = new Recent();
      this.recent = new Recent(); // the leader's events
      this.count = 0;
      this.over = new AbortController();
      this.listen();
      this.join();
    }

    get key() {
      return this.feedKey ?? this.ownKey;
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
      this.end();
      this.show({ name: "closed" });
    }

    end() {
      this.leave();
      this.over.abort();
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
      if (now - this.heardAt < this.silenceMs / 2) {
        if (this.state.until < now) this.hurry();
        else if (this.state.until && !document.hidden) this.channel.postMessage({ seen: true });
        return;
      }
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
      const { state, tip, feedKey } = this;
      this.channel.postMessage({ ...message, state, tip, feedKey });
    }

    hear({ ask, hurry, seen, from, to, id, prev, events, state, tip, feedKey }) {
      if (state?.name === "refused") return this.show(state); // all have one login
      if (this.leads) {
        if (ask) this.tell({ to: from, id, events: this.after(id) });
        // A leader that nobody sees waits longer, but not for a tab in view. A time that the
        // server said counts for all.
        if (hurry || (seen && this.connection.failures)) this.hurry();
      }
      if (this.leads || !state || (to && to !== this.me)) return;
      this.heardAt = Date.now();
      this.leaderState = state;
      if (feedKey !== undefined) this.feedKey = feedKey;
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
      if (!this.id && !this.connection.running && this.mayBeginAt(prev)) {
        this.id = prev;
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

    /* Whether a tab without an id, which wants rows from now on, may have that of the leader. Where
     * rows change, its `now` may be a window's rows, which it gets from the server. */
    mayBeginAt(id) {
      return !id || this.feedKey === null;
    }

    meet() {
      if (this.mayBeginAt(this.tip)) this.id ||= this.tip;
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
      const start = events.find(({ type }) => type === "start");
      if (start) this.feedKey = JSON.parse(start.data).key ?? null;
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
      if (!id) return this.mayBeginAt(this.tip) ? [] : null;
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
      const { onRow, onDelete, onClear, onReset, onUnreadable } = this.handlers;
      const value = JSON.parse(data);
      const name = nameOf(value, this.key);
      if (type === "delete") this.seen.delete(name);
      if (type === "clear" || type === "reset") this.seen.clear();
      if (type === "message" && this.isNew(name, data)) onRow?.(value);
      if (type === "unreadable") onUnreadable?.(value);
      if (type === "delete") onDelete?.(value);
      if (type === "clear") onClear?.();
      if (type === "reset") onReset?.(value.reason);
    }

    /* The same may come again after a reconnect. */
    isNew(name, data) {
      if (name === undefined) return true;
      const known = this.seen.get(name)?.data === data;
      this.seen.set(name, { data });
      return !known;
    }

    show(state) {
      if (state.name === this.state.name && !state.until) return;
      this.state = state;
      if (this.leads) this.tell();
      const over = ["closed", "refused"].includes(state.name);
      if (over) this.end();
      this.call(() => this.handlers.onState?.(state));
    }

    call(work) {
      try {
        work();
      } catch (error) {
        globalThis.reportError ? reportError(error) : console.error(error);
      }
    }
  }

  /* A row's name: its key's value; of several, with commas between. */
  function nameOf(row, key) {
    const values = key.map((column) => row[column]);
    if (values.includes(undefined)) return undefined;
    if (values.length === 1) return String(values[0]);
    return values.map((value) => String(value).replace(/[\\,]/g, "\\$&")).join();
  }

  function rowcast(url, options = {}) {
    const source = new Source(url, options);
    return {
      close: () => source.close(),
      retryNow: () => source.hurry(),
      get key() {
        return source.key;
      },
      get changes() {
        return Boolean(source.feedKey);
      },
      get state() {
        return source.state;
      },
      get lastEventId() {
        return source.id;
      },
    };
  }

  /* `list` has the rows in the page's order, `rows` by name. */
  class RowCast extends (globalThis.HTMLElement ?? Object) {
    static observedAttributes = ["src", "order-by"];
    list = [];
    rows = new Map();
    stale = new Set(); // names of rows from before a `clear`
    arrived = 0;

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

    attributeChangedCallback(name, before, now) {
      if (!this.opened) return;
      if (name === "order-by") return this.sort();
      if (before === now && this.source?.state.name !== "refused") return;
      if (unsigned(before) !== unsigned(now)) return this.restart();
      this.disconnectedCallback(); // another signature for the same rows
      this.open();
    }

    open() {
      this.opened = this.isConnected;
      const url = this.getAttribute("src");
      if (!this.isConnected || this.source || !url) return;
      this.adopt();
      this.source = rowcast(url, {
        from: this.lastEventId ?? this.getAttribute("from"),
        key: this.getAttribute("key") || undefined,
        share: !this.hasAttribute("alone"),
        withCredentials: this.hasAttribute("with-credentials"),
        silenceMs: Number(this.getAttribute("silence-ms")),
        onRow: (row) => this.upsert(row),
        onDelete: (key) => this.delete(key),
        onClear: () => this.refresh(),
        onUnreadable: (row) => this.say("unreadable", row),
        onReset: (reason) => this.reset(reason),
        onState: (state) => {
          if (state.name === "live") this.settle();
          this.setAttribute("state", state.name);
          this.say("state", state);
        },
      });
    }

    get place() {
      return document.querySelector(this.getAttribute("target")) ?? this;
    }

    get appends() {
      return this.hasAttribute("append");
    }

    /* What the server rendered, or was here before the element was moved. */
    adopt() {
      const known = new Map(this.list.map((entry) => [entry.element, entry]));
      const there = [...this.place.querySelectorAll(":scope > [data-key]")];
      this.list = there.map((element) => known.get(element) ?? rendered(element));
      this.rows = new Map(this.list.map((entry) => [entry.name, entry]));
      const oldestFirst = this.appends ? this.list : [...this.list].reverse();
      for (const entry of oldestFirst) entry.arrival = ++this.arrived;
    }

    upsert(row) {
      const name = nameOf(row, this.source.key);
      const known = this.rows.get(name);
      const named = document.querySelector(this.getAttribute("template"));
      const template = named ?? this.querySelector("template"); // without one, events only
      const element = known?.element ?? template?.content.firstElementChild.cloneNode(true);
      this.keepPlace();
      if (element) fill(element, row, name);
      if (!this.say("row", { row, element, known: Boolean(known) })) return this.drop(name);
      if (!element) return;
      const entry = known ?? { name, element };
      entry.row = row;
      entry.arrival ??= ++this.arrived;
      if (this.settling) this.settleSoon();
      this.stale.delete(name);
      this.rows.set(name, entry);
      this.put(entry);
      this.trim();
    }

    /* A row that keeps its place is not moved: what has the focus in it keeps that. */
    put(entry) {
      const was = this.list.indexOf(entry);
      if (was >= 0) this.list.splice(was, 1);
      const { order, place } = this;
      let [at, end] = [0, this.list.length];
      while (at < end) {
        const middle = (at + end) >> 1;
        if (order(this.list[middle], entry) < 0) at = middle + 1;
        else end = middle;
      }
      this.list.splice(at, 0, entry);
      if (at === was) return;
      // The page may have taken some away.
      const there = this.list.filter((one) => one === entry || one.element.parentNode === place);
      const next = there[there.indexOf(entry) + 1]?.element;
      const previous = there[there.indexOf(entry) - 1]?.element;
      const edge = this.appends ? null : place.firstChild;
      this.held?.delete(entry.element);
      move(entry.element, place, next ?? (previous ? previous.nextSibling : edge));
    }

    /* Of two entries; those that are equal in it have the order of their names. */
    get order() {
      const sign = this.appends ? 1 : -1;
      if (this.compare) {
        return (a, b) => this.compare(a.row, b.row) || compareValues(a.name, b.name);
      }
      const { key, changes } = this.source ?? {};
      const named = termsOf(this.getAttribute("order-by") ?? "");
      // Changes arrive at any time: by arrival each page would have another order.
      if (!named.length && !changes) return (a, b) => sign * (a.arrival - b.arrival);
      const terms = named.length ? named : key.map((column) => ({ column, sign }));
      const value = ({ row, name }, column) => (column in row ? row[column] : name);
      return (a, b) => {
        for (const { column, sign } of terms) {
          const order = compareValues(value(a, column), value(b, column), sign);
          if (order) return order;
        }
        return compareValues(a.name, b.name, terms.at(-1).sign);
      };
    }

    sort() {
      const { list } = this;
      this.list = [];
      for (const entry of list) this.put(entry);
    }

    trim() {
      const most = Number(this.getAttribute("limit")) || (this.source.changes ? 1_000 : 100);
      while (this.list.length - this.stale.size > most) {
        this.drop(this.list.at(this.appends ? 0 : -1).name);
      }
    }

    delete(key) {
      const name = nameOf(key, this.source.key);
      const element = this.rows.get(name)?.element;
      this.drop(name, !this.say("delete", { key, element }));
    }

    drop(name, leaves = false) {
      const entry = this.rows.get(name);
      if (!entry) return;
      this.keepPlace();
      if (!leaves) entry.element.remove();
      this.list.splice(this.list.indexOf(entry), 1);
      this.rows.delete(name);
      this.stale.delete(name);
    }

    /* After a `clear` all rows come. Those that are here stay until then: most of them come again,
     * and nobody loses the place. */
    refresh() {
      this.say("clear", {});
      this.stale = new Set(this.rows.keys());
      this.settleSoon();
    }

    settleSoon() {
      clearTimeout(this.settling);
      this.settling = setTimeout(() => this.settle(), SETTLE_MS);
    }

    settle() {
      clearTimeout(this.settling);
      this.settling = null;
      for (const name of this.stale) this.drop(name);
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
      this.settle();
      for (const name of this.rows.keys()) this.drop(name);
      this.lastEventId = undefined;
    }

    /* What is read stays where it is when rows above it come, change or go, in Safari, too. */
    keepPlace() {
      if (this.held || CSS.supports("overflow-anchor", "auto")) return;
      const scroller = scrollerOf(this.place);
      if (!scroller.scrollTop) return; // at the top one wants to see the new
      const edge = Math.max(0, scroller.getBoundingClientRect().top);
      const places = this.list.map(({ element }) => [element, element.getBoundingClientRect()]);
      this.held = new Map(places.filter(([, { bottom }]) => bottom > edge));
      queueMicrotask(() => {
        const [one] = [...this.held].filter(([element]) => element.isConnected);
        if (one) scroller.scrollTop += one[0].getBoundingClientRect().top - one[1].top;
        this.held = null;
      });
    }

    say(name, detail) {
      const how = { detail, bubbles: true, cancelable: true };
      return this.dispatchEvent(new CustomEvent(`rowcast:${name}`, how));
    }
  }

  const unsigned = (url) => url?.replace(/([?&])signed=[^&#]*/, "$1");

  const fieldsOf = (element) => [element, ...element.querySelectorAll("[data-field]")];

  function rendered(element) {
    const { key: name, ...row } = { ...element.dataset }; // data-total="30" may say it, too
    for (const { dataset, textContent } of fieldsOf(element)) row[dataset.field] ??= textContent;
    return { name, element, row };
  }

  /* Text only: nothing in a row becomes markup. */
  function fill(element, row, name) {
    element.dataset.key = name;
    for (const one of fieldsOf(element)) {
      const value = row[one.dataset.field];
      if (value === undefined) continue;
      const text = Object(value) === value ? JSON.stringify(value) : String(value ?? "");
      if (one.textContent !== text) one.textContent = text; // a selection in the others stays
    }
  }

  function move(element, place, before) {
    const focused = document.activeElement;
    if (place.moveBefore && element.parentNode === place) return place.moveBefore(element, before);
    place.insertBefore(element, before);
    if (element.contains(focused)) focused.focus({ preventScroll: true });
  }

  const termsOf = (text) =>
    [...text.matchAll(/([^,]+?)(?:\s+(asc|desc))?\s*(?:,|$)/gi)].map(([, column, direction]) => ({
      column: column.trim(),
      sign: /desc/i.test(direction) ? -1 : 1,
    }));

  /* Numbers by size, also those that are text since a double cannot hold them; times by their text;
   * other text as the page's language has it. NULL and "" come last. */
  function compareValues(a, b, sign = 1) {
    const isNothing = (value) => (value ?? "") === "";
    if (isNothing(a) || isNothing(b)) return isNothing(a) - isNothing(b);
    if (a - b) return sign * (a - b);
    [a, b] = [a, b].map((value) => String(value).replace(/(\d)Z$/, "$1"));
    const isNumber = /^-?\d/;
    const byCode = isNumber.test(a) || isNumber.test(b);
    return sign * (byCode ? (a > b) - (a < b) : a.localeCompare(b));
  }

  function scrollerOf(element) {
    for (let one = element; one && one !== document.body; one = one.parentElement) {
      if (/auto|scroll/.test(getComputedStyle(one).overflowY)) return one;
    }
    return document.scrollingElement;
  }


  if (globalThis.rowcast) return; // loaded twice
  globalThis.rowcast = Object.assign(rowcast, { EventParser });
  globalThis.customElements?.define("row-cast", RowCast);
})();
