"""From what was seen to what is found: a row of a table for each."""

from __future__ import annotations

import gzip
import zlib

import pytest

from poller.probing.findings import ATTENTION, WELL, as_data, findings_of, status_of
from poller.probing.observed import Answer, Observed, Resumed
from tests.poller.probing.seen import ROWS, Pieces, answer, find, observed

ROW = b"id: 1\ndata: {}\n\n"
SHOP = "https://shop.example"


def test_a_good_stream_is_well_in_all() -> None:
    resumed = [Resumed("Last-Event-ID", "1", answer([(0.1, "id: 2\ndata: {}\n\n")]))]
    seen = observed(resumed=resumed)
    assert {one.state for one in findings_of(seen)} == {"ok"}
    assert status_of(findings_of(seen)) == WELL


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (answer(status=403), "status 403"),
        (answer(status=204), "status 204"),
        (answer(Content_Type="text/html; charset=utf-8"), "Content-Type text/html"),
        (answer(Content_Type=None), "no Content-Type"),
    ],
)
def test_what_is_no_stream_is_told_and_nothing_else(first: Answer, words: str) -> None:
    (finding,) = findings_of(observed(first))
    assert (finding.name, finding.state) == ("answer", "attention")
    assert words in finding.sentence
    assert status_of([finding]) == ATTENTION


def test_a_charset_that_browsers_pass_over() -> None:
    finding = find("answer", observed(answer(Content_Type="text/event-stream; charset=latin-1")))
    assert finding.state == "attention"
    assert "latin-1" in finding.sentence


def test_no_head_is_a_buffer_if_the_server_answers_otherwise() -> None:
    silent = Answer(connected_s=0.1, end_s=20.0)
    (finding,) = findings_of(observed(silent, server=answer(Server="nginx/1.22")))
    assert (finding.name, finding.state, finding.problem) == ("buffering", "attention", "buffering")
    assert "nginx/1.22" in finding.evidence
    (finding,) = findings_of(observed(silent))
    assert (finding.name, finding.state) == ("answer", "attention")


AT_NOON = "2026-11-26T12:00:{:02}Z"


def made_at(*seconds: int) -> str:
    return "".join(f'data: {{"at":"{AT_NOON.format(one)}","due":0}}\n\n' for one in seconds)


@pytest.mark.parametrize(
    ("pieces", "state", "words"),
    [
        (ROWS, "ok", "3 small pieces"),
        ([(0.1, b":" * 5000 + b"\n")], "unknown", ""),
        ([(0.1, ROW + b"id: 2\nda"), (4.1, b"ta: {}\n\n")], "attention", "4.0 s apart"),
        ([(0.1, ROW), (9, b": ping - 1\n\n: ping - 2\n\n")], "attention", "2 heartbeats (ping)"),
        ([(0.1, ": hi\n: hi\n")], "ok", "1 small piece"),  # at once, so no heartbeats
        ([(3, made_at(1, 2, 3)), (9, made_at(4, 6, 8))], "attention", "by at those of one"),
        ([(3, made_at(1, 2, 3)), (9, made_at(4))], "ok", ""),  # as one transaction brings them
        ([(3, made_at(1, 1, 2)), (9, made_at(4, 4))], "ok", ""),
        ([(3, 'event: start\ndata: {"resumed":false}\n\n')], "attention", "first event at once"),
    ],
)
def test_signs_of_a_buffer(pieces: Pieces, state: str, words: str) -> None:
    finding = find("buffering", observed(answer(pieces)))
    assert finding.state == state, finding
    assert words in finding.evidence


def test_rows_that_are_older_than_the_look_come_together_by_right() -> None:
    pieces: Pieces = [(3, made_at(1, 2, 3)), (9, made_at(4, 6, 8))]
    later = answer(pieces, Date="Thu, 26 Nov 2026 12:05:00 GMT")
    assert find("buffering", observed(later)).state == "ok"
    assert find("buffering", observed(answer(pieces, Date=None))).state == "ok"


@pytest.mark.parametrize(
    ("head_s", "at_s", "state"),
    [(0.1, 0.1, "ok"), (0.1, 1.9, "ok"), (0.1, 2.5, "unknown"), (2.5, 2.5, "attention")],
)
def test_the_first_byte(head_s: float, at_s: float, state: str) -> None:
    assert find("first byte", observed(answer([(at_s, ROW)], head_s=head_s))).state == state


