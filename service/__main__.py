"""The service: `python -m service`, or with several workers `python -m service --workers 2`."""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import nullcontext

from feedrank.errors import FeedrankError
from service.follower.process import dsn_to_follow, following
from service.monitoring.logs import log_config, log_json
from service.server.processes import allow_files, serve
from service.settings import Settings


def main() -> int:
    """Serve; 1 for a setting that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at; 0.0.0.0 is all")
    parser.add_argument("--port", type=_port, default=8000)
    parser.add_argument("--workers", type=int, help="processes; WEB_CONCURRENCY, or 1, by default")
    parser.add_argument(
        "--root-path", default="", help="prefix that a proxy takes off, as in /rank"
    )
    parser.add_argument(
        "--follow", action="store_true", help="follow the database of FEED_DSN; or FEEDRANK_FOLLOW"
    )
    given = vars(parser.parse_args())
    log_json("INFO")
    try:
        settings = Settings.from_environment()
        allow_files(settings.max_connections)
        is_followed = given.pop("follow") or settings.follow
        if is_followed:
            dsn_to_follow()
    except FeedrankError as error:
        logging.getLogger("feedrank.service").error(str(error))
        return 1
    connection = "service.server.connection:Connection"
    options = {
        "http": connection,
        "log_config": log_config(settings.log_level),
        "ws": "none",
        # By default uvicorn would listen without an application whose start fails.
        "lifespan": "on",
    }
    with following() if is_followed else nullcontext():
        serve({**given, **options}, settings)
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 16:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, not '{text}'")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
