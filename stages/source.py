"""Source: has the content of the database changed? Always run, cheap, stable."""

from __future__ import annotations

from pathlib import Path

from feedrank.extraction.check.findings import all_problems_at_once
from feedrank.extraction.check.own_modules import check_own_modules
from feedrank.extraction.environment import Database, is_offline
from feedrank.extraction.fingerprint import keep_fingerprint, refresh_fingerprint
from feedrank.params import load_params
from stages.run import run

DATA = Path("data")
FINGERPRINT, CACHE = DATA / "source.json", DATA / ".spool" / "signature.json"


def main() -> None:
    """Write `data/source.json`, the same bytes as before where nothing changed.

    All parameters are checked here, offline too: DVC removes the outputs of a later stage before it
    could find one wrong.
    """
    params = load_params()
    check_own_modules(params)
    if is_offline():
        keep_fingerprint(FINGERPRINT)
        return
    with (
        Database.of_environment(DATA / "demo", DATA / "log", params) as database,
        all_problems_at_once(database.source, params),
    ):
        refresh_fingerprint(
            FINGERPRINT, CACHE, database.source, database.name, params.extract.connections
        )


if __name__ == "__main__":
    run(main)
