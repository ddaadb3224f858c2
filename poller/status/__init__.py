"""The status of one machine: figures of its workers, an hour of them, and what they say in words.

    worker ──► recorder ──► folder ──► machine ──► checks, hour ──► page, JSON

Each worker writes what it counts into a file of its own, each `SAMPLE_S`, so that the hour of a
worker that was restarted is not lost. While somebody looks, the workers also write what they are
doing now, each second. Whoever answers reads the files of all. Nobody looks: nothing is computed.

Pure of Flask, and of SQL. What is told holds no row, no SQL and no secret.
"""
