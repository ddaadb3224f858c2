"""Reloads under load: what thousands of clients see while their streams move, and workers die."""
