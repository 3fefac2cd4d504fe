"""Connects as docs/clients/rotating_psycopg.py does, once for each line on standard input, and tells with what.

`fresh` opens a connection of its own, `pool` takes one of a pool, `old` uses one that was opened at the start.
"""

import json
import os
import sys

from psycopg_pool import ConnectionPool

sys.path.insert(0, os.environ["CLIENTS"])
from rotating_psycopg import Connection, Secret  # noqa: E402

secret = Secret(os.environ["TURNKEEP_SECRET"])
# Each checkout opens a connection anew, so that the pool meets the gap, too.
pool = ConnectionPool(connection_class=Connection, kwargs={"secret": secret}, min_size=0, max_size=2, max_idle=0.01, open=True)
old = Connection.connect(secret=secret)


def tell(connection):
    user = connection.execute("SELECT current_user").fetchone()[0]
    connection.commit()
    print(json.dumps({"user": user, "stage": secret.accepted["stage"]}), flush=True)


for line in sys.stdin:
    match line.strip():
        case "fresh":
            with Connection.connect(secret=secret) as connection:
                tell(connection)
        case "pool":
            with pool.connection() as connection:
                tell(connection)
                connection.close()
        case "old":
            tell(old)
pool.close()
