"""Mend what a killed run cut off of DVC's own files: `python -m feedrank.checkout.mend`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

from feedrank.checkout.committed import LOCK, run
from feedrank.errors import FeedrankError, command
from feedrank.io.files import write_whole

# Which process reads or writes which output; DVC rewrites it before and after each stage.
RUNNING = Path(".dvc", "tmp", "rwlock")


def mend(root: Path) -> list[str]:
    """Mend both files that DVC writes in place; what was done, in words.

    Raises:
        FeedrankError: `dvc.lock` was cut off, and there is no committed one.
    """
    return [words for words in (_mend_running(root), _mend_lock(root)) if words]


def _mend_running(root: Path) -> str:
    """Remove DVC's list of running processes if it is no JSON: without it DVC takes none to run."""
    running = root / RUNNING
    try:
        json.loads(running.read_bytes())
    except FileNotFoundError:
        return ""
    except ValueError:
        running.unlink()
        return f"'{RUNNING}' was cut off, as by a kill while DVC wrote it: it is removed."
    return ""


def _mend_lock(root: Path) -> str:
    """Put the committed `dvc.lock` in the place of one that DVC cannot read; what was done, or ''.

    The unreadable file is kept beside it as `.dvc.lock.unread`. Outputs stay as they are; stages
    that differ from the committed lock run again with the next `dvc repro`.
    """
    lock = root / LOCK
    if not lock.exists() or _is_readable(lock):
        return ""
    try:
        committed = run(root, "git", "show", f"HEAD:./{LOCK}")
    except FeedrankError as error:
        words = f"'{LOCK}' was cut off, and {error}. Remove it to start over."
        raise FeedrankError(words) from error
    unread = lock.with_name(f".{LOCK}.unread")
    write_whole(unread, lock.read_bytes())
    write_whole(lock, committed.encode())
    return (
        f"'{LOCK}' was cut off, as by a kill while DVC wrote it: the committed one is back in its "
        f"place, '{unread.name}' holds what was left. Stages that differ from it run again."
    )


def _is_readable(lock: Path) -> bool:
    """By DVC's own schema."""
    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(lock.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError, Invalid):
        return False
    return True


@command()
def main() -> None:
    """Run the command; 1 if nothing could be restored."""
    for line in mend(Path()):
        print(line, file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
