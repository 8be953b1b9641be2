"""Manifest: format number, provenance and sha256 of each file of an artifact."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from feedrank.errors import ArtifactError
from feedrank.params import ExportParams

FORMAT = 3
MANIFEST, RANKER, GOLDEN = "manifest.json", "ranker.ubj", "golden.json"


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
