"""Exposure lists: lines of the exposure log as arrays, kept from one extract to the next."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from feedrank.extraction.audit.day_counts import midnight
from feedrank.extraction.spool.exposure_source import ExposureFile
from feedrank.io.files import flush
from feedrank.log.exposures import Exposure

BLOCK_LISTS = 20_000  # in memory at once: some 40 MB of lists of five
FORMAT = 1  # of the kept arrays


class Lists(NamedTuple):
    """Some lists, each of some places.

    Attributes:
        user_id: whole numbers or text, shape (n_lists,).
        at: seconds since 2000-01-01, int64, shape (n_lists,).
        policies: text, sorted, shape (n_policies,).
        policy: row of `policies`, shape (n_lists,).
        n_places: of each list, int64, shape (n_lists,).
        post_id: of each place, lists end to end, shape (n_places,).
        propensity: likewise, float32.
    """

    user_id: np.ndarray
    at: np.ndarray
    policies: np.ndarray
    policy: np.ndarray
    n_places: np.ndarray
    post_id: np.ndarray
    propensity: np.ndarray

    @classmethod
    def of(cls, exposures: list[Exposure]) -> Lists:
        """Arrays of some exposures."""
        since = midnight(0)
        policies, policy = np.unique([e.policy for e in exposures], return_inverse=True)
        return cls(
            _ids([e.user_id for e in exposures]),
            np.array([int((e.at - since).total_seconds() // 1) for e in exposures], np.int64),
            policies,
            policy.astype(np.int32),
            np.array([len(e.posts) for e in exposures], np.int64),
            _ids([post for e in exposures for post in e.posts]),
            np.array([p for e in exposures for p in e.slots], np.float32),
        )


def read_lists(source: list[ExposureFile], kept: Path) -> Iterator[Lists]:
    """All lists of some exposure files, some thousands at a time.

    Args:
        source: the files; raises `SchemaError` if one holds a broken line.
        kept: directory of arrays: a file of the same name, content and origin is not parsed again;
            those of other files are removed.
    """
    kept.mkdir(parents=True, exist_ok=True)
    files = {_name(file): file for file in source}
    for other in kept.iterdir():
        if other.name not in files:
            shutil.rmtree(other)
    for name, file in files.items():
        if not (kept / name).exists():
            _parse(file, kept / name)
        for path in sorted((kept / name).iterdir()):
            with np.load(path) as arrays:
                yield Lists(**arrays)


def _name(file: ExposureFile) -> str:
    # A hash: a table may hold names that no file may have.
    parts = (FORMAT, file.name, file.content, file.origin)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _parse(file: ExposureFile, kept: Path) -> None:
    new = kept.with_name(f"new-{kept.name}")
    new.mkdir()
    exposures, number = file.exposures(), 0
    while block := list(islice(exposures, BLOCK_LISTS)):
        path = new / f"{number:06}.npz"
        np.savez(path, **Lists.of(block)._asdict())
        flush(path)
        number += 1
    new.rename(kept)


def _ids(ids: list[int | str]) -> np.ndarray:
    """Whole numbers as int64 if all are, else text."""
    if all(isinstance(i, int) and abs(i) < 2**63 for i in ids):
        return np.array(ids, np.int64)
    return np.array([str(i) for i in ids], np.str_)
