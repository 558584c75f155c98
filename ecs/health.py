"""Ends with 0 when the gateway in this container answers, with 1 and the reason when it doesn't.

    trunkline-health [liveness|readiness]

Liveness, the default, is what a container may be restarted for. Readiness also asks for the
database and Redis, without which calls with known keys go on.
"""

from __future__ import annotations

import http.client
import os
import sys

SECONDS = 4.0


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else "liveness"
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(os.environ.get("PORT", "4000")), timeout=SECONDS
    )
    try:
        connection.request("GET", f"/health/{what}")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"no answer: {error}")
    if status != http.client.OK:
        sys.exit(f"/health/{what} answers {status}")


if __name__ == "__main__":
    main()
