"""What is between you and a stream: looked at from outside, as a browser would see it.

`look.py` asks and keeps what came, byte by byte, with its time (`observed.py`); from there on all
is pure: `frames.py` reads it as an event stream, and the findings say what that means for a page
and what to change. The stream may be anybody's.

    exchange.py, http2.py → observed.py → frames.py → passage, lasting, browser, resuming, text
                                                      → finding.py, with cures.py
"""
