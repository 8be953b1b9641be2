"""Extract: three tables of a database become a log on disk, whole or not at all."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from feedrank.errors import SchemaError
from feedrank.extraction.audit.data_report import (
    PLOT,
    REPORT,
    Dropped,
    RowsOfLikes,
    write_report,
)
from feedrank.extraction.audit.day_counts import Disproved, prove_equal
from feedrank.extraction.audit.moments import WHY_LATE, late_moments
from feedrank.extraction.audit.repeats import warning_of_no_repeats
from feedrank.extraction.feed_reader import FeedReader
from feedrank.extraction.postgres.connection import Source
from feedrank.extraction.postgres.retry import retrying
from feedrank.extraction.postgres.snapshot import Snapshot
from feedrank.extraction.previous_log import PreviousLog
from feedrank.extraction.source_state import SourceState
from feedrank.extraction.spool.chunks import Spool
from feedrank.extraction.spool.encoder import Encoder
from feedrank.extraction.spool.exposure_places import ExposureCounts, ExposurePlaces, PairKeys
from feedrank.extraction.spool.exposure_source import exposure_source
from feedrank.extraction.spool.log_writer import LogWriter, Written, write_users
from feedrank.io.outputs import new_outputs
from feedrank.log.files import Log
from feedrank.log.metadata import LogMeta, bucket_bounds
from feedrank.params import ExtractParams
from feedrank.schema import POST_ID, USER_ID

CHUNKS, EXPOSURES = "chunks", "exposures"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extract:
    """An extract of one source into one place.

    Attributes:
        source: the database.
        params: group `extract` of `params.yaml`.
        log: directory of the log; a previous one is replaced.
        reports: directory of the data report.
        spool: directory for unfinished work.
        name: name of the source in the log.
    """

    source: Source
    params: ExtractParams
    log: Path
    reports: Path
    spool: Path
    name: str

    def run(self) -> LogMeta:
        """Write log and report; a run that fails leaves the previous ones as they were.

        Raises:
            SourceError: the database cannot be read.
            SchemaError: a table holds values that cannot be used.
            FeedrankError: a folder cannot be written, as on a full disk.
        """
        with new_outputs(self.log, self.reports / REPORT, self.reports / PLOT) as new:
            reader, meta = retrying(lambda: self._attempt(new))
        reader.spool.clear()
        return meta

    def _attempt(self, new: dict[Path, Path]) -> tuple[FeedReader, LogMeta]:
        try:
            reader = self._read()
        except Disproved as error:
            logger.warning("extract: %s Reading everything again.", error)
            Spool(self.spool / CHUNKS).clear()
            reader = self._read(trusts_previous=False)
        return reader, self._write(reader, new)

    def _read(self, trusts_previous: bool = True) -> FeedReader:
        """The reader of a spool that holds the whole feed, proved by the source's own counts.

        Chunks of a killed run and rows of a previous log are not read again.

        Raises:
            Disproved: the counts differ.
        """
        spool = Spool(self.spool / CHUNKS)
        # Earlier work may only be used if its rows, not just their number, are those of the source.
        has_previous = trusts_previous and (spool.state is not None or self.log.exists())
        with_checks = has_previous or not trusts_previous
        with Snapshot.of(self.source, self.params.connections) as snapshot:
            state = SourceState.of(snapshot, self.source.params, self.params, with_checks)
            bounds = bucket_bounds(len(state.users), state.n_buckets(self.params))
            encoder = Encoder.of(
                state.users, state.posts, bounds, state.days, state.sql.likes_apart
            )
            rows = self.params.chunk_rows
            previous = PreviousLog.of(self.log, state, rows) if has_previous else None
            reader = FeedReader(state, self.params, encoder, spool, previous)
            reader.start_or_continue()
            reader.read(snapshot)
        found = encoder.checked_days(spool, state.sql.layout) if with_checks else spool.days()
        prove_equal(found, state.days)
        return reader

    def _write(self, reader: FeedReader, new: dict[Path, Path]) -> LogMeta:
        state, spool = reader.state, reader.spool
        dropped, dropped_likes = count_dropped(spool, state, self.params.max_orphan_share)
        log, report = new[self.log], new[self.reports / REPORT]
        shutil.rmtree(log, ignore_errors=True)
        places = self._exposure_places(reader)
        like_window = self.source.params.like_window_seconds
        writer = LogWriter(log, spool, reader.encoder, like_window, places)
        clock = (self.source.params.time_zone, state.offsets)
        meta, written = writer.write(
            state.users, state.posts, self.name, clock, self.params.connections
        )
        n_repeats = sum(w.n_repeats for w in written)
        exposures = None
        if places is not None:
            exposures = exposure_report(places.counts, written)
            places.clear()
        days, likes = state.days, None
        if state.sql.likes_apart:
            days = days.with_likes_apart()
            likes = RowsOfLikes(sum(w.n_stray_likes for w in written), dropped_likes)
        times = replace(state.times, days=days)
        left_out_columns = state.left_out_columns | self._without_late_moments(log)
        write_report(
            report, new[self.reports / PLOT], meta, times, left_out_columns, dropped,
            n_repeats, likes, exposures,
        )  # fmt: skip
        impossible = state.times.warning(state.sql.likes_apart)
        for warning in (impossible, warning_of_no_repeats(Log.open(log))):
            if warning is not None:
                logger.warning("extract: %s", warning)
        if left_out_columns:
            logger.info(
                "extract: columns of '%s' not used as profile: %s. 'source.profile' chooses.",
                self.source.params.users,
                ", ".join(f"'{c}' ({why})" for c, why in left_out_columns.items()),
            )
        left_out = f", {dropped.total:,} left out" if dropped.total else ""
        left_out += f", {dropped_likes:,} likes too" if dropped_likes else ""
        left_out += f", {n_repeats:,} repeated rows counted once" if n_repeats else ""
        if exposures is not None:
            log_exposures(exposures)
        logger.info(
            f"extract: {meta.n_impressions:,} impressions of {meta.n_users:,} users and "
            f"{meta.n_posts:,} posts over {meta.n_days} days, all counted by the database "
            f"too{left_out}."
        )
        return meta

    def _exposure_places(self, reader: FeedReader) -> ExposurePlaces | None:
        names, state = self.source.params, reader.state
        if names.exposures is None:
            return None
        end = reader.spool.times()[1] + 1
        keys = PairKeys(len(state.posts), end, names.exposure_window_seconds)
        places = ExposurePlaces(self.spool / EXPOSURES, keys, reader.encoder.bounds)
        ids = state.users[USER_ID], state.posts[POST_ID]
        return places.read(exposure_source(self.source), *ids, reader.encoder.first_day)

    def _without_late_moments(self, directory: Path) -> dict[str, str]:
        """Leave out moments that no user's first requests knew, and say why, by name."""
        log = Log.open(directory)
        late = [] if self.source.params.profile is not None else late_moments(log)
        if late:
            write_users(directory, log.users.drop(columns=late))
        return dict.fromkeys(late, WHY_LATE)


