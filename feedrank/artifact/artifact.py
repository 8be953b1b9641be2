"""The artifact: one directory of plain files that answers requests, or is refused with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedrank.artifact.golden import read_golden, replay
from feedrank.artifact.manifest import GOLDEN, RANKER, _check_files, _export_params, _manifest
from feedrank.errors import ArtifactError
from feedrank.ranking.ranker import Ranker
from feedrank.ranking.recommender import Recommender
from feedrank.state.feature_store import FeatureStore


@dataclass(frozen=True)
class Artifact:
    """A loaded and checked artifact.

    Attributes:
        directory: where it lies.
        manifest: format, as-of, features, versions, metrics, sha256 of every file.
        store: what was learned from the log.
        recommender: the scoring path.
    """

    directory: Path
    manifest: dict[str, Any]
    store: FeatureStore
    recommender: Recommender

    @classmethod
    def load(cls, directory: Path) -> Artifact:
        """Open an artifact, compare every file with its sha256 and replay the golden requests.

        Raises:
            ArtifactError: a file is missing or differs, the format or features are others, or an
                answer is not the stored one.
        """
        manifest = _manifest(directory)
        _check_files(directory, manifest)
        store = FeatureStore.load(directory)
        ranker = Ranker.load(directory / RANKER)
        params = _export_params(directory, manifest)
        recommender = Recommender(store, ranker, params.candidates, params.exclude)
        expected = [f.name for f in recommender.features]
        for found in (manifest["features"], ranker.feature_names):
            if found != expected:
                raise ArtifactError(
                    f"'{directory}' was made for the features {found}, this code computes "
                    f"{expected}, in this order. Export again with this code."
                )
        artifact = cls(directory, manifest, store, recommender)
        artifact.replay_golden()
        return artifact

    @property
    def golden(self) -> list[dict[str, Any]]:
        """The stored requests with their answers."""
        return read_golden(self.directory / GOLDEN)

    def replay_golden(self) -> None:
        """Answer the stored requests again; raises `ArtifactError` at the first difference."""
        replay(self.recommender, self.golden, str(self.directory))
