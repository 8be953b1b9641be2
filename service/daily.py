"""Daily build: extract, build, validate, then deploy or refuse: `python -m service.daily`.

For cron, in the project's folder: nothing is asked, all is logged on stderr. The exit code is 0 if
the new artifact is served or nothing has changed, 1 if a step or the lock fails, 2 if the gate
refuses the artifact, 3 if another daily build still runs. Whatever it is, what is served is whole.
"""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
from pathlib import Path

from feedrank.errors import command
from feedrank.io.progress import log_to_stderr
from feedrank.io.writer_lock import HeldError, one_writer
from service import deploy

LOCK, ARTIFACT = Path("data/.daily.lock"), Path("models/artifact")
BUSY = 3
STEPS = (("-m", "feedrank.checkout.mend"), ("-m", "dvc", "repro"))


@command(deploy.FAILED, {HeldError: BUSY})
def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m service.daily", description=__doc__)
    parser.add_argument("--force", type=str.strip, default="", help="why the gate is overruled")
    given = parser.parse_args(arguments)
    log_to_stderr()
    with one_writer(LOCK):
        return _build_and_deploy(given.force)


def _build_and_deploy(forced: str) -> int:
    for step in STEPS:
        if code := _run(*step):
            logging.error("error: `%s` ended with %d; what is served stays.", " ".join(step), code)
            return deploy.FAILED
    return _run("-m", "service.deploy", str(ARTIFACT), "--force", forced)


def _run(*words: str) -> int:
    """Run Python with these words, its output on stderr; the exit code.

    The interpreter's folder leads the path, since cron knows no virtual environment and the stages
    are run as `python`.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    done = subprocess.run(
        [sys.executable, *words],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        env={**os.environ, "PATH": path},
        check=False,
    )
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
