"""The loop: one pass, identity, metrics. It knows no SQL, socket or Flask."""
