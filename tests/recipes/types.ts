// What a user writes in TypeScript; compiled strictly, never run.
import type { Options, Source, State } from "../../poller/static/rowcast.mjs";
import rowcast, { rowcast as named } from "../../poller/static/rowcast.mjs";

interface Order {
  id: number;
  customer: string;
  note: string | null;
}

const states: State[] = [];
const options: Options<Order> = {
  from: "0",
  key: "id",
  share: false,
  withCredentials: true,
  init: { credentials: "include" },
  silenceMs: 60_000,
  onRow: (order) => order.customer.toUpperCase(),
  onDelete: ({ id }) => id?.toFixed(),
  onClear: () => undefined,
  onReset: (reason) => reason.length,
  onUnreadable: ({ id, reason }) => `${id} ${reason.length}`,
  onState(state) {
    states.push(state);
    if (state.name === "waiting" || state.name === "offline") new Date(state.until);
    if (state.name === "live") Date.now() + state.clockAheadMs;
    if (state.name === "refused") state.status === 401;
    // @ts-expect-error there is no such state
    if (state.name === "ended") return;
    // @ts-expect-error only one that waits has it
    if (state.name === "live") state.until;
  },
};
const source: Source = rowcast("/stream/orders", options);
source.lastEventId.length;
source.state.name;
source.key.map((column) => column.length);
const onlyNew: boolean = !source.changes;
onlyNew.valueOf();
// @ts-expect-error it is the server's
source.key = ["id"];
source.close();
named(new URL("/stream", "https://example.org"), { onRow: (row) => row["id"] });
// @ts-expect-error there is no such option
rowcast("/stream", { onrow: () => undefined });
new rowcast.EventParser({ onEvent: ({ type, data, id }) => type + data + id }).push("data: 1\n\n");

// The classic script.
globalThis.rowcast("/stream").close();
const element = document.querySelector("row-cast");
if (element) element.compare = (a, b) => Number(a["total"]) - Number(b["total"]);
element?.sort();
element?.addEventListener("rowcast:row", ({ detail }) => detail.element?.append("!"));
element?.addEventListener("rowcast:state", (event) => event.detail.name);
document.addEventListener("rowcast:reset", ({ detail }) => detail.reason);
document.addEventListener("rowcast:delete", (event) => {
  event.preventDefault();
  event.detail.element?.animate({ opacity: 0 }).finished.then(() => event.detail.key["id"]);
});
document.addEventListener("rowcast:clear", ({ detail }) => detail);
addEventListener("rowcast:row", ({ detail }) => detail.known && detail.row["id"]);
rowcast("/stream/seats", { key: ["room", "number"] });
