"""The recipes of README and docs in a browser, as they are written there."""
