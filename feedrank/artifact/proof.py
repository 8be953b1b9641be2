"""Proof of a new artifact: a child process loads it first, so that a crash there is a refusal.

XGBoost ends its process for some files that are no ranker. The child runs this module, which forks
for each artifact that it is asked about.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import distributions
from pathlib import Path
from typing import NoReturn

import numpy as np

import feedrank
from feedrank.artifact.artifact import Artifact
from feedrank.artifact.golden import close
from feedrank.artifact.manifest import check_files, manifest_bytes, read_manifest
from feedrank.errors import ArtifactError, blaming
from feedrank.io.files import private_directory
from feedrank.io.writer_lock import turn
from feedrank.ranking.rankers.by_name import ranker_file
from feedrank.ranking.rankers.xgboost_ranker import FILE, XGBoostRanker, reason_of

# A load takes 0.7 s for the demo; any limit works that a full disk cache or a busy machine keeps.
SECONDS = 120
# Of anonymous memory, and more by bytes of the artifact's files. The demo's child takes 0.3 GB in
# all for 32 MB of files; without a limit a changed byte of its ranker made XGBoost take 2.7 GB.
MEMORY, MEMORY_BY_BYTE = 1 << 30, 4
# XGBoost has two distributions, one without GPU code; its import would take a second.
INSTALLED = [d.version for name in ("xgboost", "xgboost-cpu") for d in distributions(name=name)]
VERSIONS = (feedrank.__version__, np.__version__, *INSTALLED)


class UnprovedError(ArtifactError):
    """An artifact that was not proved, whose files may be good; it may be later."""


class Prover:
    """A process that proves artifacts, one after another; a context manager that ends it."""

    def __enter__(self) -> Prover:
        # From the folder of this very library, whatever the folder of this process.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "feedrank.artifact.proof"],
            cwd=Path(feedrank.__file__).parents[1],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def prove(self, directory: Path) -> None:
        """Load an artifact and replay its golden requests in a process of its own.

        Raises:
            UnprovedError: this prover has ended, or somebody killed the process.
            ArtifactError: it was refused there, or ended that process, or took too long.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(str(directory.absolute()))}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise _unproved(directory)
        if (found := json.loads(answer)) is not None:
            raise (UnprovedError if found["may_be_good"] else ArtifactError)(found["reason"])


def prove_once(directory: Path, state: Path) -> None:
    """Check an artifact's files, and prove it unless the same content was proved before.

    Args:
        directory: of the artifact.
        state: directory of this user alone, which keeps an empty file for each proof. Processes
            that share it prove one after another, so that several workers need one proof.

    Raises:
        ArtifactError: the artifact is refused.
    """
    check_files(directory, read_manifest(directory))
    with turn(private_directory(state)):
        record = state / f"proved-{_fingerprint(directory)}"
        if record.exists():
            return
        with Prover() as prover:
            prover.prove(directory)
        with suppress(OSError):  # on a full disk the next worker proves it again
            record.touch()


def _fingerprint(directory: Path) -> str:
    """SHA-256 of a manifest, which names the content of all files, and of what loads them."""
    return hashlib.sha256(manifest_bytes(directory) + repr(VERSIONS).encode()).hexdigest()


def _unproved(directory: Path) -> UnprovedError:
    return UnprovedError(
        f"'{directory}' could not be proved: the process that does it ended. Free some memory, and "
        "try again."
    )


def _answer(directory: Path) -> ArtifactError | None:
    """Reason why an artifact is refused, from a fork of this process; None if it is not."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _load(directory, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        reason = pipe.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if reason or code == 0:
        return ArtifactError(reason) if reason else None
    if code == -signal.SIGKILL:  # no file does this: the kernel, for want of memory, or a person
        return _unproved(directory)
    if code == -signal.SIGALRM:
        return ArtifactError(f"'{directory}' was not loaded within {SECONDS} s. Export it again.")
    end = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return ArtifactError(
        f"'{directory}' ended the process that loaded it ({end}): its files were not written by "
        f"an export, most likely '{FILE}'. Fetch it again from where it was exported."
    )


def _load(directory: Path, writing: int) -> NoReturn:
    """Load in this process, within bounds of the kernel's; ends it."""
    code = 1
    try:
        signal.alarm(SECONDS)  # ends the process also within XGBoost
        with blaming(directory):
            n_bytes = sum(path.lstat().st_size for path in directory.iterdir())
        memory = MEMORY + MEMORY_BY_BYTE * n_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):  # a library's last words are no answer
            os.dup2(nowhere, stream)
        artifact = Artifact.load(directory)
        with blaming(directory / ranker_file(directory)):
            _read_by_xgboost(artifact)
        code = 0
    except ArtifactError as error:
        os.write(writing, str(error).encode(errors="replace"))
    finally:
        os._exit(code)


def _read_by_xgboost(artifact: Artifact) -> None:
    """Score a golden list by XGBoost, as many rows are; `ValueError` if it answers otherwise."""
    recommender = artifact.recommender
    if not isinstance(ranker := recommender.ranker, XGBoostRanker):
        return
    golden = artifact.golden[0]
    matrix = recommender.matrix(golden["user"], golden["at"], np.array(golden["post"]))
    log_odds = ranker.first_stage(matrix)
    try:
        found = ranker.of_xgboost(matrix, log_odds)
    except Exception as error:
        raise ValueError(reason_of(error)) from error
    if not close(found, ranker.probability(matrix, log_odds)):
        raise ValueError("XGBoost reads other trees in it")


def main() -> None:
    """Answer for each directory on stdin, a JSON string a line, with a refusal or null."""
    for line in sys.stdin:
        found, answer = _answer(Path(json.loads(line))), None
        if found is not None:
            answer = {"reason": str(found), "may_be_good": isinstance(found, UnprovedError)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