def test_a_head_and_nothing_behind_it() -> None:
    finding = find("first byte", observed(answer([])))
    assert finding.state == "unknown"
    assert "the first byte did not come" in finding.sentence


def compressed(*pieces: bytes, flush: bool) -> Pieces:
    packer = zlib.compressobj(wbits=31)
    mode = zlib.Z_SYNC_FLUSH if flush else zlib.Z_NO_FLUSH
    return [(at_s, packer.compress(one) + packer.flush(mode)) for at_s, one in enumerate(pieces)]


@pytest.mark.parametrize(
    ("first", "encoding", "state"),
    [
        (answer(), "", "ok"),
        (answer(compressed(ROW, ROW, flush=True), Content_Encoding="gzip"), "gzip", "ok"),
        (answer(compressed(b":\n", flush=True), Content_Encoding="gzip"), "gzip", "ok"),
        (answer(compressed(ROW, ROW, flush=False), Content_Encoding="gzip"), "gzip", "attention"),
        (answer(), "br", "attention"),
        (answer([(0.1, gzip.compress(ROW)[:12])], Content_Encoding="gzip"), "gzip", "attention"),
        (answer([(0.1, b"no gzip")], Content_Encoding="gzip"), "gzip", "attention"),
    ],
)
def test_compression_is_well_as_long_as_rows_pass(first: Answer, encoding: str, state: str) -> None:
    assert find("compression", observed(first, encoding=encoding)).state == state


@pytest.mark.parametrize(
    ("pieces", "end_s", "state", "words"),
    [
        ([(0.1, ROW), (15.1, b":\n")], 20, "ok", "15.0 s"),
        ([(0.1, ROW), (12, b"event: ping\ndata: {}\n\n")], 20, "ok", "11.9 s"),
        ([(0.1, ROW), (5, ROW), (9, ROW)], 10, "unknown", "4.9 s"),
        ([(0.1, ROW)], 20, "unknown", "19.9 s"),
        ([(0.1, ROW)], 40, "attention", "no heartbeat"),
        ([(0.1, ROW), (55.1, b":\n")], 60, "attention", "55.0 s: heartbeats are rare"),
    ],
)
def test_heartbeats(pieces: Pieces, end_s: float, state: str, words: str) -> None:
    finding = find("heartbeat", observed(answer(pieces, end_s=end_s)))
    assert finding.state == state
    assert words in finding.sentence


@pytest.mark.parametrize(
    ("first", "state", "words"),
    [
        (answer(end="open"), "ok", "still open"),
        (answer(end="whole", end_s=280), "ok", "in good order"),
        (answer(end="whole", end_s=5.1), "attention", "in good order"),
        (answer(end="cut", end_s=10), "attention", "was cut after 10.0 s, 5.0 s after the last"),
        (answer(end="cut", end_s=5.1), "attention", "100 ms after the last byte"),
        (answer([(0.01, "retry: 9000\n")], end="whole", end_s=0.02), "attention", "no place"),
    ],
)
def test_the_end(first: Answer, state: str, words: str) -> None:
    finding = find("end", observed(first))
    assert finding.state == state
    assert words in finding.sentence


def test_a_time_out_is_told_from_a_crash() -> None:
    cut = find("end", observed(answer(end="cut", end_s=10)))
    assert "a time-out of 5.0 s" in cut.sentence
    assert cut.problem == "time-out"
    assert find("end", observed(answer(end="cut", end_s=5.1))).problem is None


def test_a_full_worker_and_one_that_ends_are_told_apart() -> None:
    full = find("end", observed(answer([(0.01, "retry: 9000\n")], end="whole", end_s=0.02)))
    ending = find("end", observed(answer([(0.01, "retry: 1500\n")], end="whole", end_s=0.02)))
    assert "is full" in full.next
    assert "is ending" in ending.next


def test_a_frame_that_has_no_end() -> None:
    pieces: Pieces = [(0.1, ROW + b"id: 2\ndata: {")]
    assert find("last frame", observed(answer(pieces, end="cut"))).state == "attention"
    names = {one.name for one in findings_of(observed(answer(pieces)))}
    assert "last frame" not in names  # its rest may be on the way


def test_a_server_of_ours_says_what_it_waits_for() -> None:
    start = 'event: start\ndata: {"resumed":false}\nid: a.1\n\n: waiting: no table orders\n'
    finding = find("table", observed(answer([(0.01, start)])))
    assert finding.sentence == "The server waits: no table orders."


