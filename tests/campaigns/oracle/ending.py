"""The end of a torture: everything works again, and a last row is written for everybody."""

import random
import time
from collections.abc import Sequence
from pathlib import Path

from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.records import Attempt, Sentinel, now_s, payload_of
from tests.harness import sql

SERVED_WITHIN_S = 30.0
STEP_S = 0.05
AUTHOR = "sentinel"


def write_sentinel(
    url: str, journal: Journal, paths: Sequence[Path], chosen: random.Random
) -> None:
    """Waits until it is in every journal of `paths`, or their time is over."""
    text, began_s = f"sentinel {chosen.random()}", now_s()
    payload = payload_of(text)
    sql.insert_posts(url, [text], AUTHOR)
    row_id = sql.post_ids(url)[-1]
    attempt = Attempt(AUTHOR, payload, row_id, began_s, now_s(), "committed")
    journal.write(attempt, Sentinel(payload))
    end_s = now_s() + SERVED_WITHIN_S
    while now_s() < end_s and any(payload.encode() not in path.read_bytes() for path in paths):
        time.sleep(STEP_S)
