"""Follower: `python -m service.follower` follows FEED_DSN into the delta log of the service."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import time
from contextlib import ExitStack

from feedrank.errors import FeedrankError
from feedrank.extraction.postgres.connection import Source
from feedrank.extraction.postgres.waiting import exit_on_sigterm
from feedrank.io.files import private_directory
from feedrank.io.writer_lock import HeldError, one_writer
from feedrank.live.delta_log import delta_log_of
from feedrank.params import load_params
from service.follower.follower import Follower, FollowerSettings
from service.follower.process import ORPHAN, dsn_to_follow
from service.follower.status import FollowerStatus
from service.monitoring.logs import log_json
from service.settings import Settings

logger = logging.getLogger("feedrank.service")
STAND_BY_SECONDS = 1.0


def main() -> int:
    """Follow until a signal; 1 for a setting that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m service.follower", description=__doc__)
    parser.add_argument(ORPHAN, action="store_true", help="end with the input, as of a parent")
    if vars(parser.parse_args())[ORPHAN.strip("-").replace("-", "_")]:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    log_json("INFO")
    try:
        settings, params = Settings.from_environment(), load_params()
        source = Source(dsn_to_follow(), params.source)
        path = delta_log_of(private_directory(settings.state), settings.artifact)
        with exit_on_sigterm(), ExitStack() as stack:
            _become_leader(stack, path.with_suffix(".lock"))
            stack.callback(FollowerStatus.remove, path)
            links = (settings.artifact, settings.test_artifact)
            rules = FollowerSettings(
                tuple(link for link in links if link is not None),
                settings.follow_overlap,
                settings.follow_seconds,
            )
            Follower(source, params, path, rules).run()
    except FeedrankError as error:
        logger.error(str(error))
        return 1
    return 0


def _become_leader(stack: ExitStack, lock: object) -> None:
    """Hold the lock of the only follower of a delta log, once no other process holds it."""
    is_said = False
    while True:
        try:
            stack.enter_context(one_writer(lock))  # type: ignore[arg-type]
            return
        except HeldError as error:
            if not is_said:
                logger.info("standing by", extra={"reason": str(error)})
            is_said = True
            time.sleep(STAND_BY_SECONDS)


def _end_with_parent() -> None:
    """End at once when the parent has ended, however it ended; nothing is lost by it."""
    # Not by `sys.stdin`: an interpreter that ends while a thread reads from it dies by SIGABRT.
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
