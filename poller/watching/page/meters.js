/* Rate and delay of the last five minutes, drawn by attributes. */
import { $ } from "./dom.js";

const SPAN_S = 300;
const BARS = 32;
const BAR_S = SPAN_S / BARS;
const RATE_S = 10; // the number is of the last seconds
const HEIGHT = 23;
const WIDTH = 96;
const DELAYS = 48;

export class Meters {
  constructor(cameColumn) {
    this.began = Date.now();
    this.arrived = []; // [ms, rows]
    this.delays = [];
    const meter = $("delay-meter");
    meter.hidden = !cameColumn;
    meter.title = `From ${cameColumn} to this page, the last rows`;
  }

  count(rows) {
    this.arrived.push([Date.now(), rows]);
  }

  delay(seconds) {
    this.delays.push(seconds);
    if (this.delays.length > 10 * DELAYS) this.delays.shift();
  }

  /* Seconds: the median of the last, or of a hundred the one that 99 do not exceed. */
  quantile(q, last = this.delays.length) {
    const sorted = this.delays.slice(-last).sort((a, b) => a - b);
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] : null;
  }

  get rate() {
    const now = Date.now();
    const span = Math.min(RATE_S, Math.max(1, (now - this.began) / 1000));
    const rows = this.arrived.filter(([at]) => at > now - RATE_S * 1000);
    return rows.reduce((sum, [, n]) => sum + n, 0) / span;
  }

  draw(isLive) {
    const now = Date.now();
    while (this.arrived.length && this.arrived[0][0] < now - SPAN_S * 1000) this.arrived.shift();
    const median = this.quantile(0.5, DELAYS);
    $("meters").classList.toggle("stale", !isLive);
    $("rate-now").textContent = isLive ? short(this.rate) : "–";
    $("delay-now").textContent = isLive && median !== null ? median.toFixed(2) : "–";
    $("delay-unit").textContent = isLive && median !== null ? "s\u00a0delay" : "delay";
    $("chip-delay").textContent = isLive && median !== null ? ` · ${median.toFixed(1)}\u00a0s` : "";
    $("rate").querySelector(".bars").setAttribute("d", this.bars(now));
    $("delay").querySelector(".trace").setAttribute("d", this.trace());
  }

  bars(now) {
    const sums = new Array(BARS).fill(0);
    const newest = Math.floor(now / 1000 / BAR_S);
    for (const [at, rows] of this.arrived) {
      const bar = BARS - 1 - (newest - Math.floor(at / 1000 / BAR_S));
      if (bar >= 0) sums[bar] += rows;
    }
    const most = Math.max(1, ...sums);
    return sums
      .map((sum, i) => {
        const high = sum && Math.max(1, (sum / most) * HEIGHT).toFixed(1);
        return high ? `M${i * 3} ${HEIGHT}v-${high}h2v${high}z` : "";
      })
      .join("");
  }

  trace() {
    const last = this.delays.slice(-DELAYS);
    if (last.length < 2) return "";
    const most = Math.max(0.5, ...last);
    const points = last.map((seconds, i) => {
      const x = ((i * WIDTH) / (last.length - 1)).toFixed(1);
      return `${x} ${(HEIGHT - (Math.max(0, seconds) / most) * (HEIGHT - 1)).toFixed(1)}`;
    });
    return `M${points.join("L")}`;
  }
}

const short = (rate) => (rate >= 100 ? Math.round(rate).toLocaleString("en") : rate.toFixed(1));
