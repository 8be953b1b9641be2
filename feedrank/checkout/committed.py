"""Committed state of a checkout, and what of the working folder is in no commit and no cache."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from feedrank.errors import FeedrankError

LOCK = "dvc.lock"
DVC = (sys.executable, "-m", "dvc")
TRACKED = ("params.yaml", LOCK, "reports")  # what going back takes from git


def unsaved_files(root: Path) -> list[str]:
    """Changed files of `TRACKED` whose content no commit, experiment or stash holds.

    What is staged counts as well as what lies in the folder, which may be one of a larger checkout;
    and so does what git was told to take for unchanged (`git update-index --assume-unchanged`).
    """
    changed = ("--name-only", "-z", "--relative", "HEAD", "--", *TRACKED)
    listed = run(root, "git", "diff", *changed) + run(root, "git", "ls-files", "-z", *TRACKED)
    names = [name for name in sorted(set(_names(listed))) if (root / name).exists()]
    hashes = run(root, "git", "hash-object", "--", *names).split() if names else []
    found = list(zip(names, hashes, strict=True))
    if staged := _names(run(root, "git", "diff", "--cached", *changed)):
        for entry in _names(run(root, "git", "ls-files", "-s", "-z", "--", *staged)):
            about, name = entry.split("\t", 1)
            found.append((name, about.split()[1]))
    held = {line[:40] for line in run(root, "git", "rev-list", "--objects", "--all").splitlines()}
    return sorted({name for name, digest in found if digest not in held})


def _names(told: str) -> list[str]:
    return [name for name in told.split("\0") if name]


def unsaved_outputs(root: Path) -> list[str]:
    """Outputs that are not as `dvc.lock` says, as after a killed run: DVC's cache lacks them."""
    status = json.loads(run(root, *DVC, "data", "status", "--json"))
    changed = status.get("uncommitted", {})
    names = [*changed.get("added", []), *changed.get("modified", [])]
    return sorted(str(name).rstrip("/") for name in names)


def absent_outputs(root: Path) -> list[str]:
    """Outputs that are here, but whose committed version DVC's cache lacks."""
    cache = Path(run(root, *DVC, "cache", "dir").strip())
    stages = yaml.safe_load(run(root, "git", "show", f"HEAD:./{LOCK}"))["stages"]
    uncached = _uncached(root)
    return sorted(
        out["path"]
        for stage in stages.values()
        for out in stage.get("outs", [])
        if out["path"] not in uncached
        and (root / out["path"]).exists()
        and not _is_cached(cache, out["md5"])
    )


def _is_cached(cache: Path, digest: str) -> bool:
    path = cache / "files" / "md5" / digest[:2] / digest[2:]
    if not path.exists():
        return False
    if not digest.endswith(".dir"):
        return True
    return all(_is_cached(cache, entry["md5"]) for entry in json.loads(path.read_text()))


def _uncached(root: Path) -> set[str]:
    """Outputs that git tracks, not DVC's cache."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    outs: list[Any] = [
        o for s in stages.values() for k in ("outs", "metrics") for o in s.get(k, [])
    ]
    return {
        path
        for out in outs
        if isinstance(out, dict)
        for path, options in out.items()
        if options.get("cache") is False
    }


def run(root: Path, *command: str) -> str:
    """What a command says on stdout; raises `FeedrankError` with its stderr if it fails."""
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        words = done.stderr.strip() or done.stdout.strip()
        raise FeedrankError(f"`{' '.join(command)}` failed: {words}")
    return done.stdout
