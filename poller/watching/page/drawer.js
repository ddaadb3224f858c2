/* A row's details. They stay on their row while others come. */
import { $, copies, element } from "./dom.js";
import { ago, show } from "./values.js";

export class Drawer {
  constructor(facts) {
    this.facts = facts;
    this.row = null;
  }

  static listen(current) {
    $("close").addEventListener("click", () => current().close());
    copies($("copy"), () => $("json").textContent);
  }

  get isOpen() {
    return !$("drawer").hidden;
  }

  open(tr) {
    this.unmark();
    this.tr = tr;
    tr.setAttribute("aria-selected", "true");
    const { entry } = tr;
    const { row } = entry;
    $("drawer-title").replaceChildren(element("small", "", `${this.facts.name} `), String(entry.key ?? ""));
    $("fields").replaceChildren(...(row ? this.facts.columns.map((one) => field(one, row)) : []));
    $("json").textContent = JSON.stringify(row ?? { id: entry.key, reason: entry.problem }, null, 2);
    this.tell();
    $("drawer").hidden = false;
    $("drawer").querySelector(".inside").scrollTop = 0;
    if (matchMedia("(max-width: 1099px)").matches) $("drawer-title").focus();
  }

  tell() {
    if (!this.tr) return;
    const { entry } = this.tr;
    const came = entry.isNews ? `+ Came ${ago(entry.at)} ago` : "Was there when this page was opened";
    const told = entry.problem === undefined ? came : `It could not be read: ${entry.problem}`;
    $("story").textContent = told.replace("now ago", "now") + (entry.late ? ", late" : "");
  }

  close() {
    if (!this.isOpen) return;
    const hadFocus = $("drawer").contains(document.activeElement);
    $("drawer").hidden = true;
    this.unmark();
    if (hadFocus && this.tr?.isConnected) this.tr.focus();
    this.tr = null;
  }

  unmark() {
    this.tr?.removeAttribute("aria-selected");
  }
}

function field({ name, type, kind }, row) {
  const made = element("div");
  const term = element("dt", "", name);
  term.append(element("small", "", type));
  const value = element("dd", kind);
  const withheld = row._withheld ?? {};
  const reason = Object.hasOwn(withheld, name) ? withheld[name] : undefined;
  show(value, kind, Object.hasOwn(row, name) ? row[name] : null, { full: true });
  if (reason !== undefined) value.replaceChildren(element("span", "withheld", `not sent: ${reason}`));
  made.append(term, value);
  return made;
}
