"""Schema of the three tables: names of columns, and what stands in them."""

from __future__ import annotations

USER_ID = "user_id"
POST_ID = "post_id"
KEY = "_key"  # ends the name of the column with the keys of ids that are text
USER_KEY = USER_ID + KEY
TEXT = "text"
TOPIC = "topic"
HIDDEN = "hidden_from"
NO_ID = -(2**63)  # stands for NULL where ids are int64
WIDEST_ID = 255  # bytes: all ids of a table are held at the width of the longest
VIEW, LIKE = "view", "like"
UNKNOWN_TOPIC = "unknown"
