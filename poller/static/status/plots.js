// An hour as small multiples: uPlot, one axis of time, the pointer in all at once. The heading says
// the last value, or that under the pointer; the note says the one thing to know.
/* global uPlot */
import { clock, count, duration, make, megabytes, percent, rate, say } from "./words.js";

const HEIGHT = 120;
const SYNC = uPlot.sync("hour");
const MOST_COLOURS = 4;
const OPACITY = [1, 0.55, 0.28];
const QUARTER_S = 900;

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const known = (line) => line.filter((value) => value !== null);
const most = (lines) => Math.max(0, ...lines.flatMap(known));
const last = (line) => line.findLast((value) => value !== null) ?? null;

/** 1, 2 or 5 of a power of ten, above `value`; halves are round, too. */
function above(value, least) {
  const wanted = Math.max(value, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 4, 6, 10].map((n) => n * power).find((one) => one >= wanted);
}

const seconds = (value) => (value ? duration(value) : "0");
const nothing = (lines) => most(lines) === 0;
const perWorker = { join: "sum" };

const PLOTS = [
  { title: "Delay", of: "delay", least: 0.1, format: duration, tick: seconds, names: ["p50", "p99"], colours: ["c0", "c0"], fill: true,
    empty: (lines) => !known(lines[0]).length && "nobody waited for a row in this hour",
    note: (lines) => `at most ${duration(most(lines))} in this hour` },
  { title: "Rows a second", of: "rows", least: 1, format: rate, stack: true, join: "sum", unit: "",
    empty: (lines) => nothing(lines) && "no row in this hour" },
  { title: "Open streams", of: "streams", least: 4, format: count, ...perWorker, note: grown },
  { title: "Polls a second", of: "polls", least: 1, format: rate, ...perWorker,
    note: (_, report) => `99 of 100 within ${duration(Math.max(0, ...report.workers.map((one) => one.poll_p99_s ?? 0)))}` },
  { title: "Open gaps", of: "gaps", least: 4, format: count, step: true, colours: ["c0"],
    note: (lines) => (most(lines) ? `at most ${count(most(lines))} at once` : "none in this hour") },
  { title: "CPU, of a core", of: "cpu", least: 20, format: percent, tick: (v) => `${Math.round(v)} %`, join: "most",
    note: (lines) => `at most ${percent(most(lines))}` },
  { title: "Memory", of: "memory", least: 100, format: megabytes, tick: (v) => (v ? megabytes(v) : "0"), join: "most",
    note: (lines) => { const first = Math.max(0, ...lines.map((line) => known(line)[0] ?? 0)), now = Math.max(0, ...lines.map((line) => last(line) ?? 0)); return Math.abs(now - first) < 0.05 * first ? "steady in this hour" : `${now > first ? "up" : "down"} ${megabytes(Math.abs(now - first))} in this hour`; } },
  { title: "Cut, turned away, reset", of: "lost", least: 4, format: count, bars: true, colours: ["c0"],
    empty: (lines) => nothing(lines) && "none in this hour",
    note: (lines) => `${count(known(lines[0]).reduce((sum, value) => sum + value, 0))} in this hour` },
];

function grown(lines) {
  const sum = (pick) => lines.reduce((total, line) => total + (pick(line) ?? 0), 0);
  const now = sum(last), before = sum((line) => known(line)[0]);
  if (now === before) return "as many as at the beginning";
  return `${count(Math.abs(now - before))} ${now > before ? "more" : "fewer"} than at the beginning`;
}

class Plot {
  constructor(config) {
    this.config = config;
    this.now = make("p", "now");
    this.area = make("div", "area");
    this.area.setAttribute("role", "img");
    this.silent = make("p", "silent");
    this.note = make("p", "note");
    this.element = make("article", "plot card", make("header", "", make("h3", "", config.title), this.now), this.area, this.note);
    this.area.append(this.silent);
  }

