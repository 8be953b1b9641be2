"""Profile columns that an extract will use, as far as samples of users and feed tell."""

from __future__ import annotations

from feedrank.errors import SchemaError
from feedrank.extraction.audit.moments import WHY_LATE, is_late
from feedrank.extraction.check.sample_query import SampleQuery
from feedrank.extraction.postgres.catalog import Relation
from feedrank.extraction.postgres.connection import Transaction, literal, quoted
from feedrank.extraction.postgres.feed_query import TIMES, id_key, moment
from feedrank.extraction.relations import describe_feed
from feedrank.extraction.tables.profile_choice import (
    NEARLY_UNIQUE,
    ProfileChoice,
    is_nearly_unique,
    long_form,
)
from feedrank.params import Params
from feedrank.schema import VIEW

USERS = 100_000  # whose text is told apart: a second for ten columns
# By user: first impression of the sample, which may be later than the first one of all.
FIRST = "SELECT u, min(at)::date AS day FROM ({rows}) AS s WHERE a = {view} GROUP BY u"


def profile_of_sample(
    transaction: Transaction, users: Relation, params: Params
) -> tuple[list[str], dict[str, str]]:
    """Columns that are used, and why each other one is not, by the extract's own rules.

    The server counts; no value of a profile is read.
    """
    choice = ProfileChoice.of(users, params.source)
    left_out = choice.left_out | dict.fromkeys(
        _nearly_unique(transaction, users, choice), NEARLY_UNIQUE
    )
    moments = [c for c in choice.columns if users.columns[c] in TIMES]
    if moments and not choice.is_named:
        left_out |= dict.fromkeys(_late(transaction, users, moments, params), WHY_LATE)
    return [c for c in choice.columns if c not in left_out], left_out


def _nearly_unique(transaction: Transaction, users: Relation, choice: ProfileChoice) -> list[str]:
    forms = {c: f"{quoted(c)}::text" for c in choice.judged}
    forms |= {c: long_form(quoted(c)) for c in choice.judged_if_long}
    if not forms:
        return []
    counts = ", ".join(f"count({quoted(c)}), count(DISTINCT {f})" for c, f in forms.items())
    first = f"SELECT {', '.join(map(quoted, forms))} FROM {users.path} LIMIT {USERS}"
    found = transaction.rows(f"SELECT {counts} FROM ({first}) AS first")[0]
    pairs = zip(forms, found[::2], found[1::2], strict=True)
    return [c for c, given, different in pairs if is_nearly_unique(given, different)]


def _late(
    transaction: Transaction, users: Relation, moments: list[str], params: Params
) -> list[str]:
    source = params.source
    try:
        rows = SampleQuery.of(transaction, describe_feed(transaction, source), params).rows
    except SchemaError:
        return []  # the look at the feed says it
    days = [f"({moment(users, c, source.time_zone)})::date" for c in moments]
    counts = ", ".join(f"count(*) FILTER (WHERE {day} > first.day), count({day})" for day in days)
    found = transaction.rows(
        f"SELECT {counts} FROM {users.path} JOIN "
        f"({FIRST.format(rows=rows, view=literal(VIEW))}) AS first "
        f"ON {id_key(users, source.user_id, 'id')} = first.u"
    )[0]
    pairs = zip(moments, found[::2], found[1::2], strict=True)
    return [c for c, later, given in pairs if is_late(later, given)]
