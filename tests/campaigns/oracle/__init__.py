"""The oracle: real writers, clients and faults on a real database, and a checker that judges them.

Writers, clients and the conductor write down what they did (`records.py`, `journal.py`). Only
afterwards does `checker.py`, which does no I/O, compare it with the table. `torture.py` runs all
of it; `mutants.py` breaks the server on purpose, to show that the checker would notice.
"""
