"""Manifest: format number, provenance and sha256 of each file of an artifact."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import fields
from pathlib import Path
from stat import S_ISREG
from typing import Any

from feedrank.artifact.signature import check_signature, signature_path
from feedrank.errors import ArtifactError, blaming
from feedrank.io.files import sha256_of
from feedrank.params import ExportParams

FORMAT = 6
MANIFEST, GOLDEN = "manifest.json", "golden.json"
REQUESTS = "requests.parquet"  # hits of every request of validation, for a deployment's gate
LARGEST_MANIFEST = 1 << 24  # bytes; the demo's has 10 kB


def read_json(path: Path) -> Any:
    """Content of a JSON file; what an answer could not hold, as NaN, is a `ValueError`."""
    return _parsed(path.read_bytes())


def _parsed(content: bytes) -> Any:
    found = json.loads(content, parse_constant=_refused, parse_float=_finite)
    json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    return found


def _refused(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _finite(word: str) -> float:
    number = float(word)
    return number if math.isfinite(number) else _refused(word)


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of an artifact; raises `ArtifactError` if this code cannot use it.

    It is signed with the key in FEEDRANK_SIGNING_KEY, if that is set.
    """
    content = manifest_bytes(directory)
    check_signature(directory / MANIFEST, content)
    try:
        manifest: dict[str, Any] = _parsed(content)
        found = manifest.get("format")
    except (ValueError, RecursionError, AttributeError) as error:
        raise ArtifactError(
            f"'{directory / MANIFEST}' is not whole. Copy the whole directory again."
        ) from error
    if found != FORMAT:
        raise ArtifactError(
            f"'{directory}' is of format {found}, this code reads {FORMAT}. "
            "Run `dvc repro` with this code, or serve with the code that made it."
        )
    for key, kind in (("features", list), ("files", dict), ("recommend", dict)):
        if not isinstance(manifest.get(key), kind):
            raise ArtifactError(
                f"'{directory / MANIFEST}' is not whole: it lacks '{key}'. Export again."
            )
    return manifest


def version_of(directory: Path) -> str:
    """Version of an artifact: the first 12 digits of its manifest's SHA-256.

    The manifest holds the SHA-256 of every file, so directories of equal content have the same
    version.
    """
    return hashlib.sha256(manifest_bytes(directory)).hexdigest()[:12]


def manifest_bytes(directory: Path) -> bytes:
    """Content of the manifest's file; raises `ArtifactError` if it is no plain file."""
    path = directory / MANIFEST
    with blaming(path):
        if not os.path.lexists(path):
            raise ArtifactError(
                f"'{directory}' holds no artifact ('{MANIFEST}' is missing). Make one with "
                "`dvc repro`, or fetch one with `dvc pull`."
            )
        found = path.lstat()
        if not S_ISREG(found.st_mode) or found.st_size > LARGEST_MANIFEST:
            raise ArtifactError(
                f"'{path}' is no plain file of at most {LARGEST_MANIFEST} bytes. Copy the whole "
                "directory again."
            )
        return path.read_bytes()


def export_params(directory: Path, manifest: dict[str, Any]) -> ExportParams:
    """Parameters of the lists; raises `ArtifactError` if they are not those of this code."""
    rules = manifest["recommend"]
    known, found = sorted(f.name for f in fields(ExportParams)), sorted(rules)
    if known != found:
        raise ArtifactError(
            f"'{directory}' recommends by {found}, this code by {known}. Export again with this "
            "code, or serve with the code that made it."
        )
    with blaming(directory / MANIFEST):
        return ExportParams(**rules)


def check_files(directory: Path, manifest: dict[str, Any]) -> None:
    """Check that a directory holds the manifest's plain files, no other, each with its sha256.

    Raises:
        ArtifactError: at the first difference.
    """
    optional = {MANIFEST, signature_path(directory / MANIFEST).name}
    with blaming(directory):
        found = {entry.name: entry for entry in os.scandir(directory)}
    for name, entry in sorted(found.items()):
        if not entry.is_file(follow_symlinks=False):
            raise ArtifactError(
                f"'{directory / name}' is a link, a directory or a pipe; an artifact holds plain "
                "files. Copy the whole directory again, with the files that links name."
            )
        if name not in optional and name not in manifest["files"]:
            raise ArtifactError(
                f"'{directory / name}' is not in '{MANIFEST}'. Copy the artifact to an empty "
                "directory."
            )
    for name, digest in manifest["files"].items():
        path = directory / name
        if name not in found:
            raise ArtifactError(f"'{path}' is missing. Copy the whole directory again.")
        with blaming(path):
            if sha256_of(path) != digest:
                raise ArtifactError(
                    f"'{path}' is not the file that was exported: its sha256 differs. Copy the "
                    "whole directory again."
                )
