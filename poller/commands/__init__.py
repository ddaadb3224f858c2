"""The commands of `rowcast`, one a file. `__main__.py` puts them into groups.

Every module imports click at its top and nothing that takes longer, so that `--help` answers at
once; what a command works with is imported where it begins to work. `target.py` says which database
is meant, `layout.py` how text fits into columns.
"""
