"""A company's database as it is, of some size: to follow docs/your-data.md by hand and in a test.

python -m tests.extraction.check.company postgresql://user@host/database      (an empty one)
"""

from __future__ import annotations

import sys
from contextlib import closing

import psycopg2

# Uuid ids, two tables of events with times of a zone, deleted users and posts, personal columns,
# moments, arrays, numbers that are none, repeated rows, times of 1970 and 2031, and other kinds
# of rows than are read. Each user likes posts of one category more often than others.
COMPANY = """
SELECT setseed(0.5);
CREATE TABLE users (id uuid PRIMARY KEY, email text, phone text, full_name text, country text,
  birth_year int, plan text, score float8, interests text[], registered_at timestamptz,
  last_login timestamptz, settings jsonb, deleted_at timestamptz);
INSERT INTO users SELECT md5('user' || g)::uuid, 'person' || g || '@example.org', '+49 ' || g,
  'Person ' || g, (ARRAY['de', 'fr', 'pl', 'es'])[1 + g % 4], nullif(1950 + g % 55, 1950),
  CASE g % 10 WHEN 0 THEN 'pro' WHEN 1 THEN NULL ELSE 'free' END,
  CASE g % 50 WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' ELSE (g % 97)::float8 END,
  CASE WHEN g % 5 > 0 THEN ARRAY['interest ' || g % 4, 'interest ' || g % 3] END,
  timestamptz '2025-01-01 00:00Z' - g % 1000 * interval '1 day 3 minutes',
  timestamptz '2025-02-09 20:00Z', '{"dark": true}', CASE WHEN g % 40 = 7 THEN now() END
  FROM generate_series(1, {users}) g;
CREATE TABLE posts (id uuid PRIMARY KEY, author_id uuid, title text, body text, category text,
  published_at timestamptz, deleted_at timestamptz);
INSERT INTO posts SELECT md5('post' || g)::uuid, md5('user' || g % 50)::uuid, 'Title ' || g,
  'words on ' || (ARRAY['news', 'sport', 'music', 'food'])[1 + g % 4] || ' ' || g % 17,
  (ARRAY['news', 'sport', 'music', 'food'])[1 + g % 4], '2025-01-01',
  CASE WHEN g % 30 = 3 THEN now() END
  FROM generate_series(1, {posts}) g;
CREATE TABLE drawn AS SELECT g, 1 + (random() * ({users} - 1))::int AS u,
  1 + (random() * ({posts} - 1))::int AS p, random() AS r,
  timestamptz '2025-01-01 00:00Z' + random() * interval '40 days' AS at
  FROM generate_series(1, {impressions}) g;
CREATE TABLE impressions AS SELECT md5('user' || u)::uuid AS user_id,
  md5('post' || p)::uuid AS post_id, at AS shown_at, 'app' AS client FROM drawn
  UNION ALL SELECT md5('user' || u)::uuid, md5('post' || p)::uuid, at, 'app' FROM drawn
    WHERE g % 100 = 0
  UNION ALL SELECT md5('user' || u)::uuid, md5('post' || p)::uuid,
    CASE g % 2 WHEN 0 THEN timestamptz '1970-01-01' ELSE '2031-01-01' END, 'app'
    FROM drawn WHERE g <= 20;
CREATE TABLE clicks AS SELECT md5('user' || u)::uuid AS user_id, md5('post' || p)::uuid AS post_id,
  at + r * interval '50 minutes' AS clicked_at FROM drawn
  WHERE r < CASE WHEN u % 4 = p % 4 THEN 0.3 ELSE 0.08 END;
DROP TABLE drawn;
"""


def company(users: int = 2000, posts: int = 400, impressions: int = 150_000) -> str:
    """Statements that fill an empty database."""
    sizes = {"users": users, "posts": posts, "impressions": impressions}
    text = COMPANY
    for name, n in sizes.items():
        text = text.replace(f"{{{name}}}", str(n))
    return text


if __name__ == "__main__":
    with closing(psycopg2.connect(sys.argv[1])) as connection:
        connection.cursor().execute(company())
        connection.commit()
