"""The extract: three tables of a database become a log on disk, whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from feedrank.errors import FeedrankError, SchemaError
from feedrank.extraction.audit.data_report import Dropped, write_report
from feedrank.extraction.audit.day_counts import Disproved, prove_equal
from feedrank.extraction.feed_reader import Reading
from feedrank.extraction.postgres.connection import Source
from feedrank.extraction.postgres.retry import retrying
from feedrank.extraction.postgres.snapshot import Snapshot
from feedrank.extraction.previous_log import FormerLog
from feedrank.extraction.source_state import SourceState
from feedrank.extraction.spool.chunks import Spool
from feedrank.extraction.spool.encoder import Encoder
from feedrank.extraction.spool.log_writer import LogWriter, bucket_bounds
from feedrank.extraction.spool.read_back import spool_days
from feedrank.io.files import recover_directory, replace_directory, replace_files
from feedrank.io.progress import say
from feedrank.log.files import LogMeta
from feedrank.params import ExtractParams

CHUNKS, REPORTS = "chunks", "reports"


@dataclass(frozen=True)
class Extract:
    """An extract of one source into one place.

    Attributes:
        source: the database.
        params: what is read.
        log: directory of the log; a former one is replaced.
        reports: directory of the data report.
        spool: directory for what is not whole yet, of the same file system as `log`.
        name: what the log calls its source.
    """

    source: Source
    params: ExtractParams
    log: Path
    reports: Path
    spool: Path
    name: str

    def run(self) -> LogMeta:
        """Write log and report; a run that fails leaves former ones as they were.

        Raises:
            SourceError: the database cannot be read.
            SchemaError: a table holds what cannot be used.
            FeedrankError: the disk is full.
        """
        recover_directory(self.log)
        try:
            return retrying(self._attempt)
        except OSError as error:
            raise FeedrankError(
                f"cannot write below '{self.log.parent}': {error.strerror or error}. Free some "
                f"space and run again. '{self.log}' is as it was."
            ) from error

    def _attempt(self) -> LogMeta:
        try:
            reading = self._read()
        except Disproved as error:
            say(f"{error} Reading everything again.")
            Spool(self.spool / CHUNKS).clear()
            reading = self._read(trusting_former=False)
        return self._write(reading)

    def _read(self, trusting_former: bool = True) -> Reading:
        """The feed in the spool, whole and proved.

        What a killed run left in the spool and what a former log holds is not read again, as long
        as the source's own counts agree with all of it in the end.

        Raises:
            Disproved: they do not agree.
        """
        spool = Spool(self.spool / CHUNKS)
        # Earlier work may only be used if its rows, not just their number, are those of the source.
        has_former = trusting_former and (spool.state is not None or self.log.exists())
        with_checks = has_former or not trusting_former
        with Snapshot.of(self.source, self.params.connections) as snapshot:
            moment = SourceState.of(snapshot, self.source.params, self.params, with_checks)
            bounds = bucket_bounds(len(moment.users), self.params.buckets)
            encoder = Encoder.of(moment.users, moment.posts, bounds, moment.days)
            former = self._former(moment) if has_former else None
            reading = Reading(moment, self.params, encoder, spool, former)
            reading.start_or_continue()
            reading.read(snapshot)
        layout = moment.sql.layout
        found = spool_days(spool, encoder, layout) if with_checks else spool.days()
        prove_equal(found, moment.days)
        return reading

    def _former(self, moment: SourceState) -> FormerLog | None:
        return FormerLog.of(self.log, moment, self.params.chunk_rows)

    def _write(self, reading: Reading) -> LogMeta:
        dropped = count_dropped(reading.spool, reading.moment, self.params.max_orphan_share)
        new = self.spool / "log"
        shutil.rmtree(new, ignore_errors=True)
        meta = LogWriter(new, reading.spool, reading.encoder).write(
            reading.moment.users, reading.moment.posts, self.name, self.params.connections
        )
        write_report(self.spool / REPORTS, meta, reading.moment.days, dropped)
        # From here on files only change their names, for which a full disk has room.
        replace_directory(self.log, new)
        replace_files(self.reports, self.spool / REPORTS)
        reading.spool.clear()
        self._say_done(meta, dropped)
        return meta

    def _say_done(self, meta: LogMeta, dropped: Dropped) -> None:
        left_out = f", {dropped.total:,} left out" if dropped.total else ""
        say(
            f"{meta.n_impressions:,} impressions of {meta.n_users:,} users and {meta.n_posts:,} "
            f"posts over {meta.n_days} days, all counted by the database too{left_out}."
        )


def count_dropped(spool: Spool, moment: SourceState, max_share: float) -> Dropped:
    """How many impressions are left out, and why.

    Raises:
        SchemaError: they are more than a share of all, or all.
    """
    n_dropped, unknown_users = spool.n_dropped()
    dropped = Dropped(
        unknown_user=unknown_users,
        unknown_post=n_dropped - unknown_users,
        without_time=moment.days.without_time.views,
    )
    total = moment.days.total.views + dropped.without_time
    if dropped.total > max_share * total or dropped.total == total:
        raise SchemaError(
            f"{dropped.total} of {total} impressions cannot be used: {dropped.unknown_user} are of "
            f"users that the users' table lacks, {dropped.unknown_post} of posts that the posts' "
            f"table lacks, {dropped.without_time} have no time. Add what is missing, or raise "
            f"'extract.max_orphan_share' (now {max_share})."
        )
    return dropped
