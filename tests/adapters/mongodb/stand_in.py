"""Stands in for a MongoDB server: python stand_in.py <port> [--alone].

The port may be 0, for one that is free; the first line that it writes is the URL.

It speaks the wire protocol, keeps everything in memory and does what MongoDB 5.0 does, answers
and error codes included, as far as the tests need it; what it does not know it refuses. Without
`--alone` it is a replica set of one member. What each part knows stands in `stand_in_server/`,
and `test_stand_in.py` proves the same of a real server, if there is one.

It makes a collection for a transaction at once, keeps it if that is undone, looks at every
document in the place of using an index, and knows no users, expiry or other servers.
"""

import sys

from stand_in_server.commands import Server
from stand_in_server.sessions import Sessions
from stand_in_server.wire import WireServer


def main() -> None:
    """Serve until somebody ends it."""
    port, *flags = sys.argv[1:]
    with WireServer(("127.0.0.1", int(port))) as listening:
        host, taken = listening.server_address
        listening.sessions = Sessions(Server(f"{host}:{taken}", is_alone="--alone" in flags))
        print(f"mongodb://{host}:{taken}", flush=True)  # noqa: T201 - who started it reads it
        listening.serve_forever()


if __name__ == "__main__":
    main()
