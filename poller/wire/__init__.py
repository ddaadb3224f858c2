"""How it looks in bytes: rows, event ids, frames. Pure: it does not know where rows come from."""
