"""KuaiRand, a log of short videos, in its versions Pure and 1K: a like is `is_like`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.real_logs.tables import Tables, files, joined
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID

PROFILE = ["user_active_degree", "is_live_streamer", "is_video_author", "follow_user_num_range",
           "fans_user_num_range", "friend_user_num_range", "register_days_range"]  # fmt: skip


def kuairand(folder: Path) -> Tables:
    """The standard log, features of users, and videos with the first of their tags as topic.

    Encrypted features (`onehot_feat...`) are left out. Videos have no text but the numbers of their
    author and tags.
    """
    columns = {"time_ms": "timestamp", USER_ID: USER_ID, "video_id": POST_ID, "is_like": "target"}
    parts = (pd.read_csv(f, usecols=list(columns)) for f in files(folder, "log_standard_*.csv"))
    feed = joined(parts).rename(columns=columns)
    feed["timestamp"] = pd.to_datetime(feed["timestamp"], unit="ms")
    users = joined(pd.read_csv(f) for f in files(folder, "user_features_*.csv"))
    videos = joined(
        pd.read_csv(f, usecols=["video_id", "author_id", "tag"], dtype=str)
        for f in files(folder, "video_features_basic_*.csv")
    )
    posts = pd.DataFrame({POST_ID: videos["video_id"].astype("int64")})
    tags = videos["tag"].fillna("").str.split(",")
    posts[TOPIC] = "tag " + videos["tag"].str.split(",").str[0]
    posts[TEXT] = [
        " ".join([f"author{author}", *(f"tag{tag}" for tag in own if tag)])
        for author, own in zip(videos["author_id"], tags, strict=True)
    ]
    return Tables(users[[USER_ID, *PROFILE]], posts, feed)
