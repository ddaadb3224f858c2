// Reads a stream in a browser: page.html?client=NAME&stream=URL&report=URL
// Reports one JSON line for each row, each reset, and when the client has given up for good; Rowcast's
// own script also its states.

const asked = new URLSearchParams(location.search);
const packages = new URL("../node_modules/", import.meta.url);

let lines = [];
let sending = false;
async function print(value) {
  lines.push(JSON.stringify(value));
  if (sending) return;
  sending = true;
  while (lines.length) {
    const body = lines.join("\n");
    lines = [];
    await fetch(asked.get("report"), { method: "POST", mode: "no-cors", body });
  }
  sending = false;
}
const row = (event) => print({ row: JSON.parse(event.data).body });
const reset = (event) => print({ reset: JSON.parse(event.data).reason });

const clients = {
  "rowcast.js": async (url) => {
    const { rowcast } = await import("/pages/rowcast.mjs");
    rowcast(url, {
      onRow: ({ body }) => print({ row: body }),
      onReset: (reason) => print({ reset: reason }),
      onState: ({ name }) => print(name === "closed" ? { closed: true } : { state: name }),
    });
  },

  "EventSource": (url) => listen(new EventSource(url)),

  "event-source-polyfill": async (url) => {
    await script("event-source-polyfill/src/eventsource.js");
    listen(new window.EventSourcePolyfill(url));
  },

  "reconnecting-eventsource": async (url) => {
    await script("reconnecting-eventsource/dist/ReconnectingEventSource.min.js");
    listen(new window.ReconnectingEventSource(url));
  },

  "@microsoft/fetch-event-source": async (url) => {
    const { fetchEventSource } = await load("@microsoft/fetch-event-source/lib/esm/index.js");
    fetchEventSource(url, {
      onmessage(event) {
        if (!event.event) row(event);
        if (event.event === "reset") reset(event);
      },
      onclose() { throw new Error("the server ended it: come back"); },
    });
  },

  // It takes an id before it has the event: so keep that of the last event, and send it yourself.
  "@microsoft/fetch-event-source, id kept": async (url) => {
    const { fetchEventSource } = await load("@microsoft/fetch-event-source/lib/esm/index.js");
    let lastId = "";
    fetchEventSource(url, {
      fetch: (input, init) =>
        fetch(input, { ...init, headers: { ...init.headers, "last-event-id": lastId } }),
      async onopen(answer) {
        if (answer.status === 204) throw new Error("over");
      },
      onmessage(event) {
        lastId = event.id || lastId;
        if (!event.event) row(event);
        if (event.event === "reset") reset(event);
      },
      onclose() { throw new Error("the server ended it: come back"); },
      onerror(error) {
        if (error.message === "over") throw error;
      },
    }).catch(() => print({ closed: true }));
  },

  "htmx": async (url) => {
    await script("htmx.org/dist/htmx.js");
    await script("htmx-ext-sse/dist/sse.js");
    document.body.innerHTML = `<div hx-ext="sse" sse-connect="${url}">
      <div sse-swap="message"></div><div sse-swap="reset"></div></div>`;
    // What a stream brings is JSON, not HTML: take it here, and swap nothing.
    document.body.addEventListener("htmx:sseBeforeMessage", (swap) => {
      swap.preventDefault();
      (swap.detail.type === "reset" ? reset : row)(swap.detail);
    });
    window.htmx.process(document.body);
  },
};

function listen(source) {
  source.onmessage = row;
  source.addEventListener("reset", reset);
  source.onerror = () => { if (source.readyState === 2) print({ closed: true }); };
}

const load = (path) => import(new URL(path, packages));
const script = (path) => new Promise((resolve, reject) => {
  const element = document.createElement("script");
  element.src = new URL(path, packages);
  element.onload = resolve;
  element.onerror = () => reject(new Error(path));
  document.head.append(element);
});

try {
  await clients[asked.get("client")](asked.get("stream"));
} catch (error) {
  print({ error: String(error) });
}
