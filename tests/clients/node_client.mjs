// Reads a stream with the npm package `eventsource`: node node_client.mjs URL
// Prints one JSON line for each row, {"id": …}, and one for each reset.
import { EventSource } from "eventsource";

const source = new EventSource(process.argv[2]);
const print = (value) => console.log(JSON.stringify(value));
source.addEventListener("message", (event) => print({ id: JSON.parse(event.data).id }));
source.addEventListener("reset", (event) => print({ reset: JSON.parse(event.data).reason }));
source.addEventListener("error", (event) => console.error("error", event.message ?? ""));

// Its wait before a reconnection does not keep Node alive: a program that does nothing else would
// end at the first drop.
setInterval(() => {}, 60_000);