def count_dropped(spool: Spool, state: SourceState, max_share: float) -> tuple[Dropped, int]:
    """Impressions that are left out, by reason, and the number of likes that are.

    Raises:
        SchemaError: they are more than `max_share` of all, or all.
    """
    unknown_users, unknown_posts, n_likes = spool.n_dropped()
    days = [state.days.total, state.days.without_time, state.times.left_out.total]
    if state.sql.likes_apart:
        days = [day.with_likes_apart() for day in days]
        n_likes += sum(day.likes for day in days[1:])
    without_time, impossible = (day.views for day in days[1:])
    dropped = Dropped(unknown_users, unknown_posts, without_time, impossible)
    total = sum(day.views for day in days)
    if dropped.total > max_share * total or not spool.has_impressions:
        raise SchemaError(
            f"{dropped.total} of {total} impressions cannot be used: {dropped.unknown_user} are of "
            f"users that the users' table lacks, {dropped.unknown_post} of posts that the posts' "
            f"table lacks, {without_time} have no time, {impossible} an impossible one. "
            f"Add what is missing, or raise 'extract.max_orphan_share' (now {max_share}). If "
            "posts were deleted, keep their rows and name the column that says so in "
            "'source.hidden': docs/your-data.md."
        )
    return dropped, n_likes


def exposure_report(counts: ExposureCounts, written: list[Written]) -> dict[str, int]:
    """Counts of the exposures, and of what they have in common with the log's impressions."""
    return {
        **vars(counts),
        "without_impression": counts.kept - sum(w.n_met for w in written),
        "impressions": sum(w.n_exposed for w in written),
    }


def log_exposures(found: dict[str, int]) -> None:
    """Say what the exposures had in common with the log, and warn if that is nothing."""
    logger.info(
        "extract: %s returned lists of %s places; %s impressions are of them. Places of users or "
        "posts that the log lacks: %s; of other times: %s.",
        *(f"{found[name]:,}" for name in ("lists", "places", "impressions", "unknown", "outside")),
    )
    if found["lists"] and not found["impressions"]:
        logger.warning(
            "extract: no impression is of any returned list, so that all count as the old feed's. "
            "See whether 'source.exposures' is of this network, its times are on the log's clock "
            "('source.time_zone'), and 'source.exposure_window' is as long as a list is looked at."
        )
