"""Rowcast's notifier: any SQL table as a live stream of Server-Sent Events.

Where a row goes, from the table to the wire, and the file that takes it there:

    SQL table
       │  table.py      one query a poll: rows above the cursor's position or in its gaps
       │  dialects/     is it still the same table?         (read in the same statement)
       │  fence.py      which gaps may still fill?          (source.py asks it first)
       ▼
    loop.py             Poller: one pass, cursor moved, each row encoded once (row.py, sse.py);
       │                gaps.py keeps what may still fill, report.py tells of it,
       │                newest.py vouches for a table that was only altered
       ▼
    event_log.py        the ring of encoded frames, one for all streams of this worker
       ▼
    delivery.py         Subscriber: live from the ring; behind, from the ring or the table, of
       │                which backfill.py shares the pages (page.py) among all who lack the same
       ▼
    fanout.py           writes one batch to all live sockets (connection.py), which handover.py took
       │                over from gunicorn; response_stream.py serves where that cannot be done
       ▼
    notifier.py         the Flask routes; stream_response.py begins a stream, streams.py counts and
                        ends them, slots.py says who may open one, capacity.py how many fit;
                        feed.py puts all of this together for one table

The idea that holds it together is in cursor.py: what was delivered is not a number but a set; and
what makes it safe in fence.py: a gap is given up only when nobody is left who could fill it.
doctor.py says how far that holds for a table. It knows nothing of the wall that is built on it.
"""

from poller.notifier import Notifier

__all__ = ["Notifier"]
