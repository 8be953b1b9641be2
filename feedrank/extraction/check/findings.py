"""Source check: all problems and warnings of three tables at once, from catalog and samples.

python -m feedrank.extraction.check.findings      (or: make check-source)

No value of a profile or text is read; of a feed, only unknown actions and targets are named.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from feedrank.errors import SchemaError, SourceError, command
from feedrank.extraction.check.feed_sample import FeedSample
from feedrank.extraction.check.profile_sample import profile_of_sample
from feedrank.extraction.environment import Database
from feedrank.extraction.postgres.catalog import Relation, describe, is_unique
from feedrank.extraction.postgres.connection import Source, Transaction, quoted
from feedrank.extraction.postgres.driver_errors import ConnectionLost
from feedrank.extraction.postgres.feed_query import ID_WORDS, IDS, NUMBERS, TIMES, id_key
from feedrank.extraction.relations import describe_feed
from feedrank.extraction.tables.users_posts import embedding_form, hidden_form
from feedrank.log.embeddings import embedding_column
from feedrank.params import Params, load_params

LONGEST = 30  # seconds of one statement: a look that takes longer is no look
# Rows a second from database to artifact, and what every build takes, on two cores:
# docs/benchmarks.md, 77 million rows in 160 s.
ROWS_A_SECOND, LEAST_SECONDS = 500_000, 30
BYTES_A_ROW = 10  # of log and feature store together
Level = Literal["problem", "warning", "fact"]
Look = Callable[[Transaction, Params], "list[Finding]"]


@dataclass(frozen=True)
class Finding:
    """One sentence, with its remedy; only a problem stops a build."""

    level: Level
    words: str


def check_source(source: Source, params: Params) -> list[Finding]:
    """Everything that is found, whatever else is wrong; raises `SourceError` out of reach."""
    with source.transaction():
        pass
    looks: tuple[Look, ...] = (_look_at_users, _look_at_posts, _look_at_feed)
    return [finding for look in looks for finding in _found(source, params, look)]


@contextmanager
def all_problems_at_once(source: Source, params: Params) -> Iterator[None]:
    """Turn the first `SchemaError` into one that names every other problem too."""
    try:
        yield
    except SchemaError as error:
        others = [f.words for f in check_source(source, params) if f.level == "problem"]
        words = [str(error), *(w for w in others if w not in str(error))]
        raise SchemaError("\n".join(words)) from None


def _found(source: Source, params: Params, look: Look) -> list[Finding]:
    try:
        with source.transaction() as transaction:
            transaction.rows(f"SET LOCAL statement_timeout TO '{LONGEST}s'")
            return look(transaction, params)
    except ConnectionLost:
        raise
    except (SchemaError, SourceError) as error:
        is_slow = "statement timeout" in str(error)
        words = f"a look took more than {LONGEST} s and was given up: {error}"
        return [Finding("warning", words) if is_slow else Finding("problem", str(error))]


def _look_at_users(transaction: Transaction, params: Params) -> list[Finding]:
    source = params.source
    users = describe(transaction, source.schema, source.users)
    columns, left_out = profile_of_sample(transaction, users, params)
    used = ", ".join(f"'{c}'" for c in columns)
    about = [Finding("fact", f"profile columns: {used or 'none'}.")]
    if left_out:
        names = ", ".join(f"'{c}' ({why})" for c, why in left_out.items())
        about.append(Finding("fact", f"columns left out: {names}. 'source.profile' chooses."))
    return [*_ids(transaction, users, source.user_id), *about]


def _look_at_posts(transaction: Transaction, params: Params) -> list[Finding]:
    source = params.source
    posts = describe(transaction, source.schema, source.posts)
    lacking = [c for c in (source.text, source.topic) if not posts.has(c)]
    words = "table '{}' has no column '{}': its posts are told apart by their likes alone."
    if source.hidden is not None:
        hidden_form(posts, source)
    if (embedding := embedding_column(source.embedding)) is not None:
        embedding_form(posts, embedding)
    return [
        *_ids(transaction, posts, source.post_id),
        *(Finding("warning", words.format(posts.name, c)) for c in lacking),
    ]


def _ids(transaction: Transaction, table: Relation, name: str) -> list[Finding]:
    column = table.column(name, "id")
    id_key(table, column)
    value = quoted(column)
    # To tell ids apart takes a sort, a minute for tens of millions: an index has.
    apart = "" if is_unique(transaction, table, column) else "DISTINCT "
    n, given, different = transaction.rows(
        f"SELECT count(*), count({value}), count({apart}{value}) FROM {table.path}"
    )[0]
    where = f"column '{column}' of '{table.name}'"
    wrong = [
        (n == 0, f"table '{table.name}' is empty. Fill it."),
        (given < n, f"{where} holds NULL in {n - given:,} rows. Name a view without them."),
        (different < given, f"{where} repeats {given - different:,} ids. Keep one row of each."),
    ]
    fact = Finding("fact", f"'{table.name}' is {table.kind} of {n:,} rows.")
    return [fact, *(Finding("problem", words) for holds, words in wrong if holds)]


def _look_at_feed(transaction: Transaction, params: Params) -> list[Finding]:
    source = params.source
    feed = describe_feed(transaction, source)
    wanted = (
        (source.user_id, IDS, ID_WORDS),
        (source.post_id, IDS, ID_WORDS),
        (source.timestamp, TIMES, "moments"),
        (source.action, tuple(feed.columns.values()), "actions"),
    )
    target = (source.target, NUMBERS, "0 and 1")
    problems = []
    for name, types, words in (*wanted, *([] if source.like_window else [target])):
        try:
            feed.typed(name, types, words)
        except SchemaError as error:
            problems.append(Finding("problem", str(error)))
    if problems:
        return problems
    sample = FeedSample.of(transaction, feed, params)
    seconds = LEAST_SECONDS + sample.n_rows / ROWS_A_SECOND
    return [
        Finding("fact", f"'{feed.name}' is {feed.kind}{sample.size}."),
        *(Finding("problem", words) for words in sample.problems()),
        *(Finding("warning", words) for words in sample.warnings()),
        *(Finding("fact", words) for words in sample.facts()),
        Finding(
            "fact",
            f"a build takes about {seconds / 60:.0f} to {seconds / 30 + 1:.0f} minutes on two "
            f"cores, and {1 + sample.n_rows * BYTES_A_ROW // 1_000_000:,} MB in 'data'.",
        ),
    ]


def in_words(findings: list[Finding]) -> str:
    """Findings as text, the problems last, where a terminal shows them."""
    lines = []
    for level in ("fact", "warning", "problem"):
        found = [f.words for f in findings if f.level == level]
        lines += [f"{level}s: {len(found)}", *(f"  - {words}" for words in found)]
    return "\n".join(lines)


@command()
def main() -> int:
    """Print what is found; 1 if there is a problem."""
    data, params = Path("data"), load_params()
    with Database.of_environment(data / "demo", data / "log", params) as database:
        findings = check_source(database.source, params)
    print(in_words(findings))
    return int(any(f.level == "problem" for f in findings))


if __name__ == "__main__":
    sys.exit(main())
