/* The tables as links, so that each opens in a tab of its own, with what came while another one was
 * looked at. Only the table that is shown has a stream: a browser has six connections. */
import { $, element } from "./dom.js";

const SEEN = "rowcast seen";

export class Tabs {
  constructor(feed, choice) {
    this.feed = feed;
    this.choice = choice;
    try {
      this.seen = JSON.parse(sessionStorage.getItem(SEEN)) ?? {};
    } catch {
      this.seen = {};
    }
  }

  /* `tables`: what the server says of each now. */
  show(tables) {
    for (const { feed, came } of tables) {
      const known = this.seen[feed];
      if (feed === this.feed || known === undefined || known > came) this.seen[feed] = came;
    }
    try {
      sessionStorage.setItem(SEEN, JSON.stringify(this.seen));
    } catch {
      // Counted on this page only.
    }
    const links = new Map([...$("tabs").querySelectorAll("a[data-feed]")].map((a) => [a.dataset.feed, a]));
    for (const table of tables) {
      const link = links.get(table.feed) ?? this.link(table);
      mark(link, table, table.came - this.seen[table.feed]);
    }
    if (this.choice && !$("tabs").querySelector(".more")) $("tabs").append(more());
  }

  link({ feed, name }) {
    const made = element("a");
    made.href = `/table/${encodeURIComponent(feed)}`;
    made.dataset.feed = feed;
    made.append(element("bdi", "", name));
    if (feed === this.feed) made.setAttribute("aria-current", "page");
    $("tabs").insertBefore(made, $("tabs").querySelector(".more"));
    return made;
  }
}

function mark(link, { exceptions }, unread) {
  link.querySelectorAll("span").forEach((one) => one.remove());
  if (exceptions.length) {
    const flaw = element("span", "flaw", "!");
    flaw.title = exceptions.map(({ fact, lacking }) => `${fact}: not promised: ${lacking}`).join("\n");
    link.append(flaw);
  }
  if (unread > 0) {
    const count = element("span", "unread", unread.toLocaleString("en"));
    count.title = `${count.textContent} new since you looked`;
    link.append(count);
  }
}

function more() {
  const made = element("a", "more", "All tables");
  made.href = "/";
  return made;
}
