/* The filter: words that are all in a row, and conditions `column=value`, `<`, `>`. */

export class Filter {
  constructor(columns) {
    this.names = new Map(columns.map(({ name }) => [name.toLowerCase(), name]));
    this.read("");
  }

  read(text) {
    this.words = [];
    this.conditions = [];
    for (const word of text.toLowerCase().split(/\s+/).filter(Boolean)) {
      const [, column, sign, value] = /^(.+?)([=<>])(.+)$/.exec(word) ?? [];
      if (this.names.has(column)) this.conditions.push([this.names.get(column), sign, value]);
      else this.words.push(word);
    }
  }

  get empty() {
    return !this.words.length && !this.conditions.length;
  }

  /* `text` is what the row holds, in lower case. */
  matches(row, text) {
    return (
      this.words.every((word) => text.includes(word)) &&
      this.conditions.every((condition) => holds(row, condition))
    );
  }

  /* Mark the words in what is shown. */
  highlight(rows) {
    if (!globalThis.CSS?.highlights) return;
    const ranges = this.words.length ? rows.flatMap((row) => this.found(row)) : [];
    CSS.highlights.set("hit", new Highlight(...ranges));
  }

  found(row) {
    const ranges = [];
    for (const { firstChild: node } of row.querySelectorAll("bdi")) {
      const text = node?.data.toLowerCase() ?? "";
      for (const word of this.words) {
        const at = text.indexOf(word);
        if (at < 0 || at + word.length > node.length) continue;
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + word.length);
        ranges.push(range);
      }
    }
    return ranges;
  }
}

function holds(row, [column, sign, value]) {
  const held = Object.hasOwn(row, column) ? row[column] : null;
  if (sign === "=") return String(held).toLowerCase() === value;
  if (held === null || held === "") return false;
  const [left, right] = [Number(held), Number(value)];
  const numbers = !Number.isNaN(left) && !Number.isNaN(right);
  const [a, b] = numbers ? [left, right] : [String(held).toLowerCase(), value];
  return sign === ">" ? a > b : a < b;
}

/* All that a row holds, to look in. */
export const textOf = (row) =>
  Object.values(row)
    .map((value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : value))
    .join("\n")
    .toLowerCase();
