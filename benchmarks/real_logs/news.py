"""News logs of lists and clicks: EB-NeRD (Parquet) and MIND (tab-separated)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.real_logs.tables import Tables, feed_of_lists, files, joined
from feedrank.schema import POST_ID, TEXT, TOPIC, USER_ID

EBNERD_PROFILE = ["is_sso_user", "gender", "postcode", "age", "is_subscriber"]
EBNERD_LISTS = ("topics", "ner_clusters")
MIND_NEWS = [POST_ID, TOPIC, "subcategory", "title", "abstract"]


def ebnerd(folder: Path) -> Tables:
    """Ekstra Bladet's log: `behaviors.parquet` of all splits, `articles.parquet`.

    Lists of the test split have no clicks and are left out.
    """
    columns = [USER_ID, "impression_time", "article_ids_inview", "article_ids_clicked"]
    parts = [pd.read_parquet(f) for f in files(folder, "behaviors.parquet")]
    lists = joined(part for part in parts if "article_ids_clicked" in part)
    time, shown, clicked = (lists[c] for c in columns[1:])
    feed = pd.DataFrame({"timestamp": time, USER_ID: lists[USER_ID], POST_ID: shown})
    feed["target"] = [np.isin(s, c) for s, c in zip(shown, clicked, strict=True)]
    users = lists[[USER_ID, *EBNERD_PROFILE]].convert_dtypes()
    articles = joined((pd.read_parquet(f) for f in files(folder, "articles.parquet")), "article_id")
    posts = pd.DataFrame({POST_ID: articles["article_id"], TOPIC: articles["category_str"]})
    posts[TEXT] = articles["title"].str.cat(articles["subtitle"], sep=" ", na_rep="")
    for name in [n for n in EBNERD_LISTS if n in articles]:  # of people, places and themes
        posts[TEXT] += " " + articles[name].map(
            lambda words: "" if words is None else " ".join(words)
        )
    return Tables(joined([users], USER_ID), posts, feed_of_lists(feed))


def mind(folder: Path) -> Tables:
    """Microsoft News: `behaviors.tsv` and `news.tsv` of all splits; it has no profiles."""
    names = ["list", USER_ID, "timestamp", "history", "shown"]
    tsv = {"sep": "\t", "header": None, "quoting": 3, "dtype": str}
    lists = joined(pd.read_csv(f, names=names, **tsv) for f in files(folder, "behaviors.tsv"))
    lists["timestamp"] = pd.to_datetime(lists["timestamp"], format="%m/%d/%Y %I:%M:%S %p")
    pairs = lists["shown"].str.findall(r"(\S+)-([01])")
    lists = lists[pairs.str.len() > 0]  # the test split has no clicks
    pairs = pairs[lists.index]
    lists[POST_ID] = [[post for post, _ in shown] for shown in pairs]
    lists["target"] = [[clicked for _, clicked in shown] for shown in pairs]
    columns = {"names": MIND_NEWS, "usecols": range(len(MIND_NEWS))}
    news = joined((pd.read_csv(f, **columns, **tsv) for f in files(folder, "news.tsv")), POST_ID)
    news[TEXT] = news["title"].str.cat(news[["abstract", "subcategory"]], sep=" ", na_rep="")
    feed = feed_of_lists(lists[["timestamp", USER_ID, POST_ID, "target"]])
    return Tables(feed[[USER_ID]].drop_duplicates(), news[[POST_ID, TEXT, TOPIC]], feed)
