"""Likes that an A/B test is judged by, from the feed's table or from a file."""

from __future__ import annotations

import re
import warnings
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pandas.errors import ParserWarning

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.connection import Source, quoted
from feedrank.extraction.postgres.feed_query import all_of, any_of, moment, window
from feedrank.extraction.relations import describe_feed

COLUMNS = ["user_id", "post_id", "timestamp"]
OFFSET = r"\d{2}:\d{2}.*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"  # at the end of a moment with a clock


def query_likes(source: Source, since: datetime, until: datetime) -> pd.DataFrame:
    """Likes of [since, until) on the log's clock, ids as text.

    The feed is read as the extract reads it: the same forms of FEED_DSN, names, and time zone.

    Raises:
        SchemaError: the table lacks a column, or holds no like of this period.
        SourceError: the database cannot be reached or read.
    """
    names = source.params
    with source.transaction() as transaction:
        feed = describe_feed(transaction, names)
        at = moment(feed, names.timestamp, names.time_zone)
        user, post, action = (
            quoted(feed.column(name)) for name in (names.user_id, names.post_id, names.action)
        )
        conditions = (any_of(f"{action}::text", names.positive), *window(at, since, until))
        found = transaction.rows(
            f"SELECT {user}::text, {post}::text, {at} FROM {feed.path} {all_of(conditions)}"
        )
    if not found:
        actions = " or ".join(f"'{action}'" for action in names.positive)
        raise SchemaError(
            f"'{feed.name}' holds no row with {names.action} {actions} from {since} to "
            f"{until}, the period of the exposures. See whether likes have arrived, whether "
            "'source.action' and 'source.time_zone' are right, or name a file with --likes."
        )
    return pd.DataFrame(found, columns=COLUMNS)


def read_likes(path: Path, time_zone: str) -> pd.DataFrame:
    """Likes of a CSV or parquet file on the log's clock, ids as text.

    Args:
        path: with the columns `user_id`, `post_id` and `timestamp`.
        time_zone: whose clock the log keeps; moments with an offset are converted to it.

    Raises:
        SchemaError: the file cannot be read, lacks a column, holds no row, or a wrong cell.
    """
    table = _as_text(path)
    # pandas numbers a name that stands twice.
    if twice := [c for c in table.columns if re.fullmatch(rf"({'|'.join(COLUMNS)})\.\d+", c)]:
        raise SchemaError(f"'{path}' has columns of one name twice ({twice}). Remove one of each.")
    if missing := [c for c in COLUMNS if c not in table.columns]:
        raise SchemaError(
            f"'{path}' lacks the columns {missing}; it has {list(table.columns)}. Write "
            f"{COLUMNS}, comma-separated, with their names in the first line."
        )
    likes = table[COLUMNS].apply(lambda column: column.str.strip())
    if likes.empty:
        raise SchemaError(f"'{path}' holds no like. Write one line for each like of the period.")
    for name in COLUMNS[:2]:
        _refuse(path, likes[name], likes[name] == "", "is empty; write an id of the database")
    moments = _moments(likes["timestamp"], time_zone)
    _refuse(path, likes["timestamp"], moments.isna(),
            "is no moment; write it as in 2021-11-01T13:00:00")  # fmt: skip
    return likes.assign(timestamp=moments)


def _as_text(path: Path) -> pd.DataFrame:
    """All cells as they are written."""
    try:
        if path.suffix != ".parquet":
            # No index: of longer lines, the first cells would else silently become one.
            with warnings.catch_warnings():
                warnings.simplefilter("error", ParserWarning)  # a line with too many cells
                return pd.read_csv(
                    path, dtype=str, keep_default_na=False, skip_blank_lines=False, index_col=False
                )
        table = pd.read_parquet(path)
    # Of pandas, all are ValueError.
    except (OSError, ValueError, ParserWarning, pa.ArrowException) as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise SchemaError(
            f"'{path}' cannot be read: {reason}. Write comma-separated UTF-8 with the columns "
            f"{COLUMNS}, or parquet."
        ) from None
    # A missing id has turned whole numbers into floats.
    whole = {name: "Int64" for name in table.select_dtypes("float") if name in COLUMNS[:2]}
    return table.astype(whole).astype("string").fillna("").astype(str)


def _moments(text: pd.Series, time_zone: str) -> pd.Series:
    """Moments on the log's clock, NaT for what is none."""
    has_offset = text.str.contains(OFFSET)
    with_offset = pd.to_datetime(text[has_offset], errors="coerce", utc=True, format="ISO8601")
    naive = pd.to_datetime(text[~has_offset], errors="coerce", format="ISO8601")
    own = with_offset.dt.tz_convert(time_zone).dt.tz_localize(None)
    return pd.concat([own, naive]).sort_index()


def _refuse(path: Path, column: pd.Series, is_wrong: pd.Series, words: str) -> None:
    if is_wrong.any():
        row = int(is_wrong.to_numpy().argmax())
        raise SchemaError(
            f"line {row + 2} of '{path}': {column.name} '{column.iloc[row]}' {words}. "
            f"({int(is_wrong.sum())} such lines.)"
        )
