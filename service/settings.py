"""The service's settings, each from one environment variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir

from feedrank.errors import ParamsError

PREFIX = "FEEDRANK_"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def _state() -> Path:
    return Path(gettempdir()) / f"feedrank-{os.getuid()}"


@dataclass(frozen=True)
class Settings:
    """How one service runs; the variable of a setting is its name in capitals after `FEEDRANK_`.

    Attributes:
        artifact: directory of the artifact, or a link to it.
        test_artifact: the second artifact of a comparison; None for no comparison.
        test_share: of the users who get the second artifact.
        split_salt: another one splits the users anew.
        exposures: directory where each list that was returned is noted; None for nowhere.
        api_key: asked of every caller, but for the probes and the page's files; None for nobody.
        cors_origins: web pages of other hosts that may read answers, separated by commas.
        max_waiting: requests that wait or are worked on; a further one is answered with 503.
        state: directory where workers note what they serve, for `service.deploy`.
        check_seconds: between two looks at the artifact's path.
        drain_seconds: from SIGTERM until no more connections are taken.
        log_level: DEBUG, INFO, WARNING or ERROR.
    """

    artifact: Path = Path("models/artifact")
    test_artifact: Path | None = None
    test_share: float = 0.5
    split_salt: str = "feedrank"
    exposures: Path | None = None
    api_key: str | None = None
    cors_origins: tuple[str, ...] = ()
    max_waiting: int = 64
    state: Path = field(default_factory=_state)
    check_seconds: float = 0.5
    drain_seconds: float = 1.0
    log_level: str = "INFO"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Settings from variables; an empty one counts as unset.

        Raises:
            ParamsError: a variable holds what its setting cannot be.
        """
        found = {k: v for k, v in environ.items() if k.startswith(PREFIX) and v.strip()}
        read = {
            name: convert(PREFIX + name.upper(), found[PREFIX + name.upper()])
            for name, convert in _CONVERT.items()
            if PREFIX + name.upper() in found
        }
        return cls(**read)  # type: ignore[arg-type]


def _path(_: str, text: str) -> Path:
    return Path(text)


def _text(_: str, text: str) -> str:
    return text


def _share(name: str, text: str) -> float:
    share = _number(name, text)
    if not 0 <= share <= 1:
        raise ParamsError(f"{name} is '{text}'; set a share of the users from 0 to 1.")
    return share


def _seconds(name: str, text: str) -> float:
    seconds = _number(name, text)
    if not 0.01 <= seconds <= 3600:
        raise ParamsError(f"{name} is '{text}'; set seconds from 0.01 to 3600.")
    return seconds


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ParamsError(f"{name} is '{text}'; set a number.") from None


def _count(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise ParamsError(f"{name} is '{text}'; set a whole number from 1 to 100000.")
    return int(text)


def _list(_: str, text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _level(name: str, text: str) -> str:
    if text.upper() not in LEVELS:
        raise ParamsError(f"{name} is '{text}'; set one of {', '.join(LEVELS)}.")
    return text.upper()


_CONVERT = {
    "artifact": _path,
    "test_artifact": _path,
    "test_share": _share,
    "split_salt": _text,
    "exposures": _path,
    "api_key": _text,
    "cors_origins": _list,
    "max_waiting": _count,
    "state": _path,
    "check_seconds": _seconds,
    "drain_seconds": _seconds,
    "log_level": _level,
}
