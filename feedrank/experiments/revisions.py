"""Revisions: tables of requests of a git revision, an experiment, or the working folder."""

from __future__ import annotations

from pathlib import Path

import dvc.api
import pandas as pd
from dvc.exceptions import DvcException
from scmrepo.exceptions import SCMError

from feedrank.errors import FeedrankError
from feedrank.validation.results.requests_table import read_requests

REQUESTS = Path("reports/requests.parquet")
WORKSPACE = "workspace"


def requests_at(revision: str, root: Path = Path()) -> pd.DataFrame:
    """The table that validation wrote at a revision.

    Args:
        revision: a commit, branch, tag or experiment; 'workspace': the working folder.
        root: of the project.

    Raises:
        FeedrankError: there is no such revision, or its table cannot be read.
    """
    if revision == WORKSPACE:
        return read_requests(_in_folder(root / REQUESTS), str(REQUESTS))
    try:
        content = dvc.api.read(REQUESTS.as_posix(), repo=str(root), rev=revision, mode="rb")
    except (SCMError, DvcException, OSError) as error:
        raise FeedrankError(
            f"revision '{revision}' has no '{REQUESTS}' here: {_reason(error)}. Name a commit, "
            "branch, tag or experiment (`dvc exp show`); `dvc pull` fetches what others ran, "
            "`dvc repro validate` makes it at a revision that never had it."
        ) from error
    return read_requests(content, f"{REQUESTS} of {revision}")


def _in_folder(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = "not found" if isinstance(error, FileNotFoundError) else f"unread: {error}"
        raise FeedrankError(f"'{path}' {reason}. Run `dvc repro validate`.") from error


def _reason(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
