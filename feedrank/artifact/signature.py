"""Signature of an artifact that travels: HMAC-SHA256 over its manifest, with a shared key.

    FEEDRANK_SIGNING_KEY=... python -m feedrank.artifact.signature models/artifact/manifest.json

signs an artifact again; an export signs by itself if the key is set. The manifest holds the SHA-256
of every other file, so one signature is for all.
"""

from __future__ import annotations

import hmac
import os
import sys
from pathlib import Path

from feedrank.errors import ArtifactError

VARIABLE = "FEEDRANK_SIGNING_KEY"


def signing_key() -> bytes | None:
    """The key, without white space at its ends; None if the variable is unset or empty."""
    return os.environ.get(VARIABLE, "").strip().encode() or None


def signature_path(manifest: Path) -> Path:
    """File of a manifest's signature, beside it."""
    return manifest.with_suffix(".sig")


def sign(manifest: Path) -> None:
    """Write the signature of a manifest, if there is a key."""
    if (key := signing_key()) is not None:
        signature_path(manifest).write_text(f"{_signature(manifest.read_bytes(), key)}\n")


def check_signature(manifest: Path, content: bytes) -> None:
    """Compare a manifest with its signature, if there is a key.

    Raises:
        ArtifactError: the signature is missing, or of another key or content.
    """
    if (key := signing_key()) is None:
        return
    path = signature_path(manifest)
    if path.is_symlink() or not path.is_file():
        raise ArtifactError(
            f"'{path}' is missing, and {VARIABLE} is set: an artifact must be signed. Export it "
            f"with that key, or sign it with `python -m feedrank.artifact.signature {manifest}`."
        )
    with path.open("rb") as file:
        found = file.read(100).strip()
    if not hmac.compare_digest(found, _signature(content, key).encode()):
        raise ArtifactError(
            f"'{path}' is not this manifest's signature by the key in {VARIABLE}: the artifact was "
            "changed, or signed with another key. Fetch it again from where it was exported."
        )


def _signature(content: bytes, key: bytes) -> str:
    return hmac.new(key, content, "sha256").hexdigest()


def main() -> int:
    """Sign one manifest; the exit code."""
    named = [path for path in map(Path, sys.argv[1:]) if path.is_file()]
    if signing_key() is None or [path.name for path in named] != ["manifest.json"]:
        print(f"set {VARIABLE} and name one 'manifest.json'", file=sys.stderr)
        return 1
    sign(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
