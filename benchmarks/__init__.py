"""Measurements of delivery, each next to what it is compared with in the same run: `make bench`."""
