/* Tabs over a simulated feed whose rows change: `converge(kind, seed)` says what went wrong.
 *
 * Each Source is a tab: locks and channels work within a page as between pages. Connections are cut
 * after any frame, tabs come with and without an id and go, and rows come, change, change back and
 * go. At the end, each tab that wanted all rows has those of the table, and no other tab has a row
 * that the table has not.
 *
 * window: an id is count and digest of what one has; a client whose id is not known gets all.
 * version: an id is the newest version that one has; without an id one gets rows from now on.
 */
const CHANGES = 150;
const MOST_TABS = 6;
const RING = 12; // frames, so that some resumes are beyond it
const SILENCE_MS = 600_000; // nobody is taken for mute, however slow the machine is

const sleep = (ms) => new Promise((then) => setTimeout(then, ms));

/* mulberry32 */
function randomOf(seed) {
  return () => {
    let t = (seed += 0x6d2b79f5);
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/* The sum of a hash of each row, as the server's. The hash has to be good: with one of which the
 * last letter changes little, two changes cancel each other out. */
function digestOf(rows) {
  let sum = 0n;
  for (const [id, name] of rows) {
    let hash = 0xcbf29ce484222325n; // FNV-1a, finished as splitmix64
    for (const char of `${id} ${name}`) {
      hash = BigInt.asUintN(64, (hash ^ BigInt(char.charCodeAt(0))) * 0x100000001b3n);
    }
    hash = BigInt.asUintN(64, (hash ^ (hash >> 30n)) * 0xbf58476d1ce4e5b9n);
    hash = BigInt.asUintN(64, (hash ^ (hash >> 27n)) * 0x94d049bb133111ebn);
    sum = BigInt.asUintN(64, sum + (hash ^ (hash >> 31n)));
  }
  return sum.toString(36);
}

const frame = (event, data, id) =>
  `event: ${event}\ndata: ${JSON.stringify(data)}\n` + (id ? `id: ${id}\n\n` : "\n");

class Feed {
  constructor(kind, random) {
    Object.assign(this, { kind, random, rows: new Map(), ring: [], version: 0 });
    this.streams = new Set(); // what is due on each
    this.versions = new Map(); // key → newest version, of what was deleted, too
    this.id = this.idOf(this.rows);
  }

  idOf(rows) {
    return this.kind === "version" ? `e.${this.version}` : `w.${rows.size}.${digestOf(rows)}`;
  }

  change() {
    const { random, rows } = this;
    const key = 1 + Math.floor(random() * 12);
    if (rows.has(key) && random() < 0.3) {
      rows.delete(key);
      return this.emit("delete", { id: key });
    }
    const name = "abc"[Math.floor(random() * 3)]; // few, so that states come back
    if (rows.get(key) === name && this.kind === "window") return;
    rows.set(key, name);
    this.emit("message", { id: key, name });
  }

  emit(type, value) {
    this.versions.set(value.id, ++this.version);
    const prev = this.id;
    this.id = this.idOf(this.rows);
    const text = frame(type, value, this.id);
    this.ring = [...this.ring, { prev, text }].slice(-RING);
    for (const stream of this.streams) stream.push(text);
  }

  framesFor(id) {
    const at = this.ring.findLastIndex(({ prev }) => prev === id);
    if (id === this.id) return [frame("start", { key: ["id"] }, id)];
    if (at >= 0 && this.kind === "window") {
      return [frame("start", { key: ["id"] }, id), ...this.ring.slice(at).map(({ text }) => text)];
    }
    return this.kind === "window" ? this.snapshot() : this.since(id);
  }

  snapshot() {
    const sent = new Map();
    const frames = [frame("start", { key: ["id"] }), frame("clear", {}, this.idOf(sent))];
    for (const [id, name] of [...this.rows].reverse()) {
      sent.set(id, name);
      frames.push(frame("message", { id, name }, this.idOf(sent)));
    }
    return frames;
  }

  since(id) {
    const after = id ? Number(id.replace("e.", "")) : this.version;
    const frames = [frame("start", { key: ["id"] }, `e.${after}`)];
    for (const [key, version] of [...this.versions].sort((a, b) => a[1] - b[1])) {
      if (version <= after) continue;
      const name = this.rows.get(key);
      const data = this.rows.has(key) ? { id: key, name } : { id: key };
      frames.push(frame(this.rows.has(key) ? "message" : "delete", data, `e.${version}`));
    }
    return frames;
  }

  /* A response that brings what is due a few frames at a time, and is cut after any of them. */
  answer(id, signal) {
    const due = ["retry: 200\n", ...this.framesFor(id), frame("live", {}, this.id)];
    this.streams.add(due);
    const encoder = new TextEncoder();
    const { random, streams } = this;
    const body = new ReadableStream({
      async start(controller) {
        let open = true;
        signal.addEventListener("abort", () => (open = false));
        while (open) {
          await sleep(random() * 4);
          const piece = due.splice(0, 1 + Math.floor(random() * 4)).join("");
          if (open && piece) controller.enqueue(encoder.encode(piece));
          if (open && !this.calm && random() < 0.01) break;
        }
        streams.delete(due);
        if (open && random() < 0.5) controller.close();
        else controller.error(new Error("cut"));
      },
    });
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }
}

class Tab {
  constructor(feed, url, from) {
    this.whole = feed.kind === "window" || from === "0";
    this.map = new Map();
    this.source = rowcast(url, {
      from,
      silenceMs: SILENCE_MS,
      onRow: ({ id, name }) => this.map.set(id, name),
      onDelete: ({ id }) => this.map.delete(id),
      onClear: () => this.map.clear(),
    });
  }

  wrong(rows) {
    if (this.whole && this.map.size !== rows.size) return true;
    return [...this.map].some(([id, name]) => rows.get(id) !== name);
  }
}

const feeds = new Map(); // by address
globalThis.fetch = async (url, { headers, signal }) =>
  feeds.get(String(url)).answer(headers.get("Last-Event-ID") ?? "", signal);

async function converge(kind, seed) {
  const random = randomOf(seed);
  const feed = new Feed(kind, random);
  const url = new URL(`/stream/${kind}/${seed}`, location.href);
  feeds.set(String(url), feed);
  const tabs = [];
  for (let number = 0; number < CHANGES; number++) {
    feed.change();
    if (random() < 0.1 && tabs.length < MOST_TABS) {
      tabs.push(new Tab(feed, url, random() < 0.5 ? "0" : undefined));
    }
    if (random() < 0.04 && tabs.length > 1) {
      tabs.splice(Math.floor(random() * tabs.length), 1)[0].source.close();
    }
    await sleep(random() * 12);
  }
  tabs.push(new Tab(feed, url), new Tab(feed, url, "0")); // which come last
  feed.calm = true;
  await sleep(50);
  feed.rows.set(99, "last");
  feed.emit("message", { id: 99, name: "last" });
  while (tabs.some(({ source }) => source.lastEventId !== feed.id)) await sleep(20);
  for (const { source } of tabs) source.close();
  return tabs.filter((tab) => tab.wrong(feed.rows)).map(({ map }) => [[...map], [...feed.rows]]);
}
