"""The tests of Rowcast: what they stand on is in `harness/`, their fixtures in `conftest.py`."""
