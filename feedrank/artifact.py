"""The artifact: one directory of plain files that answers requests, or is refused with a reason."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from feedrank.atomic import new_directory
from feedrank.errors import ArtifactError
from feedrank.golden import draw_golden, read_golden, replay
from feedrank.knowledge import Knowledge
from feedrank.params import ExportParams
from feedrank.ranker import Ranker
from feedrank.recommender import Recommender

FORMAT = 2
MANIFEST, RANKER, GOLDEN = "manifest.json", "ranker.ubj", "golden.json"
LIBRARIES = ("numpy", "xgboost")


@dataclass(frozen=True)
class Artifact:
    """A loaded and checked artifact.

    Attributes:
        directory: where it lies.
        manifest: format, as-of, features, versions, metrics, sha256 of every file.
        knowledge: what was learned from the log.
        recommender: the scoring path.
    """

    directory: Path
    manifest: dict[str, Any]
    knowledge: Knowledge
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
        knowledge = Knowledge.load(directory)
        ranker = Ranker.load(directory / RANKER)
        recommender = knowledge.recommender(ranker, _export_params(directory, manifest))
        expected = [f.name for f in recommender.features]
        for found in (manifest["features"], ranker.feature_names):
            if found != expected:
                raise ArtifactError(
                    f"'{directory}' was made for the features {found}, this code computes "
                    f"{expected}, in this order. Export again with this code."
                )
        artifact = cls(directory, manifest, knowledge, recommender)
        artifact.replay_golden()
        return artifact

    @property
    def golden(self) -> list[dict[str, Any]]:
        """The stored requests with their answers."""
        return read_golden(self.directory / GOLDEN)

    def replay_golden(self) -> None:
        """Answer the stored requests again; raises `ArtifactError` at the first difference."""
        replay(self.recommender, self.golden, str(self.directory))


def export(
    directory: Path,
    features: Path,
    ranker: Path,
    params: ExportParams,
    facts: dict[str, Any],
    seed: int,
    k: int,
) -> None:
    """Write an artifact, whole or not at all.

    Args:
        directory: of the artifact; a former one is replaced.
        features: directory of `Knowledge`.
        ranker: file of the ranker.
        params: how it recommends.
        facts: added to the manifest: metrics, parameters' hash, code revision.
        seed: of the golden requests.
        k: length of the golden lists.
    """
    with new_directory(directory) as new:
        shutil.copytree(features, new, dirs_exist_ok=True)
        shutil.copy(ranker, new / RANKER)
        knowledge = Knowledge.load(new)
        recommender = knowledge.recommender(Ranker.load(new / RANKER), params)
        _write_json(new / GOLDEN, draw_golden(recommender, params.golden_requests, seed, k))
        manifest = {
            "format": FORMAT,
            "origin": knowledge.meta.origin,
            "as_of": knowledge.meta.moment(knowledge.meta.last_at).isoformat(),
            "step_seconds": knowledge.encodings.step_seconds,
            "features": [f.name for f in recommender.features],
            "recommend": asdict(params),
            "log": asdict(knowledge.meta),
            "libraries": {name: version(name) for name in LIBRARIES},
            "files": {p.name: _sha256(p) for p in sorted(new.iterdir())},
            **facts,
        }
        _write_json(new / MANIFEST, manifest)


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    if not path.exists():
        raise ArtifactError(
            f"'{directory}' holds no artifact ('{MANIFEST}' is missing). Make one with "
            "`dvc repro`, or fetch one with `dvc pull`."
        )
    try:
        manifest: dict[str, Any] = dict(json.loads(path.read_text()))
    except ValueError as error:
        raise ArtifactError(f"'{path}' is not whole. Copy the whole directory again.") from error
    if manifest.get("format") != FORMAT:
        raise ArtifactError(
            f"'{directory}' is of format {manifest.get('format')}, this code reads {FORMAT}. "
            "Export again with this code, or serve with the code that made it."
        )
    for key in ("features", "files", "recommend"):
        if key not in manifest:
            raise ArtifactError(f"'{path}' is not whole: it lacks '{key}'. Export again.")
    return manifest


def _export_params(directory: Path, manifest: dict[str, Any]) -> ExportParams:
    """How the artifact recommends."""
    known, found = sorted(f.name for f in fields(ExportParams)), sorted(manifest["recommend"])
    if known != found:
        raise ArtifactError(
            f"'{directory}' recommends by {found}, this code by {known}. Export again with this "
            "code, or serve with the code that made it."
        )
    return ExportParams(**manifest["recommend"])


def _check_files(directory: Path, manifest: dict[str, Any]) -> None:
    for name, digest in manifest["files"].items():
        path = directory / name
        if not path.exists():
            raise ArtifactError(f"'{path}' is missing. Copy the whole directory again.")
        if _sha256(path) != digest:
            raise ArtifactError(f"'{path}' is not the file that was exported: its sha256 differs.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
