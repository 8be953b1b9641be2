"""Catalog of the database: kind, size and column types of a table."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from feedrank.errors import SchemaError
from feedrank.extraction.postgres.connection import Transaction, literal, quoted

TABLE = "a table"  # whose rows can be read by ranges of blocks
KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "p": "partitioned"}
NAME_LENGTH = 40  # of a query in messages
RANGE_SCAN_SINCE = 140_000  # PostgreSQL 14: the first with TID range scans


@dataclass(frozen=True)
class Relation:
    """A table, view or anything else that rows are selected from.

    Attributes:
        oid: its number.
        name: as in the database.
        path: quoted, with its schema.
        kind: such as 'a table' or 'a view'.
        columns: type of each column that the role may read, in the table's order; 'enum' for any
            enumeration.
        blocks: of its file; 0 where it has none of its own.
        file: number of its file, which changes whenever the table is rewritten; 0 for none.
        has_blocks: its rows can be read by ranges of blocks.
        is_counted: whatever changes the rows that the role sees is a write that the server counts.
        closed: columns that the role may not read.
    """

    oid: int
    name: str
    path: str
    kind: str
    columns: dict[str, str]
    blocks: int
    file: int
    has_blocks: bool
    is_counted: bool
    closed: list[str] = field(default_factory=list)

    @property
    def is_stored(self) -> bool:
        """Whether it has a file of its own."""
        return self.file > 0

    def has(self, name: str) -> bool:
        """Whether there is a column; raises `SchemaError` if the role may not read it."""
        if name in self.closed:
            raise SchemaError(
                f"the role of FEED_DSN may not read column '{name}' of '{self.name}'. "
                f"GRANT SELECT ({quoted(name)}) ON {self.path} to it."
            )
        return name in self.columns

    def column(self, name: str, *others: str) -> str:
        """The first of some names that the table has; raises `SchemaError` if it has none."""
        for candidate in (name, *others):
            if self.has(candidate):
                return candidate
        also = "".join(f" (or '{o}')" for o in others if o != name)
        found = ", ".join(f"'{c}'" for c in self.columns)
        raise SchemaError(
            f"table '{self.name}' has no column '{name}'{also}, only {found}. "
            "Group 'source' of params.yaml says how columns are called."
        )

    def typed(self, name: str, types: tuple[str, ...], what: str) -> str:
        """A column's type; raises `SchemaError` unless it is one of `types`, named by `what`."""
        found = self.columns[self.column(name)]
        if found not in types:
            raise SchemaError(
                f"column '{name}' of '{self.name}' must hold {what}, but is of type {found}. "
                "Cast it in a view, and name the view in group 'source' of params.yaml."
            )
        return found


def describe(transaction: Transaction, schema: str, name: str) -> Relation:
    """A table of a schema, or a query; raises `SchemaError` if there is no such table."""
    if is_query(name):
        return _describe_query(transaction, name)
    found = transaction.rows(
        f"""SELECT c.oid, c.relkind::text, coalesce(a.amname, ''), c.relhassubclass,
              c.relrowsecurity,
              CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) ELSE 0 END
                / current_setting('block_size')::int,
              coalesce(pg_relation_filenode(c.oid), 0),
              current_setting('server_version_num')::int, has_table_privilege(c.oid, 'SELECT')
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              LEFT JOIN pg_am a ON a.oid = c.relam
            WHERE n.nspname = {literal(schema)} AND c.relname = {literal(name)}
              AND c.relkind IN ('r', 'v', 'm', 'f', 'p')"""
    )
    if not found:
        raise _no_table(transaction, schema, name)
    oid, kind, method, has_children, has_policies, blocks, file, version, is_whole = found[0]
    named = _kind(kind, method, has_children, version, is_whole)
    columns, closed = _columns(transaction, oid)
    return Relation(
        oid=int(oid),
        name=name,
        path=f"{quoted(schema)}.{quoted(name)}",
        kind=named,
        columns=columns,
        blocks=int(blocks),
        file=int(file),
        has_blocks=named == TABLE,
        # Rows of children are written to them; policies may read other tables.
        is_counted=file > 0 and not has_children and not has_policies,
        closed=closed,
    )


