"""Hints: what makes a poll come sooner. Each may be lost: the poll follows at its interval."""
