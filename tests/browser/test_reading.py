"""Reading: older posts, the pill, the title; without script, by ear, on any screen."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import Wall, bodies, live, set_hidden, until
from tests.wall.test_links import TEXTS
from wall.links import pieces

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


@pytest.fixture
def long_wall(start_wall: Callable[..., Wall]) -> Wall:
    wall = start_wall()
    wall.insert(*(f"post {n}" for n in range(1, 181)))
    wall.wait_polled()
    return wall


def ids(page: Page) -> list[int]:
    shown: list[int] = page.eval_on_selector_all(
        "#feed article", "all => all.map(one => Number(one.dataset.id))"
    )
    return shown


def scroll_down(page: Page, pixels: int = 1500) -> None:
    page.evaluate("y => scrollTo({ top: y, behavior: 'instant' })", pixels)
    page.wait_for_function("y => scrollY >= y - 1", arg=pixels)


# -- older posts --------------------------------------------------------------------------------


def test_a_late_row_below_the_shown_posts_waits_for_older_posts(
    start_wall: Callable[..., Wall], open_page: Open
) -> None:
    """A worker that has not polled yet owes the page every row it does not show."""
    wall = start_wall(ROWCAST_IDLE_INTERVAL="3600")
    wall.insert(*(f"post {n}" for n in range(1, 131)))
    page = open_page(wall.url, viewport={"width": 800, "height": 400})
    live(page)
    wall.server.post("the last")
    expect(page.locator("#feed article").first).to_contain_text("the last")
    assert ids(page) == [*range(131, 80, -1)]
    expect(page.locator("#older a")).to_have_attribute("href", re.compile("before=81"))
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    until(page, lambda: min(ids(page)) <= 31, "the older ones are there")
    assert ids(page) == [*range(131, min(ids(page)) - 1, -1)]


def test_older_posts_load_by_themselves_down_to_the_first(long_wall: Wall, open_page: Open) -> None:
    page = live(open_page(long_wall.url))

    def all_are_there() -> bool:
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        return len(ids(page)) == 180

    until(page, all_are_there, "all are there")
    assert ids(page) == [*range(180, 0, -1)]
    expect(page.locator("#older")).to_be_hidden()
    expect(page.locator("#feed")).to_have_attribute("aria-busy", "false")
    assert page.locator("#post-1").get_attribute("aria-setsize") == "180"


def test_older_posts_load_by_the_button_after_a_failure(long_wall: Wall, open_page: Open) -> None:
    page = open_page(long_wall.url)
    page.route("**/?before=*", lambda route: route.fulfill(status=503))
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    link = page.locator("#older a")
    expect(link).to_contain_text("could not be loaded")
    page.unroute("**/?before=*")
    link.click()
    until(page, lambda: len(ids(page)) >= 100, "the next page is there")
    assert ids(page)[:100] == [*range(180, 80, -1)]


def test_a_live_post_while_older_ones_load_makes_no_double(
    long_wall: Wall, open_page: Open
) -> None:
    page = live(open_page(long_wall.url))

    def slow(route: Route) -> None:
        long_wall.insert("meanwhile")
        route.continue_()

    page.route("**/?before=*", slow, times=1)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    until(page, lambda: len(ids(page)) >= 101, "both came")
    shown = ids(page)
    assert shown == sorted(set(shown), reverse=True)
    assert shown[0] == 181


def test_a_full_page_links_to_a_page_of_older_posts(
    start_wall: Callable[..., Wall], open_page: Open
) -> None:
    wall = start_wall()
    page = live(open_page(wall.url))
    wall.insert(*(f"post {n}" for n in range(1, 1201)))
    until(page, lambda: len(ids(page)) == 1000, "the page is full", timeout_s=30)
    page.click("#older a")
    page.wait_for_url("**/?before=201")
    assert ids(page)[:50] == [*range(200, 150, -1)]


# -- what is new --------------------------------------------------------------------------------


def test_new_posts_above_show_a_pill_and_do_not_move_the_text(
    long_wall: Wall, open_page: Open
) -> None:
    page = live(open_page(long_wall.url))
    scroll_down(page)
    reading = page.locator("#post-165")
    before = reading.bounding_box()
    long_wall.insert("new 1", "new\n2\nof\nseveral\nlines", "new 3")
    pill = page.locator("#pill")
    expect(pill).to_have_text("3 new posts")
    after = reading.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 1
    pill.click()
    expect(page.locator("#feed article").first).to_be_in_viewport()
    expect(page.locator("#feed article").first).to_be_focused()
    expect(pill).to_be_hidden()


def test_the_pill_goes_when_somebody_scrolls_up(long_wall: Wall, open_page: Open) -> None:
    page = live(open_page(long_wall.url))
    scroll_down(page)
    long_wall.insert("new")
    expect(page.locator("#pill")).to_have_text("1 new post")
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator("#pill")).to_be_hidden()


def test_at_the_top_new_posts_just_appear(long_wall: Wall, open_page: Open) -> None:
    page = live(open_page(long_wall.url))
    long_wall.insert("new at the top")
    expect(page.locator("#feed article").first).to_contain_text("new at the top")
    expect(page.locator("#feed article").first).to_be_in_viewport()
    expect(page.locator("#pill")).to_be_hidden()


def test_the_title_of_a_hidden_tab_counts(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    set_hidden(page, hidden=True)
    wall.insert("one", "two")
    expect(page).to_have_title("(2) Rowcast")
    wall.insert("three")
    expect(page).to_have_title("(3) Rowcast")
    set_hidden(page, hidden=False)
    expect(page).to_have_title("Rowcast")


def test_ones_own_post_is_no_news(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    set_hidden(page, hidden=True)
    page.fill("#body", "my own")
    page.fill("#author", "Ada")
    page.press("#body", "Control+Enter")
    expect(page.locator("#feed article").first).to_contain_text("my own")
    wall.insert("somebody else's")
    expect(page).to_have_title("(1) Rowcast")


# -- times, addresses, the empty wall -----------------------------------------------------------


def test_times_are_relative_and_grow(wall: Wall, chromium: Browser) -> None:
    wall.insert("how old")
    context = chromium.new_context(locale="en-GB", timezone_id="Europe/Berlin")
    page = context.new_page()
    page.clock.install()
    page.route("**/stream", lambda route: route.abort())  # it would tell the real time
    page.goto(wall.url)
    time = page.locator("#feed article time").first
    expect(time).to_have_text("now")
    page.clock.run_for(120_000)
    expect(time).to_have_text(re.compile(r"2 min"))
    page.clock.run_for(3 * 3_600_000)
    expect(time).to_have_text("3 h")
    expect(time).to_have_attribute("title", re.compile(r"\d{4} at \d\d:\d\d:\d\d"))
    context.close()


def test_a_clock_that_is_wrong_shows_right_ages(wall: Wall, chromium: Browser) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.add_init_script("const now = Date.now; Date.now = () => now() + 7_200_000;")
    page.goto(wall.url)
    live(page)
    wall.insert("just now, whatever my clock says")
    expect(page.locator("#feed article").first).to_contain_text("whatever my clock")
    expect(page.locator("#feed article time").first).to_have_text("now")
    context.close()


def test_a_post_has_a_page_of_its_own(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    wall.insert("with an address")
    expect(page.locator("#feed article").first).to_contain_text("with an address")
    page.locator("#feed .when").first.click()
    page.wait_for_url(re.compile(r"/posts/\d+$"))
    expect(page.locator("article .body")).to_have_text("with an address")
    expect(page.locator("article time")).to_have_text("now")


def test_an_empty_wall_shows_how_to_post_until_the_first(
    start_wall: Callable[..., Wall], chromium: Browser
) -> None:
    wall = start_wall()
    context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(wall.url)
    live(page)
    expect(page.locator("#empty")).to_be_visible()
    page.locator("#empty button").first.click()
    expect(page.locator("#empty button").first).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"curl {wall.url}/posts")
    assert copied.endswith("""-d '{"author": "Ada", "body": "Hello, wall"}'""")
    wall.execute("INSERT INTO posts (author, body) VALUES ('Ada', 'Hello, wall')")
    expect(page.locator("#feed article")).to_have_count(1)
    expect(page.locator("#empty")).to_be_hidden()
    context.close()


# -- without script -----------------------------------------------------------------------------


@pytest.fixture
def plain(long_wall: Wall, open_page: Open) -> Page:
    return open_page(long_wall.url, java_script_enabled=False)


def test_without_script_one_can_read_and_go_to_older_posts(plain: Page) -> None:
    expect(plain.locator("#feed article")).to_have_count(50)
    expect(plain.locator("#chip")).to_be_hidden()
    expect(plain.locator("noscript .reload")).to_be_visible()
    expect(plain.locator("time").first).to_have_text(re.compile(r"\d+ \w+ \d{4}, \d\d:\d\d UTC"))
    plain.click("#older a")
    expect(plain.locator("#feed article").first).to_contain_text("post 130")
    plain.click("#older a")
    plain.click("#older a")
    expect(plain.locator("#feed article").last).to_contain_text("post 1")
    plain.click("text=Newest posts")
    expect(plain.locator("#feed article").first).to_contain_text("post 180")


def test_without_script_one_can_post(plain: Page) -> None:
    plain.fill("#body", "two\nlines")
    plain.fill("#author", "Ada")
    plain.click("text=Post")
    expect(plain.locator("#feed .body").first).to_have_text("two\nlines")
    assert plain.url.endswith("/")


def test_without_script_a_mistake_is_shown_with_the_text_kept(plain: Page) -> None:
    plain.fill("#body", "\n  who am I")
    plain.click("text=Post")
    expect(plain.locator("#author-problem")).to_have_text("Who are you? A name is needed.")
    expect(plain.locator("#body")).to_have_value("\n  who am I")
    plain.fill("#author", "Ada")
    plain.click("text=Post")
    expect(plain.locator("#feed .body").first).to_contain_text("who am I")


def test_with_script_the_answer_to_a_plain_form_becomes_the_wall(
    wall: Wall, open_page: Open
) -> None:
    page = open_page(wall.url)
    page.route("**/static/form.js", lambda route: route.abort())
    page.reload()
    page.fill("#body", "sent before the script was there")
    page.click("text=Post")
    expect(page.locator("#author-problem")).to_be_visible()
    page.unroute("**/static/form.js")
    page.fill("#author", "Ada")
    page.click("text=Post")
    expect(page.locator("#feed article").first).to_contain_text("sent before the script")
    page.wait_for_url(wall.url + "/")


# -- for everybody ------------------------------------------------------------------------------


def test_the_feed_is_one_for_assistive_technology(long_wall: Wall, open_page: Open) -> None:
    page = live(open_page(long_wall.url))
    long_wall.insert("number one")
    expect(page.locator("#feed article").first).to_contain_text("number one")
    assert page.get_by_role("feed").get_by_role("article").count() == 51
    first = page.locator("#feed article").first
    expect(first).to_have_attribute("aria-posinset", "1")
    expect(first).to_have_attribute("aria-setsize", "-1")
    expect(first).to_have_accessible_name("outside")
    expect(first).to_have_accessible_description("number one")
    positions = page.eval_on_selector_all(
        "#feed article", "all => all.map(one => +one.ariaPosInSet)"
    )
    assert positions == [*range(1, 52)]
    first.focus()
    page.keyboard.press("PageDown")
    expect(page.locator("#feed article").nth(1)).to_be_focused()
    page.keyboard.press("PageUp")
    expect(first).to_be_focused()


def test_new_posts_are_spoken_politely_and_not_one_by_one(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    page.evaluate(
        """() => {
            window.said = [];
            const status = document.getElementById("status");
            new MutationObserver(() => said.push(status.textContent))
                .observe(status, { childList: true });
        }"""
    )
    for number in range(5):
        wall.insert(f"spoken {number}")
        expect(page.locator("#feed article").first).to_contain_text(f"spoken {number}")

    def told() -> list[int]:
        return [int(text.split(" new post")[0]) for text in page.evaluate("said")]

    until(page, lambda: sum(told()) == 5, "all were told")
    assert len(told()) <= 2
    expect(page.locator("#status")).to_have_attribute("role", "status")


def test_every_control_shows_its_focus(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    wall.insert("to focus")
    expect(page.locator("#feed article").first).to_contain_text("to focus")
    for _ in range(6):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", page.evaluate("document.activeElement.outerHTML.slice(0, 80)")


def test_a_post_is_one_stop_of_the_tab_key(wall: Wall, open_page: Open) -> None:
    wall.insert("rendered by the server")
    page = live(open_page(wall.url))
    wall.insert("made by the script, see https://example.org/x")
    first, second = (page.locator("#feed article").nth(number) for number in range(2))
    expect(first).to_contain_text("made by the script")
    page.focus("#body")
    stops = []
    for _ in range(6):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.outerHTML.match(/^<\\w+/)[0]"))
    assert stops == ["<input", "<button", "<article", "<a", "<article", "<article"]
    second.focus()
    address = second.locator(".when").get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{wall.url}{address}")


def test_without_script_the_link_of_a_post_is_the_stop(plain: Page) -> None:
    expect(plain.locator("#feed article").first).not_to_have_attribute("tabindex", re.compile("."))
    expect(plain.locator("#feed .when").first).not_to_have_attribute("tabindex", re.compile("."))


def test_server_and_script_find_the_same_addresses(wall: Wall, open_page: Open) -> None:
    chosen = random.Random(20)
    texts = ["".join(chosen.choices(PIECES, k=chosen.randrange(1, 25))) for _ in range(3000)]
    texts += [*TEXTS, *CORPUS]
    page = open_page(wall.blank)
    found: list[list[str]] = page.evaluate(
        """async (texts) => {
            const { pieces } = await import("/static/links.js");
            const flat = (piece) =>
                piece.host ? [piece.scheme, piece.host, piece.path].join("|") : piece;
            return texts.map((text) => pieces(text).map(flat));
        }""",
        texts,
    )
    for text, by_script in zip(texts, found, strict=True):
        by_server = [one if isinstance(one, str) else "|".join(one) for one in pieces(text)]
        assert by_script == by_server, text
    assert sum("|" in piece for pieces_of in found for piece in pieces_of) > 100


PIECES = [
    *("http://", "https://", "HTTP://", "://", "a", "b.c", "example.org", ":80", ":", "/", "?"),
    *("#", "@", ".", ",", ")", "(", "[", "]", "{", "}", "é", "中", "，", "。", "😀", "\u200b"),
    *("\u202e", " ", "\n", '"', "<", "'", "%40", "\\", "-", "_", "~", "\u00a0", "\ufeff", "\x85"),
]


CONTRAST = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const rgb = (color, under) => {
        canvas.fillStyle = under; canvas.fillRect(0, 0, 1, 1);
        canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const light = (color) => color
        .map((part) => part / 255)
        .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const behind = (one) => {
        const color = getComputedStyle(one).backgroundColor;
        const parent = one.parentElement;
        return rgb(color, parent ? `rgb(${behind(parent)})` : "white");
    };
    const texts = [...document.querySelectorAll("body *")].filter((one) =>
        one.checkVisibility()
        && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
    return texts.map((one) => {
        const page = behind(one);
        const ink = rgb(getComputedStyle(one).color, `rgb(${page})`);
        const [a, b] = [light(page), light(ink)].sort((x, y) => y - x);
        return [one.outerHTML.slice(0, 60), (a + 0.05) / (b + 0.05)];
    }).filter(([, ratio]) => ratio < 4.5);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(wall: Wall, open_page: Open, scheme: str) -> None:
    for number in range(12):  # every colour of the discs
        wall.insert("x", author=chr(ord("A") + number))
    page = live(open_page(wall.url, color_scheme=scheme))
    page.fill("#body", "x" * 2001)
    page.click("text=Post")
    expect(page.locator("#body-problem")).to_be_visible()
    assert page.evaluate(CONTRAST) == []
    page.goto(wall.url + "/nothing")
    assert page.evaluate(CONTRAST) == []
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (dark == "rgb(18, 22, 23)") is (scheme == "dark")


def test_reduced_motion_moves_nothing(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url, reduced_motion="reduce"))
    wall.insert("calm")
    first = page.locator("#feed article").first
    expect(first).to_contain_text("calm")
    assert first.evaluate("one => getComputedStyle(one).animationName") == "settle"


@pytest.mark.parametrize("width", [320, 360, 1280, 2560])
def test_nothing_sticks_out_on_any_screen(wall: Wall, open_page: Open, width: int) -> None:
    wall.insert("W" * 500, author="M" * 80)
    wall.insert("https://example.org/" + "a" * 300)
    page = live(open_page(wall.url, viewport={"width": width, "height": 740}))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.locator(".when").first).to_be_in_viewport()


def test_the_page_does_not_jump_while_it_comes_alive(long_wall: Wall, chromium: Browser) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.add_init_script(
        """window.shift = 0;
        new PerformanceObserver((list) => list.getEntries().forEach((one) => shift += one.value))
            .observe({ type: "layout-shift", buffered: true });"""
    )
    page.goto(long_wall.url)
    live(page)
    assert page.evaluate("shift") < 0.01
    context.close()


# -- hostile text -------------------------------------------------------------------------------

CORPUS = [
    "<script>pwned()</script>",
    "<img src=x onerror=pwned()>",
    '"><svg/onload=pwned()>',
    "</bdi></p></article><script>pwned()</script>",
    "</textarea><img src=x onerror=pwned()>",
    "</template><img src=x onerror=pwned()>",
    "<iframe srcdoc='<script>parent.pwned()</script>'></iframe>",
    "<a href=javascript:pwned()>click</a>",
    "javascript:pwned()",
    "<style>*{display:none}</style>",
    "<base href=https://evil.example>",
    "<meta http-equiv=refresh content='0;url=javascript:pwned()'>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=pwned()>",
    "<noscript><p title='</noscript><img src=x onerror=pwned()>'>",
    "' onfocus=pwned() autofocus '",
    "\\u003cscript\\u003epwned()\\u003c/script\\u003e",
    "&lt;script&gt;pwned()&lt;/script&gt;",
    "{{constructor.constructor('pwned()')()}} ${pwned()}",
    "data: x\n\nevent: reset\ndata: {}\n\nid: 0\n\n",
    "<!--<script>pwned()//-->",
    "]]><script>pwned()</script>",
    "\u2028\u2029<script>pwned()</script>",
]


def test_hostile_text_executes_nothing_however_it_gets_in(
    start_wall: Callable[..., Wall], chromium: Browser
) -> None:
    wall = start_wall()
    half = len(CORPUS) // 2
    for text in CORPUS[:half]:  # rendered by the server
        wall.insert(text, author=text[:80])
    context = chromium.new_context()
    calls: list[str] = []
    context.expose_function("pwned", lambda: calls.append("pwned"))
    page = context.new_page()
    errors: list[str] = []
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(wall.url)
    live(page)
    for text in CORPUS[half:]:  # rendered by the script
        wall.insert(text, author=text[:80])
    expect(page.locator("#feed article")).to_have_count(len(CORPUS))
    by_script = page.eval_on_selector_all("#feed .body", "all => all.map(one => one.textContent)")
    assert by_script == [*reversed(CORPUS)]
    for text in CORPUS:  # through the door, and rendered by the server again
        wall.server.post(text, author=text[:80].replace("\n", " ").replace("\u2028", " "))
    page.reload()
    live(page)
    expect(page.locator("#feed article")).to_have_count(min(50, 2 * len(CORPUS)))
    page.evaluate("document.querySelectorAll('#feed a').forEach((one) => one.focus())")
    foreign = page.locator("#feed").locator("script, img, iframe, style, base, svg, form")
    expect(foreign).to_have_count(0)
    page.goto(wall.url + "/posts/1")
    assert (calls, errors) == ([], [])
    context.close()


def test_text_that_bleeds_or_turns_stays_in_its_post(wall: Wall, open_page: Open) -> None:
    wall.insert("quiet neighbour")
    wall.insert("Z" + "\u0335\u0489\u0311" * 300, author="\u202eevil")
    wall.insert("\n" * 1990 + "long")
    page = live(open_page(wall.url))
    tall = page.locator("#feed article").first.bounding_box()
    assert tall is not None
    assert tall["height"] < 800
    styles = page.locator("#feed article").nth(1).evaluate("one => getComputedStyle(one).overflowY")
    assert styles == "hidden"
    assert page.locator("#feed .author bdi").nth(1).evaluate(
        "one => getComputedStyle(one).unicodeBidi"
    ) in ("isolate", "plaintext", "isolate-override")
    assert "quiet neighbour" in bodies(page)
