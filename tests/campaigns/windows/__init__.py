"""The oracle of feeds by window: on real databases, whatever is done to the rows and the clients,
each client holds the query's own answer two looks after the last change.

    subjects   what is watched: tables with keys of each kind, a view with a join, a SELECT
    story      one run, from its seed
"""
