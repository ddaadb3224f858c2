// The verdict and the checks. Each check keeps its elements, so that what is open, focused or
// selected stays so while its numbers change.
import { make, say } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const MARKS = {
  ok: ["is well", [["circle", { class: "ok", cx: 10, cy: 10, r: 9 }], ["path", { class: "tick", d: "m6 10.5 2.7 2.7L14 7.6" }]]],
  warn: ["needs attention", [
    ["path", { class: "warn", d: "M10 1.2c.6 0 1.1.3 1.4.8l7.8 14c.6 1.1-.2 2.4-1.4 2.4H2.2C1 18.4.2 17.1.8 16l7.8-14c.3-.5.8-.8 1.4-.8z" }],
    ["path", { class: "bang", d: "M9 6.5h2l-.3 6H9.300zM9 14h2v2H9z" }],
  ]],
};

function mark(well) {
  const [label, shapes] = MARKS[well ? "ok" : "warn"];
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  for (const [name, attributes] of shapes) {
    const shape = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    svg.append(shape);
  }
  return svg;
}

/** Numbers stand out in the one sentence under the verdict. */
function withNumbers(text) {
  return text.split(/(\d[\d,.]*(?:\u00a0(?:ms|s|min|h|days)\b|(?=\u00a0)))/).map((part, i) => (i % 2 ? make("b", "", part) : part));
}

const verdict = document.getElementById("verdict");
let said = "";

export function showVerdict(report) {
  const [title, text] = verdict.querySelectorAll("h1, p");
  if (verdict.dataset.well !== String(report.well)) {
    verdict.dataset.well = report.well;
    verdict.querySelector("svg")?.remove();
    verdict.prepend(mark(report.well));
  }
  say(title, report.verdict);
  document.title = `${report.well ? "" : "! "}${report.verdict.replace(/\.$/, "")} · Rowcast`;
  if (said !== report.text) text.replaceChildren(...withNumbers((said = report.text)));
}

class Line {
  constructor(check) {
    this.amber = check.state !== "ok";
    this.sentence = make(this.amber ? "h2" : "p", "sentence");
    this.aside = make("span", "aside");
    this.element = make(this.amber ? "article" : "div", this.amber ? "check amber" : "check", mark(!this.amber), this.sentence, this.aside);
    if (this.amber) this.element.append(this.more());
    this.show(check);
  }

  more() {
    this.facts = make("dl", "facts");
    this.step = make("span");
    this.code = make("code");
    const pre = make("pre", "", this.code);
    pre.tabIndex = 0;
    const copy = make("button", "", "Copy");
    copy.type = "button";
    copy.addEventListener("click", () => this.copy(copy));
    this.sample = make("div", "sample", copy, pre);
    this.next = make("div", "next", make("p", "", make("b", "", "Next: "), this.step), this.sample);
    return make("div", "more", this.facts, this.next);
  }

  async copy(button) {
    try {
      await navigator.clipboard.writeText(this.code.textContent);
    } catch { // without https there is no clipboard: at least it is selected
      getSelection().selectAllChildren(this.code);
      return;
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  show(check) {
    say(this.sentence, check.sentence);
    say(this.aside, check.aside);
    if (!this.amber) return;
    if (this.evidence !== check.evidence) this.showFacts((this.evidence = check.evidence));
    say(this.step, check.next);
    say(this.code, check.command);
    this.next.hidden = !check.next;
    this.sample.hidden = !check.command;
  }

  showFacts(evidence) {
    this.facts.hidden = !evidence;
    this.facts.replaceChildren(...evidence.split("\n").flatMap((line) => {
      const [, name, value] = /^([A-Z][a-z]+(?: [a-z]+)?): (.*)$/.exec(line) ?? [];
      return name ? [make("dt", "", name), make("dd", "", value)] : [make("dt", "quiet", "Also"), make("dd", "whole", line)];
    }));
  }
}

const lines = new Map();
const box = document.getElementById("checks");
const well = document.getElementById("well");
const summary = well.querySelector("summary");
let decided = false;

/** Into the order of the report, touching only what is out of place. */
function arrange(parent, elements) {
  elements.forEach((element, i) => {
    if (parent.children[i] !== element) parent.insertBefore(element, parent.children[i] ?? null);
  });
  while (parent.children.length > elements.length) parent.lastChild.remove();
}

export function showChecks(checks) {
  const shown = checks.map((check) => {
    let line = lines.get(check.name);
    if (line?.amber !== (check.state !== "ok")) lines.set(check.name, (line = new Line(check)));
    else line.show(check);
    return line;
  });
  const green = shown.filter((line) => !line.amber);
  arrange(document.getElementById("amber"), shown.filter((line) => line.amber).map((line) => line.element));
  arrange(well.querySelector("div"), green.map((line) => line.element));
  const all = green.length === shown.length;
  if (all !== decided || !summary.firstChild) {
    decided = all;
    well.classList.toggle("all", all);
    well.open = all;
  }
  summary.replaceChildren(mark(true), `${green.length} ${all ? "checks are" : green.length === 1 ? "more check is" : "more checks are"} well`);
  well.hidden = !green.length;
  box.hidden = false;
}
