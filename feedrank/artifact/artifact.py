"""The artifact: one directory of plain files that answers requests, or is refused with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from feedrank.artifact.checks.schema import check_schema
from feedrank.artifact.checks.trees import check_trees
from feedrank.artifact.golden import check_golden, replay
from feedrank.artifact.manifest import (
    GOLDEN,
    check_files,
    export_params,
    read_json,
    read_manifest,
    version_of,
)
from feedrank.errors import ArtifactError, blaming
from feedrank.ranking.exploration import Explorer
from feedrank.ranking.rankers.by_name import load_ranker, ranker_file
from feedrank.ranking.rankers.xgboost_ranker import XGBoostRanker
from feedrank.ranking.recommender import Recommender
from feedrank.state.feature_store import FeatureStore


@dataclass(frozen=True)
class Artifact:
    """A loaded and checked artifact.

    Attributes:
        directory: of its files.
        manifest: format, as-of, features, versions, metrics, sha256 of every file.
        store: point-in-time state of users and posts.
        recommender: the scoring path.
        version: of the artifact.
    """

    directory: Path
    manifest: dict[str, Any]
    store: FeatureStore
    recommender: Recommender
    version: str

    @classmethod
    def load(cls, directory: Path) -> Artifact:
        """Open an artifact, check it and replay the golden requests.

        A hostile ranker may end the process in XGBoost; `proof.prove` tries one in a process apart.

        Raises:
            ArtifactError: a file is missing, differs or does not fit the others, format or
                features are not those of this code, or an answer is not the stored one.
        """
        manifest = read_manifest(directory)
        check_files(directory, manifest)
        params = export_params(directory, manifest)
        check_schema(directory, manifest)
        with blaming(directory):
            store = FeatureStore.load(directory)
        with blaming(directory / ranker_file(directory)):
            ranker = load_ranker(directory)
            if isinstance(ranker, XGBoostRanker):
                check_trees(ranker.model)
                ranker.be_ready(params.candidates)
            recommender = Recommender(store, ranker, params.candidates, params.exclude)
        expected = [f.name for f in recommender.features]
        for found in (manifest["features"], ranker.feature_names):
            if found != expected:
                raise ArtifactError(
                    f"'{directory}' was made for {_other_features(found, expected)}. "
                    "Run `dvc repro` with this code."
                )
        artifact = cls(directory, manifest, store, recommender, version_of(directory))
        with blaming(directory / GOLDEN):
            check_golden(artifact.golden, store.meta, params.golden_requests)
            artifact.replay_golden()
        return artifact

    def with_store(self, store: FeatureStore) -> Artifact:
        """The same artifact with a store that follows the network further."""
        return replace(self, store=store, recommender=self.recommender.with_store(store))

    @cached_property
    def explorer(self) -> Explorer:
        """What service and batch rank by: the recommender, and places that explore, if any do."""
        share = float(self.manifest["recommend"]["explore"])
        return Explorer(self.recommender, share, self.version)

    @property
    def answers_unknown(self) -> bool:
        """Whether a user of no known id gets the list of `NOBODY`, and is not refused."""
        return bool(self.manifest["recommend"]["unknown"] == "popular")

    @property
    def like_window(self) -> int | None:
        """Seconds from an impression to its like, where likes are rows of their own; None: any."""
        seconds: int | None = self.manifest.get("like_window")
        return seconds

    @property
    def as_of(self) -> datetime:
        """Time of the last impression, on the log's clock."""
        return self.store.meta.moment(self.store.meta.last_at)

    @property
    def as_of_utc(self) -> datetime:
        """The same in UTC."""
        return self.store.meta.utc(self.as_of)

    @property
    def golden(self) -> list[dict[str, Any]]:
        """The stored requests with their answers."""
        return list(read_json(self.directory / GOLDEN))

    def replay_golden(self) -> None:
        """Answer the stored requests again; raises `ArtifactError` at the first difference."""
        replay(self.recommender, self.golden, str(self.directory))


def _other_features(found: Sequence[str], expected: Sequence[str]) -> str:
    """How the features of an artifact differ from those of this code."""
    sides = ("it alone has", found, expected), ("this code alone has", expected, found)
    own = [(words, [str(n) for n in some if n not in others]) for words, some, others in sides]
    differ = [f"{words} {', '.join(names)}" for words, names in own if names]
    return f"other features: {'; '.join(differ)}" if differ else "features in another order"
