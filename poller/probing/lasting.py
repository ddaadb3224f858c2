"""How long it lasts: heartbeats, time-outs that would cut it, and its end."""

from __future__ import annotations

from itertools import pairwise

from poller.probing.finding import Finding, Seen, counted, seconds

ENOUGH_S = 30.0  # the shortest time-out in use: HAProxy's as many set it, Heroku's for a first byte
QUIET_S = 1.0  # a silence that only a heartbeat or a row breaks
SHORT_S = 25.0  # a stream that ends sooner keeps its clients coming back
AT_ONCE_S = 0.5
SAFE = 2.0  # times the heartbeat: one may be late
FULL_RETRY_MS = 5_000  # Rowcast says so, or more, where there is no place
BEATS = ("ping", "heartbeat", "keepalive", "keep-alive", "position")
LIMITS = "nginx 60 s, ALB 60 s, Cloudflare 100 s, HAProxy as it is set"


def silence(seen: Seen) -> Finding:
    """What the longest silence was, and what broke it."""
    longest_s, beats = _longest_silence_s(seen), _beats(seen)
    if beats and longest_s <= ENOUGH_S:
        sentence = f"A heartbeat comes after {seconds(longest_s)} of silence at the latest."
        cure = f"every time-out on the way must be longer: at least {seconds(SAFE * longest_s)}"
        return Finding("heartbeat", "ok", sentence, f"{counted(beats, 'heartbeat')} seen", cure)
    if longest_s > ENOUGH_S:
        what = "heartbeats are rare" if beats else "there was no heartbeat"
        sentence = f"It was silent for {seconds(longest_s)}: {what}."
        cure = f"send a comment line every 15 s: time-outs on the way are {LIMITS}"
        return Finding("heartbeat", "attention", sentence, next=cure)
    sentence = f"No heartbeat was seen; the longest silence was {seconds(longest_s)}."
    return Finding("heartbeat", "unknown", sentence, next="look longer, with --seconds 60")


def end(seen: Seen) -> Finding:
    """Who ended the look?"""
    first = seen.observed.first
    if first.end == "open":
        looked = seconds(first.end_s)
        return Finding("end", "ok", f"It was still open when the look ended, after {looked}.")
    if found := _refused(seen):
        return found
    silent_s = first.end_s - (first.arrivals[-1].at_s if first.arrivals else first.head_s)
    after = f"after {seconds(first.end_s)}, {seconds(silent_s)} after the last byte"
    if first.end == "whole" and first.end_s > SHORT_S:
        sentence = f"It ended in good order {after}; a browser comes back by itself."
        return Finding("end", "ok", sentence)
    how = "was cut" if first.end == "cut" else "ended in good order"
    if silent_s > AT_ONCE_S:
        sentence = f"The stream {how} {after}: a time-out of {seconds(silent_s)} on the way."
        cure = "make that time-out longer than the heartbeat, or the heartbeat more frequent"
        return Finding("end", "attention", sentence, next=cure, problem="time-out")
    sentence = f"The stream {how} {after}."
    cure = "look into the log of the server, and of what is in front of it"
    return Finding("end", "attention", sentence, next=cure)


def unfinished(seen: Seen) -> Finding | None:
    """A frame that has no end. While the stream is open, its rest may be on the way."""
    first, rest = seen.observed.first, seen.body.rest
    if first.end == "open" or not rest:
        return None
    sentence = (
        f"The stream stopped in the middle of a frame: {counted(len(rest), 'byte')} of it came."
    )
    cure = "a client must not use such a frame, nor its id; end a stream behind a blank line"
    return Finding("last frame", "attention", sentence, next=cure)


def waiting(seen: Seen) -> Finding | None:
    """Rowcast says in a comment why nothing comes."""
    said = [comment for comment in seen.body.comments if comment.startswith("waiting:")]
    if not said:
        return None
    reason = said[-1].partition(":")[2].strip()
    cure = "ask rowcast doctor, and read /readyz"
    return Finding("table", "attention", f"The server waits: {reason}.", next=cure)


def _refused(seen: Seen) -> Finding | None:
    """`retry` and the end at once: how Rowcast says that it has no place."""
    first, body = seen.observed.first, seen.body
    if body.frames or not body.retries or first.end_s - first.head_s > AT_ONCE_S:
        return None
    wait = seconds(body.retries[-1] / 1000)
    full = body.retries[-1] >= FULL_RETRY_MS
    sentence = f"There is no place for you now: the answer is to come back after {wait}."
    cure = (
        "the worker is full, or your address has all its streams: see rowcast_rejections_total; "
        "behind a proxy all clients may look like one address"
        if full
        else "the server is ending, or the table cannot be served: try again, then read its log"
    )
    return Finding("end", "attention", sentence, next=cure)


def _longest_silence_s(seen: Seen) -> float:
    first = seen.observed.first
    times = [first.head_s, *(arrival.at_s for arrival in first.arrivals), first.end_s]
    return max(after - before for before, after in pairwise(times))


def _beats(seen: Seen) -> int:
    """How many silences were broken by nothing else."""
    count, last_s = 0, seen.observed.first.head_s
    for lump in seen.body.lumps:
        quiet = lump.at_s - last_s > QUIET_S
        beating = lump.comments or any(frame.event in BEATS for frame in lump.frames)
        rows = any(frame.event not in BEATS for frame in lump.frames)
        count += bool(quiet and beating and not rows)
        last_s = lump.at_s
    return count
