// The status page: first the whole, then a report a second by the library's own stream.
import { showChecks, showVerdict } from "./checks.js";
import { showHour } from "./plots.js";
import { count, duration, make, megabytes, say } from "./words.js";

const STALE_S = 10;
const pulse = document.getElementById("pulse");
const label = document.getElementById("pulse-label");
let updatedAt = 0;
let gone = "";

function show(report) {
  updatedAt = performance.now();
  gone = "";
  showVerdict(report);
  showChecks(report.checks);
  showWorkers(report.workers);
  const versions = [...new Set(report.workers.map((one) => one.version))].join(", ");
  say(document.getElementById("host"), `${location.host} · Rowcast ${versions}`);
  if (report.hour) showHour(report, report.hour);
  beat();
}

/** The page's own pulse. */
function beat() {
  const age = (performance.now() - updatedAt) / 1000;
  const stale = !updatedAt || age > STALE_S;
  pulse.dataset.state = gone ? "waiting" : !updatedAt ? "connecting" : stale ? "waiting" : "live";
  say(label, gone || (updatedAt ? `Updated ${Math.max(1, Math.round(age))} s ago` : "Connecting"));
}

function showWorkers(workers) {
  document.getElementById("each-worker").hidden = !workers.length;
  say(document.getElementById("how-many"), workers.length === 1 ? "the only one on this machine" : `of the ${workers.length} on this machine`);
  const many = workers.length > 4;
  document.getElementById("workers").replaceChildren(...workers.map((one) => {
    const cells = [
      one.pid, duration(one.since_s), count(one.streams), duration(one.poll_p99_s), duration(one.delay_p50_s),
      duration(one.delay_p99_s), count(one.open_gaps), one.cpu_percent === null ? "–" : `${Math.round(one.cpu_percent)}\u00a0%`, megabytes(one.memory_mb),
    ];
    const name = make("td", "", make("i", many ? "many" : `c${one.worker}`), make("b", "", `${one.worker}`));
    if (!one.well) name.append(" late");
    return make("tr", one.well ? "" : "amber", name, ...cells.map((text) => make("td", "num", `${text}`)));
  }));
}

function follow() {
  const stream = new EventSource("status/stream");
  stream.onmessage = (event) => show(JSON.parse(event.data));
  stream.onerror = () => {
    if (stream.readyState !== EventSource.CLOSED) return;
    gone = "Ended: reload to go on"; // the cookie has run out, or the token is another
    beat();
  };
}

async function begin() {
  try {
    const answer = await fetch("status/json");
    if (answer.ok) show(await answer.json());
  } catch { /* the stream says the same, and tries again */ }
  follow();
}

setInterval(beat, 1000);
begin();
