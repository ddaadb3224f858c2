"""`rowcast probe` against real servers and real proxies, well and ill configured.

`scenes.py` has what is looked at and what has to be found. `make probes` looks, compares, and keeps
what was seen in tests/poller/probing/recorded/, which `make test` judges again.
"""
