"""The event log, and what one stream is sent next. It knows no SQL, socket or Flask."""
