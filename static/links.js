/* Addresses in a post as links. wall/links.py does the same and says why. */

const LONGEST_SHOWN = 48;
const HEAD = 28;
const TAIL = 16;
const LETTER = "A-Za-z0-9_@\\u00a1-\\u1fff\\u3041-\\ud7ff\\uf900-\\ufdff";
const NOT_IN_PATH =
  '\\x00-\\x20"<>\\x7f-\\xa0\\u1680\\u180e\\u2000-\\u206f\\u3000-\\u303f\\ud800-\\udfff\\ufe00-\\ufe0f\\ufeff\\uff00-\\uff0f';
// What is before an address is looked at below: older televisions have no lookbehind.
const URLS = new RegExp(
  "([Hh][Tt][Tt][Pp][Ss]?://)" +
    "([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?)" +
    `(?![.:_-]*[${LETTER}%])((?:[/?#][^${NOT_IN_PATH}]*)?)`,
  "g",
);
const ENDS_IN_LETTER = new RegExp(`[${LETTER}]$`);
const OPENED_BY = { ")": "(", "]": "[", "}": "{" };

/* Text nodes and links into `place`, in place of what is there. */
export function showLinked(place, text) {
  if (place.textContent === text && place.firstChild) return; // a selection in it stays
  place.replaceChildren(...pieces(text).map((piece) => (piece.host ? anchor(piece) : piece)));
}

/* The text in order: strings, and {scheme, host, path} for each address. */
export function pieces(text) {
  const found = [];
  let at = 0;
  URLS.lastIndex = 0;
  for (let match; (match = URLS.exec(text)); ) {
    const { 0: all, 1: scheme, 2: host, 3: rest, index } = match;
    if (ENDS_IN_LETTER.test(text.slice(Math.max(0, index - 1), index))) {
      URLS.lastIndex = index + 1;
      continue;
    }
    const path = withoutEnd(rest);
    if (index > at) found.push(text.slice(at, index));
    found.push({ scheme, host, path });
    at = index + all.length - rest.length + path.length;
  }
  if (at < text.length) found.push(text.slice(at));
  return found;
}

function anchor({ scheme, host, path }) {
  const link = document.createElement("a");
  link.href = link.title = scheme + host + path;
  link.rel = "nofollow ugc noopener";
  const shown = host + path;
  const head = Math.max(HEAD, host.length + 1);
  link.append(unseen("scheme", scheme));
  if (shown.length <= Math.max(LONGEST_SHOWN, head + TAIL)) link.append(shown);
  else link.append(shown.slice(0, head), unseen("cut", shown.slice(head, -TAIL)), shown.slice(-TAIL));
  return link;
}

function unseen(kind, text) {
  const span = document.createElement("span");
  span.className = kind;
  span.textContent = text;
  return span;
}

function withoutEnd(path) {
  const count = (char) => path.split(char).length;
  const spare = {};
  for (const end in OPENED_BY) spare[end] = count(end) - count(OPENED_BY[end]);
  let at = path.length;
  for (; at > 0; at--) {
    const last = path[at - 1];
    if (spare[last] > 0) spare[last]--;
    else if (!".,:;!?'*~".includes(last)) break;
  }
  return path.slice(0, at);
}
