"""Feeds by window: the newest N rows of any query, kept the same at every client.

A feed of another kind than the log's: state, not history. There is no cursor and no fence. A worker
looks at the query's answer again and again, tells its clients what is different, and every id says
what its client holds:

    token       pure: what a client holds, as a count and a digest
    picture     pure: the rows of one look, what differs from the last, and where a client stands
    course      pure: the way from what one client holds to the window, as frames
    log         the newest changes as frames, and at which of them a client may go on
    subscriber  what one stream's client is sent next
    encoding    rows as items of a picture; what did not change is not encoded again
    looker      the loop

One rule carries it: **the id of a frame says exactly what the client holds after it**, also in the
middle of a look. Named earlier, by the token of the whole look, what follows is lost when the
client drops; named later, at the look's end, a change that is undone meanwhile stays at the client
for ever. `tests/poller/window/test_convergence.py` has both as mutants.
"""
