"""The shortest way to feed a push server from a table: what is above the last id is posted to it.

It misses rows that commit late, and knows nothing of restarts. Its arguments are the database, the
port of the server's publisher, and the seconds between two polls.
"""

import json
import sys
import time
from http.client import HTTPConnection

import psycopg

url, port, every_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
NEW = "SELECT id, author, body, created_at::text AS created_at FROM posts WHERE id > %s ORDER BY id"
with psycopg.connect(url, autocommit=True) as connection:
    publisher = HTTPConnection("127.0.0.1", port)
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM posts").fetchone() or (0,)
    while True:
        for row in connection.cursor(row_factory=psycopg.rows.dict_row).execute(NEW, [last]):
            publisher.request("POST", "/publish", json.dumps(row))
            publisher.getresponse().read()
            last = row["id"]
        time.sleep(every_s)
