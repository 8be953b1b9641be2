"""Recipes of docs/your-data.md, on the database of a company, as they stand there."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from feedrank.extraction.check.findings import check_source
from feedrank.extraction.postgres.connection import Source
from feedrank.learning.fit import hidden_posts
from feedrank.log.files import Log
from feedrank.log.metadata import NEVER
from tests.conftest import ROOT, TestDatabase
from tests.support.postgres_tables import DEFAULTS, extraction, impressions, source_params

PAGE = (ROOT / "docs" / "your-data.md").read_text()
BLOCKS = dict(re.findall(r"\n## ([^\n]+)\n.*?```sql\n(.*?)```", PAGE, re.DOTALL))
(COMMON,) = re.findall(r"```sql\n(CREATE SCHEMA.*?)```", PAGE, re.DOTALL)
FIRST, *PARTS = re.split(r"\n## ", PAGE)


def _names(text: str) -> dict[str, object]:
    """Parameters of the first block that names the group."""
    block = re.search(r"```yaml\nsource:\n(.*?)```", text, re.DOTALL)
    return {} if block is None else yaml.safe_load(block[1])


NAMES = {part.split("\n")[0]: {**_names(FIRST), **_names(part)} for part in PARTS}

# Ann and Bob read posts A and B; Carl and post C are deleted. 12:00Z is 14:00 in Berlin.
COMPANY = """
CREATE TABLE users (id uuid PRIMARY KEY, email text, country text, birth_year int,
  deleted_at timestamptz);
CREATE TABLE posts (id uuid PRIMARY KEY, title text, body text, category text,
  deleted_at timestamptz);
CREATE FUNCTION u(name text) RETURNS uuid LANGUAGE sql IMMUTABLE AS 'SELECT md5(name)::uuid';
INSERT INTO users VALUES (u('ann'), 'ann@example.org', 'de', 1990, NULL),
  (u('bob'), 'b@x', NULL, NULL, NULL), (u('carl'), 'c@x', 'fr', 1980, now());
INSERT INTO posts VALUES (u('A'), 'a', 'text', 'news', NULL), (u('B'), 'b', 'text', NULL, NULL),
  (u('C'), 'c', 'text', 'news', now());
CREATE TABLE events (user_id uuid, post_id uuid, kind text, happened_at timestamptz);
INSERT INTO events SELECT u(a), u(p), kind, timestamptz '2021-10-01 00:00Z' + at::interval FROM
  (VALUES ('ann', 'A', 'impression', '12:00'), ('ann', 'A', 'impression', '12:00'),
    ('ann', 'A', 'like', '12:00:30'), ('ann', 'A', 'like', '12:00:40'),
    ('ann', 'B', 'like', '12:00'), ('ann', 'B', 'impression', '12:01'),
    ('ann', 'B', 'share', '13:01'), ('bob', 'B', 'impression', '13:00'),
    ('bob', 'B', 'like', '13:59:59'), ('bob', 'B', 'report', '13:01'),
    ('bob', 'A', 'impression', '13:02'), ('bob', 'A', 'report', '13:03'),
    ('bob', 'C', 'impression', '13:04'), ('bob', 'C', 'like', '13:05'),
    ('carl', 'A', 'impression', '13:06')) AS rows (a, p, kind, at);
CREATE TABLE impressions AS
  SELECT user_id, post_id, happened_at AS shown_at FROM events WHERE kind = 'impression';
CREATE TABLE clicks AS SELECT user_id, post_id, happened_at AS clicked_at FROM events
  WHERE kind IN ('like', 'share');
CREATE TABLE views AS SELECT i.*, (post_id = u('A') AND user_id = u('ann')
    OR post_id IN (u('B'), u('C')) AND user_id = u('bob')) OR NULL AS liked FROM impressions i;
"""
EXPECTED = [
    ("2021-10-01 14:00:00", "ann", "A", 1),
    ("2021-10-01 14:01:00", "ann", "B", 0),
    ("2021-10-01 15:00:00", "bob", "B", 1),
    ("2021-10-01 15:02:00", "bob", "A", 0),
    ("2021-10-01 15:04:00", "bob", "C", 1),
]


@pytest.mark.parametrize(
    "recipe", ["Three tables", "Impressions and clicks", "One table of events"]
)
def test_a_recipe_leads_to_the_log_as_it_stands(
    database: TestDatabase, tmp_path: Path, recipe: str
) -> None:
    database.execute(COMPANY, COMMON, BLOCKS[recipe])
    source = source_params(**NAMES[recipe])
    findings = check_source(Source(database.url, source), replace(DEFAULTS, source=source))
    assert [f.words for f in findings if f.level != "fact"] == []
    extraction(database.url, tmp_path, source).run()
    ids = "SELECT name, u(name)::text FROM unnest('{ann,bob,A,B,C}'::text[]) name"
    names = {n: name for name, n in database.execute(ids)}
    rows = [
        (at, names[user], names[post], liked) for at, user, post, liked in impressions(tmp_path)
    ]
    assert rows == EXPECTED
    log = Log.open(tmp_path / "log")
    hidden = log.posts["post_id"][hidden_posts(log) < NEVER]
    assert [names[n] for n in hidden] == ["C"]
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert b"ann@example.org" not in written


def test_every_recipe_is_tested() -> None:
    assert list(BLOCKS) == ["Three tables", "Impressions and clicks", "One table of events"]
