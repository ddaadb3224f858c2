/* The wall in a browser: puts the parts together. Without this script the page still works. The
 * stream is read by Rowcast's own script, which the page loads before this one. */

import { Changes } from "./changes.js";
import { Form } from "./form.js";
import { Posts } from "./posts.js";
import { Chip, News, speaker } from "./status.js";
import { setServerTime, showTimes } from "./times.js";

const { rowcast } = globalThis;
const RELOAD_AGAIN_MS = 3000;
const SILENT_HEARTBEATS = 2.5; // silence of that many: the connection is dead
const NO_CURSOR = "reload"; // not a cursor: the server answers it with a reset

const at = (id) => document.getElementById(id);
const feed = at("feed");
const home = new URL(feed.dataset.home, location.href);
const posts = new Posts({ feed, template: at("post-template"), olderNav: at("older"), home });

/* Another page of the wall: its articles, and where the next one is. */
async function load(url) {
  const response = await fetch(url, { headers: { Accept: "text/html" }, cache: "no-store" });
  if (!response.ok) throw new Error(`${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const away = page.getElementById("away");
  const older = page.getElementById("older");
  if (!older || (away && !away.classList.contains("none"))) throw new Error("no posts to be had");
  const articles = [...page.querySelectorAll("#feed > article")].map((one) =>
    document.importNode(one, true),
  );
  articles.forEach(showTimes);
  const href = older.hidden ? null : new URL(older.querySelector("a").getAttribute("href"), home).href;
  return { articles, older: href };
}

/* Older posts: by the link, and by themselves when the end comes near. */
function installOlder() {
  const nav = at("older");
  const link = nav.querySelector("a");
  let loading = false;
  let failed = false;
  async function more() {
    if (loading || !posts.older) return;
    loading = posts.olderLoading = true;
    feed.setAttribute("aria-busy", "true");
    link.textContent = "Loading…";
    try {
      const { articles, older } = await load(posts.older);
      posts.append(articles, older);
      failed = false;
    } catch {
      failed = true; // then only by hand
    }
    link.textContent = failed ? "Older posts could not be loaded. Try again" : "Older posts";
    feed.setAttribute("aria-busy", "false");
    loading = posts.olderLoading = false;
    near.unobserve(nav); // observed anew, it reports again when the end is still near
    near.observe(nav);
  }
  link.addEventListener("click", (event) => {
    if (posts.full || event.ctrlKey || event.metaKey || event.shiftKey) return; // a page of its own
    event.preventDefault();
    more();
  });
  const near = new IntersectionObserver(
    (changes) => changes.at(-1).isIntersecting && !failed && !posts.full && more(),
    { rootMargin: "600px" },
  );
  near.observe(nav);
}

function installLive() {
  const speak = speaker(at("status"));
  const news = new News({ pill: at("pill"), feed, speak });
  const chip = new Chip(at("chip"), { speak, onClick: () => stream.retryNow() });
  const form = new Form({
    form: at("compose"),
    pending: at("pending"),
    template: at("post-template"),
    onTaken(row) {
      if (!posts.has(row.id)) own.add(String(row.id));
      since?.add(String(row.id));
      posts.put(row); // the stream brings it as well; by its id it shows once
      posts.flush();
      changes.wrote(row);
      stream.retryNow(); // the server is there
    },
  });
  const changes = new Changes({
    feed,
    posts,
    speak,
    controls: at("controls-template"),
    editor: at("editor-template"),
    longest: form.longest,
    changeableMs: Number(feed.dataset.changeable) * 1000,
  });
  const own = new Set(); // ids of what this page posted: no news to who wrote it

  posts.onChanged = ({ added, edited, removed }, top) => {
    at("empty").classList.toggle("none", posts.size > 0 || Boolean(posts.older));
    const others = added.filter((row) => !own.delete(String(row.id)));
    news.add({ added: others.length, edited: edited.length, removed: removed.length }, top);
  };
  /* Since a reset: the ids that came, until the page has been read again. */
  let since = null;
  let reading = false;
  function receive(row) {
    since?.add(String(row.id));
    if (!posts.has(row.id) && form.echo(row)) own.add(String(row.id));
    posts.put(row, { live: stream.state.name === "live" });
  }
  function forget(key) {
    since?.delete(String(key.id));
    posts.remove(key.id);
  }
  async function reload() {
    since = new Set(); // what came before may be gone
    if (reading) return; // and begins again, below
    reading = true;
    while (since) {
      const mine = since;
      posts.gone.clear();
      const page = await load(home).catch(() => null);
      if (page && mine === since) {
        posts.flush();
        posts.replace(page.articles, page.older, since);
        since = null;
      } else if (!page) {
        await new Promise((resolve) => setTimeout(resolve, RELOAD_AGAIN_MS));
      }
    }
    reading = false;
    at("away").classList.add("none");
    at("empty").classList.toggle("none", posts.size > 0);
  }

  const stream = rowcast(feed.dataset.stream, {
    from: feed.dataset.cursor || NO_CURSOR,
    silenceMs: Number(feed.dataset.heartbeat) * 1000 * SILENT_HEARTBEATS,
    onRow: receive,
    onUnreadable: (row) => receive({ ...row, unreadable: true }),
    onDelete: forget,
    onReset: reload,
    onState(state) {
      chip.show(state);
      setServerTime(Date.now() + state.clockAheadMs);
    },
  });
}

/* The commands on an empty wall, for the clipboard (which plain http has on localhost only). */
function installCopy() {
  if (!navigator.clipboard) return;
  for (const sample of document.querySelectorAll(".sample")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(sample.querySelector("code").textContent);
      button.textContent = "Copied";
    });
    sample.prepend(button);
  }
}

installOlder();
if (feed.dataset.stream) {
  // The answer to a form sent without script has the address of the form.
  if (location.pathname !== home.pathname) history.replaceState(null, "", home);
  installLive();
  installCopy();
}
