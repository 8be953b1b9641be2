"""Settings of the service, each from one environment variable."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from feedrank.errors import ParamsError
from feedrank.io.files import state_directory

PREFIX = "FEEDRANK_"

# A description says what may be set; it is the end of the message for anything else.
Share = Annotated[float, Field(ge=0, le=1, description="a share of the users from 0 to 1")]
Seconds = Annotated[float, Field(ge=0.01, le=3600, description="seconds from 0.01 to 3600")]
Overlap = Annotated[float, Field(ge=0, le=86_400, description="seconds from 0 to 86400")]
Count = Annotated[int, Field(ge=1, le=100_000, description="a whole number from 1 to 100000")]
Level = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"],
    BeforeValidator(str.upper),
    Field(description="one of DEBUG, INFO, WARNING, ERROR"),
]


def _parts(value: str | tuple[str, ...]) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip().rstrip("/") for part in parts if part.strip())


def _stripped(value: str | None) -> str | None:
    """A key without the white space that files and shells leave at its ends; None if nothing is."""
    return (value or "").strip() or None


class Settings(BaseSettings):
    """Settings of one service; an argument takes precedence over its variable.

    The variable of a setting is its name in capitals after `FEEDRANK_`; an empty one counts as
    unset.

    Attributes:
        artifact: link that `service.deploy` makes and moves, or a directory.
        test_artifact: artifact of the arm `test` of an A/B test; None for no test.
        test_share: share of the users in the arm `test`.
        assignment_salt: of the hash; another one assigns users to arms independently.
        exposures: directory of the exposure log; None for no log.
        api_key: required from callers, except for probes and the pages' files; None for no key.
        cors_origins: origins of other hosts whose pages may read answers, separated by commas.
        max_waiting: open requests; further ones are shed with a 503.
        max_connections: open connections of a worker; further ones get a 503.
        header_seconds: in which a connection sends a whole header, or is closed.
        state: directory of the worker registry, of proofs and of shared metrics, mode 700; in the
            home directory by default.
        poll_seconds: polling interval for a new artifact.
        report: page of `dvc repro` that `/report` shows; the page has a link to it if it is there.
        hidden_posts: text file of posts that are in no answer, an id a line; None for no file.
        follow: whether new rows of the database in FEED_DSN are followed.
        follow_overlap: seconds by which a row may come later than rows of a later moment.
        follow_seconds: polling interval for new rows.
        drain_seconds: from SIGTERM until no more connections are accepted.
        log_level: of the service and of uvicorn.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    artifact: Path = Path("models/live")
    test_artifact: Path | None = None
    test_share: Share = 0.5
    assignment_salt: str = "feedrank"
    exposures: Path | None = None
    api_key: Annotated[str | None, BeforeValidator(_stripped)] = None
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)] = ()
    # Requests are answered one after another in 2 to 5 ms each (docs/benchmarks.md), so the last of
    # 64 waits for at most a third of a second, within the limit of 0.5 s.
    max_waiting: Count = 64
    # With what the process itself opens it stays within 1,024 files, the usual limit; a proxy or a
    # few dozen callers need far fewer.
    max_connections: Count = 800
    # Any value from 5 to 60: a header is one packet, which is sent again once a second.
    header_seconds: Seconds = 10.0
    state: Path = Field(default_factory=state_directory)
    poll_seconds: Seconds = 0.5  # a poll takes 0.1 ms: any value up to seconds costs nothing
    report: Path = Path("reports/report.html")
    hidden_posts: Path | None = None
    # FEED_DSN alone does not start it: it may be set for `dvc repro` or `service.ab_report`.
    follow: Annotated[bool, Field(description="0 or 1")] = False
    # Each poll reads it again: of a feed of 2,000 rows a second with an index, five minutes took
    # 0.3 s.
    follow_overlap: Overlap = 60.0
    follow_seconds: Seconds = 1.0
    drain_seconds: Seconds = 1.0  # longer than the proxy's interval between two health checks
    log_level: Level = "INFO"

    @property
    def has_report(self) -> bool:
        """Whether the report is a file that this process may read; False for whatever fails."""
        return os.path.isfile(self.report) and os.access(self.report, os.R_OK)

    @classmethod
    def from_environment(cls) -> Settings:
        """Settings from variables; raises `ParamsError` for a value that cannot be used."""
        try:
            return cls()
        except ValidationError as error:
            found = error.errors()[0]
            name = str(found["loc"][0])
            allowed = cls.model_fields[name].description
            raise ParamsError(
                f"{PREFIX}{name.upper()} is '{found['input']}'; set {allowed}."
            ) from None
