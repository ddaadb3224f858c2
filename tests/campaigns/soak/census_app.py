"""`gunicorn …soak.census_app:app`: the wall, and what lives in the worker that answers.

gunicorn.conf.py has patched the standard library before this is imported.
"""

import gc
import os
from collections import Counter

from flask.typing import ResponseReturnValue
from greenlet import greenlet

from app import create_app

# What a log that is full exchanges with every row; their number follows the rows, not the streams.
OF_THE_ROWS = ("poller.delivery.entry", "poller.ids.cursor", "poller.ids.named")


def census() -> ResponseReturnValue:
    """`pid`, living `greenlets`, all `objects` but those of the rows, and those of the `poller`, by
    class."""
    gc.collect()
    everything = gc.get_objects()
    kinds = [type(one) for one in everything]  # not isinstance(): a proxy would answer for another
    kinds = [kind for kind in kinds if kind.__module__ not in OF_THE_ROWS]
    ours = [kind for kind in kinds if str(kind.__module__).startswith("poller.")]
    return {
        "pid": os.getpid(),
        "greenlets": sum(issubclass(type(one), greenlet) and not one.dead for one in everything),
        "objects": len(kinds),
        "poller": Counter(kind.__name__ for kind in ours),
    }


app = create_app()
app.add_url_rule("/census", view_func=census)
