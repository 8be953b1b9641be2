"""Lists of all users at one moment: `python -m feedrank.batch --at now --k 5 --out lists.parquet`.

A run that was killed goes on where it was if it is started again; the file or table changes at the
end alone.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feedrank.artifact.arguments import moment
from feedrank.artifact.artifact import Artifact
from feedrank.batch.lists import (
    Job,
    about_of,
    followed_artifact,
    interrupted,
    make_lists,
    place_of,
    schema_of,
)
from feedrank.batch.table import replace_lists
from feedrank.batch.users import MOST_NAMED, chosen_users
from feedrank.errors import ParamsError, command
from feedrank.extraction.environment import own_dsn
from feedrank.extraction.postgres.connection import Source
from feedrank.io.files import state_directory
from feedrank.io.outputs import new_outputs
from feedrank.io.progress import log_to_stderr
from feedrank.io.writer_lock import one_writer
from feedrank.live.delta_log import delta_log_of
from feedrank.log.metadata import LogMeta
from feedrank.params import load_params

MOST_POSTS = 100  # of one list, as of the service
logger = logging.getLogger("feedrank.batch")


@command()
def main() -> None:
    """Make the lists; 1 and a message for what cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m feedrank.batch", description=__doc__)
    parser.add_argument("--at", default="now", help="moment, ISO 8601, or now")
    parser.add_argument("--k", type=int, default=5, help="length of each list")
    parser.add_argument("--users", help="a file of an id a line, or a query; all by default")
    parser.add_argument("--artifact", type=Path, help="FEEDRANK_ARTIFACT, or models/live")
    into = parser.add_mutually_exclusive_group(required=True)
    into.add_argument("--out", type=Path, help="parquet file to write")
    into.add_argument("--table", help="table to write, in the database of FEED_DSN")
    given = parser.parse_args()
    log_to_stderr()
    _run(given)


def _run(given: argparse.Namespace) -> None:
    if not 1 <= given.k <= MOST_POSTS:
        raise ParamsError(f"'--k' is {given.k}; write a whole number from 1 to {MOST_POSTS}.")
    out = given.out or Path(f"{given.table}.lists")
    parts = out.with_name(f".{out.name}.parts")
    artifact, users, job = _begun(given, parts)
    with one_writer(out.with_name(f".{out.name}.lock")):
        files = make_lists(job, users, parts)
        schema, about = schema_of(artifact.recommender), about_of(job, artifact.store.meta)
        if given.table:
            ids = artifact.store.catalogue.user_ids[users]
            n_rows = replace_lists(_source(), given.table, schema, ids, files, about)
        else:
            n_rows = _write_file(given.out, schema.with_metadata(about), files)
        shutil.rmtree(parts)
    logger.info("lists: %s users, %s rows, at %s.", f"{len(users):,}", f"{n_rows:,}", about["at"])


def _begun(given: argparse.Namespace, parts: Path) -> tuple[Artifact, np.ndarray, Job]:
    """Artifact, users and job: the one that was interrupted, if it is the same, or a new one.

    A job is the same at the same step, since `now` moves on; with other hidden posts it is another.
    """
    found = interrupted(parts)
    artifact, users, unknown, job = _prepared(given, found)
    if found is not None:
        seconds = artifact.store.fitted.step_seconds
        if given.at == "now" and found.at // seconds == job.at // seconds:
            job = replace(job, at=found.at)
        if job != found:
            artifact, users, unknown, job = _prepared(given, None)
    _say_unknown(unknown)
    return artifact, users, job


def _prepared(
    given: argparse.Namespace, found: Job | None
) -> tuple[Artifact, np.ndarray, list[str], Job]:
    """Artifact, users, ids that are nobody's, and job, at the place of a job that was found."""
    path = given.artifact or Path(os.environ.get("FEEDRANK_ARTIFACT") or "models/live")
    state = state_directory()
    delta = delta_log_of(state, path)
    place = place_of(delta)
    if found is not None and place and found.place.get("hidden") == place["hidden"]:
        place = found.place
    artifact = followed_artifact(path.resolve(), delta, place)
    users, unknown = chosen_users(artifact.store.catalogue, given.users, _source)
    at = _seconds(given.at, artifact.store.meta)
    return artifact, users, unknown, Job.of(artifact.directory, delta, place, users, at, given.k)


def _write_file(out: Path, schema: pa.Schema, parts: Iterable[Path]) -> int:
    """Join the parts in a new file, which then takes its place; how many rows."""
    with new_outputs(out) as new, pq.ParquetWriter(new[out], schema) as writer:
        n_rows = 0
        for part in parts:
            table = pq.read_table(part)
            writer.write_table(table.cast(schema))
            n_rows += len(table)
    return n_rows


def _seconds(at: str, meta: LogMeta) -> int:
    try:
        wanted = datetime.now(UTC) if at == "now" else moment(datetime.fromisoformat(at))
    except ValueError:
        raise ParamsError(
            f"'--at' is '{at}'; write now, or a moment as in 2021-12-15T18:00."
        ) from None
    return meta.seconds(meta.local(wanted))


def _source() -> Source:
    return Source(own_dsn("there is no database of the table or the query"), load_params().source)


def _say_unknown(ids: list[str]) -> None:
    if ids:
        some = ", ".join(map(str, ids[:MOST_NAMED]))
        more = ", ..." if len(ids) > MOST_NAMED else ""
        logger.warning("%d users are not in the artifact: %s%s", len(ids), some, more)


if __name__ == "__main__":
    sys.exit(main())
