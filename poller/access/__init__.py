"""Who may open a stream, and how many fit. It knows no stream and no Flask."""