@pytest.mark.parametrize(
    ("seen", "state", "words"),
    [
        (observed(http2=True, streams=128), "ok", "128 streams"),
        (observed(http2=True, streams=None), "ok", "as many"),
        (observed(http2=True, streams=6), "attention", "6 streams"),
        (observed(http2=False, streams=None), "attention", "6 streams"),
        (observed(http2=False, streams=None, tls=False), "attention", "6 streams"),
        (observed(http2=False, streams=None, tls=False, here=True), "ok", "6 streams"),
    ],
)
def test_streams_of_a_browser(seen: Observed, state: str, words: str) -> None:
    finding = find("streams", seen)
    assert finding.state == state
    assert words in finding.sentence


@pytest.mark.parametrize(
    ("first", "state"),
    [
        (answer(), "ok"),
        (answer(Cache_Control="no-cache"), "ok"),
        (answer(Cache_Control=None), "attention"),
        (answer(Cache_Control="public, max-age=60"), "attention"),
        (answer(Age="12"), "attention"),
        (answer(X_Cache="HIT"), "attention"),
    ],
)
def test_caches(first: Answer, state: str) -> None:
    assert find("caches", observed(first)).state == state


def test_a_body_without_chunks_or_with_a_length() -> None:
    plain = observed(answer(Transfer_Encoding=None))
    assert "without chunks" in find("framing", plain).sentence
    assert "will end" in find("framing", observed(answer(Content_Length="9"))).sentence
    assert "framing" not in {one.name for one in findings_of(observed())}


ALLOWED = answer(Access_Control_Allow_Origin=SHOP)
WITH_COOKIES = answer(Access_Control_Allow_Origin=SHOP, Access_Control_Allow_Credentials="true")
PREFLIGHT = answer([], Access_Control_Allow_Headers="Authorization, Last-Event-ID")
TWICE = [("Access-Control-Allow-Origin", SHOP), ("Access-Control-Allow-Origin", "*")]


@pytest.mark.parametrize(
    ("cors", "asked", "preflight", "state", "words"),
    [
        (ALLOWED, [], PREFLIGHT, "ok", "may read it"),
        (answer(Access_Control_Allow_Origin="*"), [], PREFLIGHT, "ok", "may read it"),
        (answer(), [], PREFLIGHT, "attention", "no Access-Control-Allow-Origin"),
        (answer(status=403), [], PREFLIGHT, "attention", "the status is 403"),
        (None, [], PREFLIGHT, "attention", "no answer"),
        (answer(Access_Control_Allow_Origin="https://x"), [], None, "attention", "is https://x"),
        (answer(Access_Control_Allow_Origin="*"), ["Cookie"], None, "attention", "cookies"),
        (ALLOWED, ["Cookie"], None, "attention", "Allow-Credentials"),
        (WITH_COOKIES, ["Cookie"], PREFLIGHT, "ok", "may read it"),
        (ALLOWED, ["Authorization"], PREFLIGHT, "ok", "may read it"),
        (ALLOWED, ["Authorization"], answer([]), "attention", "authorization"),
        (ALLOWED, ["Authorization"], answer([], status=405), "attention", "preflight"),
        (ALLOWED, [], answer([], status=405), "ok", "may read it"),  # EventSource may
        (Answer(status=200, headers=TWICE), [], None, "attention", "twice"),
    ],
)
def test_pages_of_another_origin(
    cors: Answer | None, asked: list[str], preflight: Answer | None, state: str, words: str
) -> None:
    seen = observed(origin=SHOP, cors=cors, preflight=preflight, asked_headers=asked)
    finding = find("origin", seen)
    assert finding.state == state, finding
    assert words in finding.sentence


def test_the_same_origin_needs_nothing() -> None:
    assert find("origin", observed(origin=SHOP, same_origin=True)).state == "ok"
    assert "origin" not in {one.name for one in findings_of(observed())}


@pytest.mark.parametrize(
    ("text", "state", "words"),
    [
        ("id: 1\ndata: a\n\nid: 2\ndata: b\n\n", "ok", "Each of 2 rows"),
        ("data: a\n\nid: 2\ndata: b\n\n", "attention", "1 of 2 rows"),
        ("id: 1\ndata: a\n\nid: 1\ndata: b\n\n", "attention", "the same id"),
        ("id: 1\0\ndata: a\n\n", "attention", "NUL"),
        (f"id: {'x' * 2000}\ndata: a\n\n", "attention", "2,000 bytes"),
        (":\n", "unknown", "No row came"),
        ('event: start\ndata: {"resumed":false}\nid: a.1\n\n', "ok", "before the first row"),
    ],
)
def test_ids(text: str, state: str, words: str) -> None:
    finding = find("ids", observed(answer([(0.1, text)])))
    assert finding.state == state
    assert words in finding.sentence


