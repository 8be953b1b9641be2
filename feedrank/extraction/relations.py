"""Relations of the source: users, posts, and a feed of impressions and likes."""

from __future__ import annotations

from dataclasses import replace

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.catalog import Relation, describe
from feedrank.extraction.postgres.connection import Transaction, literal, quoted
from feedrank.extraction.postgres.feed_query import ID_WORDS, IDS, WHOLE, any_of, moment
from feedrank.params import SourceParams
from feedrank.schema import VIEW


def relations(
    transaction: Transaction, source: SourceParams
) -> tuple[Relation, Relation, Relation]:
    """The tables of users, posts and feed.

    Raises:
        SchemaError: one is missing, or names whole numbers by text or text by whole numbers.
    """
    users = describe(transaction, source.schema, source.users)
    posts = describe(transaction, source.schema, source.posts)
    feed = describe_feed(transaction, source)
    for table, name in ((users, source.user_id), (posts, source.post_id)):
        of_table, of_feed = table.column(name, "id"), feed.column(name)
        kinds = [table.typed(of_table, IDS, ID_WORDS), feed.typed(of_feed, IDS, ID_WORDS)]
        if len({kind in WHOLE for kind in kinds}) > 1:
            raise SchemaError(
                f"column '{of_table}' is {kinds[0]} in '{table.name}' and '{of_feed}' is "
                f"{kinds[1]} in '{feed.name}'. Cast one in a view: equal ids must be equal."
            )
    return users, posts, feed


def describe_feed(transaction: Transaction, source: SourceParams) -> Relation:
    """The feed; with `source.events`, its views and the likes among the events as one relation.

    A table without the column of actions holds nothing but views, or nothing but likes.

    Raises:
        SchemaError: a table or a column of it is missing.
    """
    feed = describe(transaction, source.schema, source.feed)
    if source.events is None:
        return feed
    events = describe(transaction, source.schema, source.events)
    rows = [_rows(feed, [VIEW], source), _rows(events, source.positive, source)]
    both = describe(transaction, source.schema, " UNION ALL ".join(rows))
    return replace(both, name=f"{feed.name} and {events.name}", kind="a pair of tables")


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
