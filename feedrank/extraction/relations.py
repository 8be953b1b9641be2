"""Relations of the source: users, posts, and a feed of impressions and likes."""

from __future__ import annotations

from dataclasses import replace

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.catalog import Relation, describe
from feedrank.extraction.postgres.connection import Transaction, literal, quoted
from feedrank.extraction.postgres.feed_query import ID_WORDS, IDS, any_of, id_family, moment
from feedrank.params import SourceParams
from feedrank.schema import VIEW


def relations(
    transaction: Transaction, source: SourceParams
) -> tuple[Relation, Relation, Relation]:
    """The tables of users, posts and feed.

    Raises:
        SchemaError: one is missing, or the feed's ids are of another kind than a table's.
    """
    users = describe(transaction, source.schema, source.users)
    posts = describe(transaction, source.schema, source.posts)
    feed = describe_feed(transaction, source)
    for table, name in ((users, source.user_id), (posts, source.post_id)):
        _check_ids(table, table.column(name, "id"), feed, feed.column(name))
    return users, posts, feed


def describe_feed(transaction: Transaction, source: SourceParams) -> Relation:
    """The feed; with `source.events`, its views and the likes among the events as one relation.

    A table without the column of actions holds nothing but views, or nothing but likes.

    Raises:
        SchemaError: a table or a column of it is missing, or ids of the two are of two kinds.
    """
    feed = describe(transaction, source.schema, source.feed)
    if source.events is None:
        return feed
    events = describe(transaction, source.schema, source.events)
    for name in (source.user_id, source.post_id):
        _check_ids(feed, feed.column(name), events, events.column(name))
    rows = [_rows(feed, [VIEW], source), _rows(events, source.positive, source)]
    both = describe(transaction, source.schema, " UNION ALL ".join(rows))
    return replace(both, name=f"{feed.name} and {events.name}", kind="a pair of tables")


def _check_ids(one: Relation, own: str, other: Relation, name: str) -> None:
    """Refuse ids of two kinds, of which equal ones would differ as text: a uuid in capitals."""
    kinds = [one.typed(own, IDS, ID_WORDS), other.typed(name, IDS, ID_WORDS)]
    if len(set(map(id_family, kinds))) > 1:
        raise SchemaError(
            f"column '{own}' is {kinds[0]} in '{one.name}' and '{name}' is {kinds[1]} in "
            f"'{other.name}'. Cast one in a view: equal ids must be equal."
        )


def _rows(relation: Relation, actions: list[str], source: SourceParams) -> str:
    """Query of a relation's rows of some actions."""
    user, post = (quoted(relation.column(c)) for c in (source.user_id, source.post_id))
    action, condition = f"{literal(actions[0])}::text", ""
    if relation.has(source.action):
        action = f"{quoted(source.action)}::text"
        condition = f" WHERE {any_of(action, actions)}"
    # Moments on the log's clock: those of two tables may be of two types.
    at = moment(relation, source.timestamp, source.time_zone)
    names = ", ".join(
        f"{value} AS {quoted(name)}"
        for value, name in (
            (user, source.user_id),
            (post, source.post_id),
            (at, source.timestamp),
            (action, source.action),
        )
    )
    return f"SELECT {names} FROM {relation.path}{condition}"
