"""Base: what the served artifacts know, to which the delta log adds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from feedrank.errors import blaming
from feedrank.log.metadata import NEVER
from feedrank.state.catalogue import Catalogue, Id, plain_ids
from service.live.retention import end_of


@dataclass(frozen=True)
class Base:
    """What all served artifacts hold.

    Attributes:
        directories: of the artifacts.
        since: the first second that one of them does not hold, on the log's clock.
        users: ids that all of them know.
        posts: ids that all of them know.
        all_posts: ids that any of them knows.
        hidden: ids of the posts that any of them hides.
    """

    directories: tuple[Path, ...]
    since: datetime
    users: set[Id]
    posts: set[Id]
    all_posts: set[Id]
    hidden: set[Id]

    @classmethod
    def of(cls, directories: tuple[Path, ...]) -> Base:
        """What the artifacts of some directories hold; raises `ArtifactError` for a damaged one."""
        catalogues, ends = [], []
        for directory in directories:
            with blaming(directory):
                ends.append(end_of(directory))
                catalogues.append(Catalogue.load(directory))
        users = [set(plain_ids(c.user_ids)) for c in catalogues]
        posts = [set(plain_ids(c.post_ids)) for c in catalogues]
        hidden = [plain_ids(c.post_ids[: len(c.hidden_from)][c.hidden_from < NEVER])
                  for c in catalogues]  # fmt: skip
        return cls(
            directories,
            min(ends),
            set.intersection(*users),
            set.intersection(*posts),
            set.union(*posts),
            set().union(*hidden),
        )
