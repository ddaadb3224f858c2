// Reads a stream with a package for Node, as its manual says: node node_client.mjs NAME URL
// Prints one JSON line for each row, each reset, and when the client has given up for good.

const print = (value) => console.log(JSON.stringify(value));
const row = (event) => print({ row: JSON.parse(event.data).body });
const reset = (event) => print({ reset: JSON.parse(event.data).reason });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const clients = {
  "eventsource 1": async (url) => listen(new (await import("eventsource1")).default(url)),
  "eventsource 2": async (url) => listen(new (await import("eventsource2")).default(url)),
  "eventsource 3": async (url) => listen(new (await import("eventsource3")).EventSource(url)),
  "eventsource 5": async (url) => listen(new (await import("eventsource")).EventSource(url)),

  "launchdarkly-eventsource": async (url) => {
    const { EventSource } = (await import("launchdarkly-eventsource")).default;
    const source = listen(new EventSource(url));
    source.onclosed = () => print({ closed: true });
  },

  // A parser only: connecting, waiting and sending the id are its user's.
  "eventsource-parser": async (url) => {
    const { createParser } = await import("eventsource-parser");
    let lastId = "";
    let retryMs = 1000;
    for (;;) {
      try {
        const answer = await fetch(url, { headers: { "Last-Event-ID": lastId } });
        if (answer.status === 204) return print({ closed: true });
        const parser = createParser({
          onId: (id) => { lastId = id; },
          onRetry: (ms) => { retryMs = ms; },
          onEvent: (event) => {
            if (!event.event) row(event);
            if (event.event === "reset") reset(event);
          },
        });
        const decoder = new TextDecoder();
        for await (const bytes of answer.body) parser.feed(decoder.decode(bytes, { stream: true }));
      } catch (error) {
        console.error(error.message);
      }
      await pause(retryMs);
    }
  },

  // It takes an id before it has the event: so keep that of the last event, and send it yourself.
  "eventsource 2, id kept": async (url) => {
    const { default: EventSource } = await import("eventsource2");
    const open = (lastId) => {
      const source = new EventSource(url, { headers: { "Last-Event-ID": lastId } });
      const keep = (event) => { lastId = event.lastEventId; };
      for (const name of ["start", "live", "message", "reset"]) source.addEventListener(name, keep);
      source.onmessage = (event) => { keep(event); row(event); };
      source.addEventListener("reset", reset);
      source.onerror = (event) => {
        source.close();
        if (event.status === 204) print({ closed: true });
        else setTimeout(open, source.reconnectInterval, lastId);
      };
    };
    open("");
  },
};

function listen(source) {
  source.onmessage = row;
  source.addEventListener("reset", reset);
  source.onerror = (event) => {
    console.error("error", event.message ?? "");
    setTimeout(() => { if (source.readyState === 2) print({ closed: true }); });
  };
  return source;
}

// A client's wait before its reconnection does not always keep Node alive.
setInterval(() => {}, 60_000);
await clients[process.argv[2]](process.argv[3]);