START = 'event: start\ndata: {{"feed":"orders","resumed":{}}}\n\n'
RESET = 'event: reset\ndata: {"reason":"history-changed"}\nid: b.9\n\n'
OURS = START.format("false") + "id: a.1\ndata: {}\n\nid: a.2\ndata: {}\n\n"
THEIRS = "id: 1\ndata: {}\n\nid: 2\ndata: {}\n\nid: 3\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("text", "again", "state", "words"),
    [
        (THEIRS, "id: 3\ndata: {}\n\n", "ok", "nothing twice"),
        (THEIRS, "", "attention", "1 row that came after the id did not come"),
        (THEIRS, "id: 4\ndata: {}\n\n", "attention", "they are lost"),
        (THEIRS, THEIRS, "attention", "2 rows came again"),
        (THEIRS, None, "attention", "the answer is 500"),
        ("id: 1\ndata: {}\n\n", "", "unknown", "no row came after an id"),
        (OURS, START.format("true"), "ok", "nothing twice"),
        (OURS, START.format("false"), "attention", "begins anew"),
        (OURS, START.format("false") + RESET, "attention", "sends a reset"),
    ],
)
def test_resuming(text: str, again: str | None, state: str, words: str) -> None:
    after = "a.1" if text == OURS else "2"
    second = answer([(0.1, again)] if again else [], status=500 if again is None else 200)
    seen = observed(answer([(0.1, text)]), resumed=[Resumed("Last-Event-ID", after, second)])
    finding = find("resume", seen)
    assert finding.state == state, finding
    assert words in finding.sentence


def test_a_header_that_a_proxy_drops_is_suspected() -> None:
    well, lost = answer([(0.1, "id: 3\ndata: {}\n\n")]), answer([])
    resumed = [Resumed("Last-Event-ID", "2", lost), Resumed("lastEventId", "2", well)]
    finding = find("resume", observed(answer([(0.1, THEIRS)]), resumed=resumed))
    assert finding.state == "attention"
    assert "does a proxy drop the header?" in finding.next


@pytest.mark.parametrize(
    ("text", "state", "words"),
    [
        (":\n", "ok", "no retry"),
        ("retry: 2000\n", "ok", "2.0 s"),
        ("retry: 50\n", "attention", "50 ms"),
        ("retry: 600000\n", "attention", "600.0 s"),
        ("retry: soon\n", "ok", "no retry"),
    ],
)
def test_when_clients_come_back(text: str, state: str, words: str) -> None:
    finding = find("retry", observed(answer([(0.1, text)])))
    assert finding.state == state
    assert words in finding.sentence


@pytest.mark.parametrize(
    ("data", "state", "words"),
    [
        (b"data: \xc3\xa9\n\n", "ok", "end in LF"),
        (b"data: a\r\n\r\n", "ok", "end in CRLF"),
        (b"data: a\r\r:\r:", "attention", "end in CR"),
        (b"data: a\r\n\n", "attention", "CRLF, LF, mixed"),
        (b"\xef\xbb\xbfdata: a\n\n", "attention", "byte order mark"),
        (b"data: \xe9t\xe9\n\n", "attention", "no UTF-8 (0xe9)"),
        (b"data: two\nlines\n\n", "attention", "(lines)"),
        (b"", "unknown", "No line"),
    ],
)
def test_the_text(data: bytes, state: str, words: str) -> None:
    finding = find("text", observed(answer([(0.1, data)])))
    assert finding.state == state
    assert words in finding.sentence


def test_for_programs_there_is_no_row_and_a_cure_for_each_proxy_that_is_known() -> None:
    torn: Pieces = [(0.1, b'data: {"secret":1}\n\nda'), (4, b"ta: {}\n\n")]
    seen = observed(answer(torn, Server="nginx"))
    data = as_data(seen, findings_of(seen), ["nginx"])
    assert data["verdict"] == "attention"
    assert "secret" not in str(data)
    (buffering,) = [one for one in data["findings"] if one["name"] == "buffering"]
    assert [*buffering["cures"]] == ["nginx"]
    (all_of_them,) = [
        one
        for one in as_data(seen, findings_of(seen), [])["findings"]
        if one["name"] == "buffering"
    ]
    assert len(all_of_them["cures"]) == 6