def is_unique(transaction: Transaction, relation: Relation, column: str) -> bool:
    """Whether an index of a table keeps the values of a column apart."""
    return bool(
        transaction.rows(
            f"""SELECT 1 FROM pg_index i JOIN pg_attribute a
                  ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                WHERE i.indrelid = {relation.oid} AND a.attname = {literal(column)}
                  AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL"""
        )
    )


def is_query(name: str) -> bool:
    """Whether a name of `params.yaml` is a query in place of a table."""
    return re.match(r"\s*(select|with)\s", name, re.IGNORECASE) is not None


def _describe_query(transaction: Transaction, query: str) -> Relation:
    # On lines of its own: the query may end with a comment.
    path = f"(\n{query.rstrip().rstrip(';')}\n) AS query"
    columns = transaction.columns(f"SELECT * FROM {path} LIMIT 0")
    types = dict(
        transaction.rows(
            "SELECT oid, CASE WHEN typtype = 'e' THEN 'enum' ELSE typname END FROM pg_type"
        )
    )
    name = " ".join(query.split())
    return Relation(
        oid=0,
        name=name if len(name) <= NAME_LENGTH else f"{name[:NAME_LENGTH]}...",
        path=path,
        kind="a query",
        columns={column: types[number] for column, number in columns},
        blocks=0,
        file=0,
        has_blocks=False,
        is_counted=False,
    )


def _kind(kind: str, method: str, has_children: bool, version: int, is_whole: bool) -> str:
    if kind in KINDS:
        return KINDS[kind]
    if has_children:
        return "a table with children"
    if method != "heap":
        return f"a table stored by '{method}'"
    if version < RANGE_SCAN_SINCE:
        return f"a table of a PostgreSQL before {RANGE_SCAN_SINCE // 10_000}"
    # Addresses of rows (ctid) are a system column, which grants on columns cannot name.
    return TABLE if is_whole else "a table with grants on columns alone"


def _columns(transaction: Transaction, oid: int) -> tuple[dict[str, str], list[str]]:
    """Types of the columns that the role may read, and names of the others; of none, of all."""
    found = transaction.rows(
        # A domain is over a type, or over another domain.
        f"""WITH RECURSIVE types AS (
              SELECT attnum, atttypid AS type FROM pg_attribute
                WHERE attrelid = {int(oid)} AND attnum > 0 AND NOT attisdropped
              UNION ALL
              SELECT attnum, typbasetype FROM types JOIN pg_type t ON t.oid = type
                WHERE typtype = 'd')
            SELECT a.attname, CASE WHEN t.typtype = 'e' THEN 'enum' ELSE t.typname END,
              has_column_privilege(a.attrelid, a.attnum, 'SELECT')
            FROM types JOIN pg_type t ON t.oid = type
              JOIN pg_attribute a ON a.attrelid = {int(oid)} AND a.attnum = types.attnum
            WHERE t.typtype <> 'd' ORDER BY a.attnum"""
    )
    # Where none is granted, the server's refusal names the table.
    none = not any(is_open for _, _, is_open in found)
    may_read = {name: kind for name, kind, is_open in found if is_open or none}
    return may_read, [name for name, _, _ in found if name not in may_read]


def _no_table(transaction: Transaction, schema: str, name: str) -> SchemaError:
    tables = transaction.rows(
        f"""SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = {literal(schema)} AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
            ORDER BY c.relname LIMIT 20"""
    )
    found = ", ".join(f"'{t}'" for (t,) in tables) or "none"
    return SchemaError(
        f"schema '{schema}' of the database has no table '{name}'; it has {found}. "
        "Group 'source' of params.yaml says how schema and tables are called."
    )