  show(report, hour) {
    const { config } = this;
    const raw = hour[config.of];
    this.raw = config.stack ? fewer(raw) : raw;
    this.names = config.stack ? feedNames(report, raw.length) : config.names ?? hour.slots.map((slot) => `worker ${slot}`);
    this.worst = report.workers.findIndex((one) => !one.well);
    this.marks = hour.marks;
    const xs = raw[0].map((_, i) => hour.from + i * hour.step);
    const empty = config.empty?.(this.raw) || "";
    say(this.silent, empty);
    this.silent.hidden = !empty;
    this.max = above(config.stack ? most([summed(this.raw)]) : most(this.raw), config.least);
    const data = [xs, ...(config.stack ? stacked(this.raw) : this.raw)];
    if (this.plot && this.lines === data.length) this.plot.setData(data);
    else this.draw(data);
    this.lines = data.length;
    this.say(null);
    if (config.stack && !empty) this.key();
    else say(this.note, empty ? "" : config.note(this.raw, report));
    this.area.setAttribute("aria-label", `${config.title}: ${this.now.textContent || empty}. ${this.note.textContent}`);
  }

  /** The feeds of a stack, under it. */
  key() {
    const parts = this.names.flatMap((name, i) => [make("i", `c0 t${i}`), make("span", "", name)]);
    this.note.replaceChildren(...parts);
  }

  draw(data) {
    this.plot?.destroy();
    const { config } = this;
    const font = `${11}px ${token("--sans")}`;
    const axis = { stroke: token("--soft"), font, ticks: { show: false }, gap: 4 };
    this.plot = new uPlot({
      width: this.area.clientWidth, height: HEIGHT,
      padding: [8, 12, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: SYNC.key, setSeries: false }, y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: true, range: () => [data[0][0], data[0].at(-1)] }, y: { range: () => [0, this.max] } },
      axes: [
        { ...axis, size: 18, grid: { show: false }, splits: (u) => quarters(u.data[0]), values: (u, splits) => splits.map((at) => (at === u.data[0].at(-1) ? "now" : clock(at))) },
        { ...axis, size: 44, grid: { stroke: token("--faint"), width: 1 }, splits: () => [0, this.max / 2, this.max], values: (_, splits) => splits.map(config.tick ?? ((v) => (Number.isInteger(v) ? count(v) : rate(v)))) },
      ],
      series: [{}, ...data.slice(1).map((_, i) => this.series(i, data.length - 1))],
      hooks: { draw: [(u) => this.drawMarks(u)], setCursor: [(u) => this.say(u.cursor.idx ?? null)] },
    }, data, this.area);
  }

  series(i, lines) {
    const { config } = this;
    const colour = token(this.colour(i, lines));
    if (config.bars) return { fill: colour, width: 0, paths: uPlot.paths.bars({ size: [1, 8] }), points: { show: false } };
    // A stack is painted from the top down, so that each covers what is not its own.
    if (config.stack) return { fill: colour + alpha(OPACITY[lines - 1 - i] ?? 1), width: 0, points: { show: false } };
    const loud = this.worst >= 0 && !config.colours;
    const width = loud ? (i === this.worst ? 2.25 : 1) : config.of === "delay" && i ? 1 : 1.5;
    return {
      stroke: colour, width, points: { show: false },
      fill: config.fill && !i ? colour + alpha(0.12) : undefined,
      paths: config.step ? uPlot.paths.stepped({ align: 1 }) : undefined,
    };
  }

  colour(i, lines) {
    if (this.config.stack || this.config.colours) return "--accent";
    if (lines <= MOST_COLOURS) return `--plot-${i + 1}`;
    return i === this.worst ? "--plot-1" : "--edge";
  }

  drawMarks(u) {
    u.ctx.save();
    u.ctx.strokeStyle = token("--edge");
    u.ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    u.ctx.lineWidth = devicePixelRatio;
    for (const mark of this.marks) {
      const x = Math.round(u.valToPos(mark.at, "x", true)) + 0.5;
      u.ctx.beginPath();
      u.ctx.moveTo(x, u.bbox.top);
      u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
      u.ctx.stroke();
    }
    u.ctx.restore();
  }

  /** The heading: the values at a point, null: the newest. */
  say(index) {
    const { config, raw } = this;
    const values = raw.map((line) => (index === null ? last(line) : line[index]));
    if (values.every((value) => value === null) || !this.silent.hidden) return this.now.replaceChildren();
    const shown = values.map((value) => value ?? 0);
    const bold = (value) => make("b", "", config.format(value));
    if (config.join === "sum") this.now.replaceChildren(shown.length > 1 ? "sum " : "", bold(shown.reduce((a, b) => a + b)));
    else if (config.join === "most") this.now.replaceChildren(shown.length > 1 ? "up to " : "", bold(Math.max(...shown)));
    else this.now.replaceChildren(...shown.flatMap((value, i) => [i ? " · " : "", config.names ? `${config.names[i]} ` : "", bold(value)]));
  }

  resize() {
    this.plot?.setSize({ width: this.area.clientWidth, height: HEIGHT });
  }
}

