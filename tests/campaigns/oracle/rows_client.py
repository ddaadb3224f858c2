"""A client without a stream: it asks `/rows` again and again, and goes on at `next`.

An answer is taken as a whole: its rows come under the token that the client had, the last of them
under the new one. It hops between the servers, loses some answers, and waits for rows for a while.
"""

import json
import random
import time
from collections.abc import Sequence
from functools import partial
from urllib.parse import urlencode, urlsplit

from tests.campaigns.oracle.reader import Memory
from tests.harness.http import Reply, request

NAME = "rows"
FROM_NOW = "now"
LIMITS = (3, 20, 1000)
MAX_WAIT_S = 3
LOST_SHARE = 0.1
TIMEOUT_S = 20.0
PAUSE_S = 0.3  # after an answer without rows, or none


def live(memory: Memory, stream_urls: Sequence[str], chosen: random.Random) -> None:
    """Asks for ever."""
    while True:
        try:
            reply = _ask(memory, chosen.choice(stream_urls), chosen)
        except OSError:
            reply = None
        if reply is None or chosen.random() < LOST_SHARE or not _take(memory, reply):
            time.sleep(PAUSE_S * chosen.uniform(0.5, 1.5))


def _ask(memory: Memory, stream_url: str, chosen: random.Random) -> Reply:
    memory.connect(urlsplit(stream_url).netloc, prompt=False)
    asked = {
        "after": memory.last_event_id or FROM_NOW,
        "wait": chosen.randint(0, MAX_WAIT_S),
        "limit": chosen.choice(LIMITS),
    }
    url = stream_url.removesuffix("/stream") + "/rows/posts"
    return request(f"{url}?{urlencode(asked)}", timeout_s=TIMEOUT_S)


def _take(memory: Memory, reply: Reply) -> bool:
    """Writes down what an answer brought; whether that was a row."""
    if reply.status not in (200, 410):
        return False
    answer = reply.json
    if "reset" in answer:
        memory.take("reset", json.dumps({"reason": answer["reset"]}), answer["next"], dict)
    rows = answer.get("rows", [])
    for at, row in enumerate(rows, start=1):
        token = answer["next"] if at == len(rows) else memory.last_event_id or ""
        memory.take("message", json.dumps(row), token, partial(dict, row))
    if not rows:
        memory.take("place", "", answer["next"], dict)
    return bool(rows)
