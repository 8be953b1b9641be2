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
REQUESTS = "requests.parquet"  # hits of every request of validation, for a deployment's gate


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of an artifact; raises `ArtifactError` if this code cannot use it."""
    try:
        manifest: dict[str, Any] = dict(json.loads(_manifest_bytes(directory)))
    except ValueError as error:
        raise ArtifactError(
            f"'{directory / MANIFEST}' is not whole. Copy the whole directory again."
        ) from error
    if manifest.get("format") != FORMAT:
        raise ArtifactError(
            f"'{directory}' is of format {manifest.get('format')}, this code reads {FORMAT}. "
            "Export again with this code, or serve with the code that made it."
        )
    for key in ("features", "files", "recommend"):
        if key not in manifest:
            raise ArtifactError(
                f"'{directory / MANIFEST}' is not whole: it lacks '{key}'. Export again."
            )
    return manifest


def version_of(directory: Path) -> str:
    """Version of an artifact: the first 12 digits of its manifest's SHA-256.

    The manifest holds the SHA-256 of every file, so directories of equal content have the same
    version.
    """
    return hashlib.sha256(_manifest_bytes(directory)).hexdigest()[:12]


def _manifest_bytes(directory: Path) -> bytes:
    path = directory / MANIFEST
    if not path.exists():
        raise ArtifactError(
            f"'{directory}' holds no artifact ('{MANIFEST}' is missing). Make one with "
            "`dvc repro`, or fetch one with `dvc pull`."
        )
    return path.read_bytes()


def export_params(directory: Path, manifest: dict[str, Any]) -> ExportParams:
    """Parameters of the lists; raises `ArtifactError` if they are not those of this code."""
    known, found = sorted(f.name for f in fields(ExportParams)), sorted(manifest["recommend"])
    if known != found:
        raise ArtifactError(
            f"'{directory}' recommends by {found}, this code by {known}. Export again with this "
            "code, or serve with the code that made it."
        )
    return ExportParams(**manifest["recommend"])


def check_files(directory: Path, manifest: dict[str, Any]) -> None:
    """Compare every file with its sha256; raises `ArtifactError` at the first difference."""
    for name, digest in manifest["files"].items():
        path = directory / name
        if not path.exists():
            raise ArtifactError(f"'{path}' is missing. Copy the whole directory again.")
        if sha256_of(path) != digest:
            raise ArtifactError(f"'{path}' is not the file that was exported: its sha256 differs.")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