const alpha = (share) => Math.round(share * 255).toString(16).padStart(2, "0");

/** Marks of the axis: each quarter of an hour, and now. */
function quarters(xs) {
  const end = xs.at(-1), marks = [];
  for (let at = Math.ceil((xs[0] + 240) / QUARTER_S) * QUARTER_S; at < end - 420; at += QUARTER_S) marks.push(at);
  return [...marks, end];
}

/** At most three layers: what is more than two is one together. */
function fewer(lines) {
  return lines.length <= 3 ? lines : [...lines.slice(0, 2), summed(lines.slice(2))];
}

function feedNames(report, feeds) {
  const names = Object.keys(report.feeds);
  return feeds <= 3 ? names : [...names.slice(0, 2), `${feeds - 2} others`];
}

function summed(lines) {
  return lines[0].map((_, i) => {
    const values = lines.map((line) => line[i]).filter((value) => value !== null);
    return values.length ? values.reduce((a, b) => a + b) : null;
  });
}

/** The sums of the layers below and its own, the whole first. */
function stacked(lines) {
  return lines.map((_, i) => summed(lines.slice(0, lines.length - i)));
}

let plots = [];
let shown = null;

export function showHour(report, hour) {
  shown = { report, hour };
  document.getElementById("hours").hidden = false;
  if (!plots.length) {
    plots = PLOTS.map((config) => new Plot(config));
    document.getElementById("plots").append(...plots.map((plot) => plot.element));
    new ResizeObserver(() => plots.forEach((plot) => plot.resize())).observe(document.getElementById("plots"));
  }
  plots.forEach((plot) => plot.show(report, hour));
  const end = hour.from + hour.step * (hour.streams[0].length - 1);
  say(document.getElementById("span"), `${clock(hour.from)} to ${clock(end)}`);
  showKey(report, hour);
}

function showKey(report, hour) {
  const parts = [];
  const mark = hour.marks.at(-1);
  if (mark) parts.push(make("span", "deployed", `${count(mark.workers)} ${mark.workers === 1 ? "worker" : "workers"} began at ${clock(mark.at)}`));
  if (hour.slots.length > 1) {
    if (hour.slots.length > MOST_COLOURS) parts.push(make("span", "", make("i", "many"), `${hour.slots.length} workers`));
    else parts.push(...hour.slots.map((slot) => make("span", "", make("i", `c${slot}`), `worker ${slot}`)));
  }
  document.getElementById("key").replaceChildren(...parts);
}

// The colours of a canvas do not change by themselves.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  if (!shown) return;
  plots.forEach((plot) => { plot.lines = 0; });
  showHour(shown.report, shown.hour);
});
