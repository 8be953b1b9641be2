"""Database that the pipeline reads: the one of `FEED_DSN`, or the embedded demo."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from feedrank.errors import SchemaError, SourceError
from feedrank.extraction.postgres.connection import Source
from feedrank.extraction.postgres.waiting import exit_on_sigterm
from feedrank.log.files import Log
from feedrank.params import Params

DSN, OFFLINE = "FEED_DSN", "FEED_OFFLINE"
DEMO, REAL = "demo", "database"


def is_offline() -> bool:
    """Whether `FEED_OFFLINE` asks to keep the previous extract and read no database."""
    return os.environ.get(OFFLINE, "").strip().lower() in ("1", "true", "yes", "on")


def own_dsn(found: str, otherwise: str = "") -> str:
    """`FEED_DSN` of a database of the user's own, for commands that the demo's is no use to.

    Args:
        found: what is the matter without one.
        otherwise: what else would help, after 'Set FEED_DSN'.

    Raises:
        SourceError: it is not set, or names the demo.
    """
    dsn = os.environ.get(DSN, "").strip()
    if dsn in ("", DEMO):
        state = f"is '{DEMO}'" if dsn else "is not set"
        remedy = f"Set {DSN}, {otherwise}." if otherwise else f"Set {DSN}."
        raise SourceError(f"{DSN} {state}, so {found}. {remedy}")
    return dsn


@dataclass(frozen=True)
class Database:
    """A source, its name, and its truth.

    Attributes:
        source: the tables.
        name: 'demo' or 'database'.
        truth: directory of the simulated network's truth; None for a real one.
    """

    source: Source
    name: str
    truth: Path | None

    @classmethod
    @contextmanager
    def of_environment(cls, demo: Path, log: Path, params: Params) -> Iterator[Database]:
        """The database of `FEED_DSN`; unset or 'demo', the embedded one, made if it is missing.

        Raises:
            SourceError: `FEED_DSN` is unset, but the log was read from a real database, which the
                demo must not replace by mistake. Or `FEED_OFFLINE` is set.
        """
        dsn = os.environ.get(DSN, "").strip()
        _refuse_surprise(dsn, log)
        if dsn and dsn != DEMO:
            with exit_on_sigterm():
                yield cls(Source(dsn, params.source), REAL, None)
            return
        # Here, because the simulation's imports take half a second of each command.
        from feedrank.demo.fill import TRUTH, ensure_demo

        with ensure_demo(demo, params.demo) as url:
            yield cls(Source(url, params.source), DEMO, demo / TRUTH)

    def copy_truth(self, new: Path) -> None:
        """Write the truth to a new directory; of a real database, a file that says it is none."""
        if self.truth is not None:
            shutil.copytree(self.truth, new)
        else:
            new.mkdir()
            (new / "none.json").write_text("{}\n")


def _refuse_surprise(dsn: str, log: Path) -> None:
    if is_offline():
        raise SourceError(
            f"{OFFLINE} is set, but the database must be read: parameters or code of 'extract' "
            f"changed. Unset {OFFLINE}, or take the change back."
        )
    if not dsn and _source_of(log) == REAL:
        raise SourceError(
            f"{DSN} is not set, but '{log}' was read from a database. Set {DSN} to read it again, "
            f"{OFFLINE}=1 to keep what was read, or {DSN}={DEMO} to go back to the demo."
        )


def _source_of(log: Path) -> str | None:
    try:
        return Log.open(log).meta.source
    except SchemaError:
        return None
