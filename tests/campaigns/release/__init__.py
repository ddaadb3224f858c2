"""`make release-check`: is this checkout fit to be a release? Nothing is published.

`said.py` reads what is written: version, changelog, docs, the wheel's list of files. `smoke.py`
installs the wheel into a new environment and serves the README's first program from it.
"""
