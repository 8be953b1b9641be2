"""Kinds of simulated networks by name: effects on liking, the shape of the feed, lives of posts.

Numbers without another source were chosen so that simple methods stand to each other as on public
logs of that kind (docs/validation.md, *Kinds of networks*).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from feedrank.demo.lives import LifeSpan
from feedrank.demo.truth import Effects

# Sessions, views and gaps of `Feed` are those of the reference installation (public notebooks of
# the course).


@dataclass(frozen=True)
class Feed:
    """Shape of the feed.

    Attributes:
        sessions_a_day: mean over users; each has at most one a day.
        views: fewest and most posts that a session draws.
        gap: shortest and longest seconds from one view to the next; 0: a list at one moment.
        again: share of a session's places that show a post of the user's previous session.
        clicked_only: whether sessions without a like are missing in the log.
    """

    sessions_a_day: float = 14.5 / 90
    views: tuple[int, int] = (20, 38)
    gap: tuple[int, int] = (10, 179)
    again: float = 0.0
    clicked_only: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of network.

    Attributes:
        effects: on liking. Where posts age, the base rate is that of a list's first post: a list
            holds no post twice, so that the hottest make up less of it.
        feed: its shape.
        life: of posts; None: posts do not age.
        step: value of `features.step` that suits it.
        is_pictures: whether posts are pictures, with embeddings in place of words.
    """

    effects: Effects
    feed: Feed = Feed()
    life: LifeSpan | None = None
    step: str = "1d"
    is_pictures: bool = False


# Profiles say little, users have strong tastes of their own.
INTERESTS = Effects(age_clusters=0.25, taste=0.5, factors=0.3, quality=0.1)
# Hardly any clusters: tastes lie in a few latent factors, and posts are of unequal quality.
FILMS = Effects(
    age_clusters=0.3, gender_clusters=0.15, taste=0.2, factors=0.8, quality=0.4, like_rate=0.4
)
# Freshness and the quality of a post matter more than tastes; posts live for hours.
NEWS = Kind(
    Effects(base_rate=0.07, drift=0.0, age_clusters=0.2, taste=0.2, factors=0.1, quality=0.6,
            like_rate=0.4),
    Feed(sessions_a_day=0.5, views=(5, 40), gap=(0, 0)),
    LifeSpan(hours=8.0, spread=0.5, depth=4.0, pull=1.0, promotion=1.5, is_published=True),
    "1h",
)  # fmt: skip
# Every post has its day; the same few are shown again and again, and profiles say little.
VIDEO = Kind(
    Effects(base_rate=0.08, drift=0.0, age_clusters=0.1, taste=0.15, quality=0.15, like_rate=0.4),
    Feed(sessions_a_day=0.6, views=(10, 40), gap=(5, 60), again=0.15),
    LifeSpan(hours=20.0, spread=0.5, depth=5.0, pull=0.25, promotion=1.0, is_published=False),
    "6h",
)
# Tastes decide, words say nothing, and a post lives for a day or two: embeddings have to tell.
PICTURES = Kind(
    replace(INTERESTS, base_rate=0.08, factors=0.5, like_rate=0.4),
    Feed(sessions_a_day=0.6, views=(10, 40), gap=(5, 60)),
    LifeSpan(hours=20.0, spread=0.5, depth=4.0, pull=0.5, promotion=0.5, is_published=True),
    "6h",
    is_pictures=True,
)
KINDS = {
    "course": Kind(Effects()),
    "interests": Kind(INTERESTS),
    "films": Kind(FILMS),
    "news": NEWS,
    "news_clicked": replace(NEWS, feed=replace(NEWS.feed, clicked_only=True)),
    "video": VIDEO,
    "pictures": PICTURES,
}
