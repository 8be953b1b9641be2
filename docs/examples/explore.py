"""An artifact in pictures: who likes what, posts in two dimensions, a user's feed over time.

    python docs/examples/explore.py [user id]        # after `make demo`; writes data/explore.html

Each `# %%` begins a cell for editors that run scripts as notebooks.
"""

# %%
import sys
from html import escape
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

import feedrank
from feedrank.report.drawing import svg
from feedrank.report.theme import LIGHT

TABLE = alt.NamedData("table")
MOST_POSTS = 1_500  # points of a picture

feed = feedrank.load("models/artifact")
store = feed.artifact.store
state = store.states.as_of(store.shared.n_steps)  # what is known at the end of the log
posts = feed.posts

# %% Who likes what: like rate of each segment of users in each cluster of posts.
axis, labels = "users", {0: "all users"}
if store.fitted.segment_column >= 0:  # -1 where no column is found
    column = store.columns[store.fitted.segment_column]
    axis, labels = column.name, {code: column.label(code) for code in range(column.n_codes)}
liked = pd.DataFrame(state.cluster_rate).stack().rename("rate").reset_index()
liked.columns = ["segment", "cluster", "rate"]
liked["segment"] = liked["segment"].map(labels)
who_likes_what = (
    alt.Chart(TABLE)
    .mark_rect()
    .encode(
        x=alt.X("cluster:O", title="cluster of posts", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("segment:N", title=axis, sort=list(labels.values())),
        color=alt.Color("rate:Q", title="like rate", scale=alt.Scale(scheme="teals")),
    )
)

# %% Posts in two dimensions: who likes a post (the main direction in which segments differ), and
# how well liked it is by all.
some = np.arange(0, len(posts), -(-len(posts) // MOST_POSTS))
contrast = state.post_logit[:, some].astype(float)
contrast -= contrast.mean(0)
_, _, directions = np.linalg.svd(contrast, full_matrices=False)
places = pd.DataFrame(
    {"who": directions[0], "quality": state.quality[some], "topic": posts["topic"].to_numpy()[some]}
)
in_two_dimensions = (
    alt.Chart(TABLE)
    .mark_circle(size=14, opacity=0.7)
    .encode(
        x=alt.X("who:Q", title="who likes it", axis=alt.Axis(labels=False)),
        y=alt.Y("quality:Q", title="quality, log"),
        color=alt.Color("topic:N", title=None),
    )
    .properties(height=260)
)

# %% One user's feed over time: the list at twelve moments, by topic.
user = feed.users.index[0]
if sys.argv[1:]:
    user = type(user)(sys.argv[1])
origin, end = store.meta.origin_at, feed.artifact.as_of
moments = [origin + (end - origin) * i / 12 for i in range(1, 13)]
lists = pd.concat([feed.recommend(user, at).assign(at=at.isoformat()) for at in moments])
over_time = (
    alt.Chart(TABLE)
    .mark_circle(size=90, opacity=1)
    .encode(
        x=alt.X("at:T", title=None),
        y=alt.Y("place:O", title="place"),
        color=alt.Color("topic:N", title=None),
    )
)

# %% All three on one page, without a script or another host.
profile = ", ".join(f"{name} {value}" for name, value in feed.users.loc[user].items())
why = feed.explain(user).groupby("post_id", sort=False).head(2)
why = why[["post_id", "effect", "words"]]
style = "".join(f"--{name}:{colour};" for name, colour in LIGHT.items())
parts = [
    "<h1>An artifact in pictures</h1>",
    f"<h2>Who likes what</h2>{svg(who_likes_what, liked)}",
    f"<h2>Posts in two dimensions</h2>{svg(in_two_dimensions, places)}",
    f"<h2>The feed of user {escape(str(user))} ({escape(profile)})</h2>{svg(over_time, lists)}",
    f"<h2>Why these five, at the end</h2>{why.to_html(index=False)}",
    f"<h2>What the user was shown last</h2>{feed.history(user).tail(8).to_html(index=False)}",
]
page = Path("data/explore.html")
page.write_text(
    f"<!doctype html><meta charset=utf-8><title>feedrank</title><style>:root{{{style}}}"
    "body{max-width:720px;margin:2em auto;font:15px/1.5 sans-serif;color:var(--ink);"
    "background:var(--paper)}svg{width:100%;height:auto}td,th{padding:2px 10px;text-align:left}"
    f"</style>{''.join(parts)}"
)
print(f"see {page}")
