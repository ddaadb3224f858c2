"""Other people's loggers, which write what a client sent as it came."""

import logging

from poller.runtime import log


def test_what_a_client_sent_stays_on_one_line() -> None:
    sent = "/x\nERROR forged\x1b[2J\x85\u2028", 7, ValueError("a\rb")
    message = "Error handling request %s %d %s"
    record = logging.LogRecord("gunicorn.error", logging.ERROR, "", 0, message, sent, None)
    assert log.on_one_line(record)
    told = r"/x\nERROR forged\x1b[2J\x85\u2028 7 a\rb"
    assert record.getMessage() == f"Error handling request {told}"


def test_a_line_without_values_is_left_alone() -> None:
    record = logging.LogRecord("gunicorn.error", logging.INFO, "", 0, "100 %", None, None)
    assert log.on_one_line(record)
    assert record.getMessage() == "100 %"
