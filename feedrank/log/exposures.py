"""Exposures: lines of JSON that the service logs, one for each list that it returned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, NaiveDatetime, TypeAdapter, ValidationError

from feedrank.errors import SchemaError

Arm = Literal["control", "test"]
Share = Annotated[float, Field(ge=0, le=1)]
# Of lists that are logged: a like is sought for some days after one, which must not leave the
# calendar, and no log holds impressions of other years.
EARLIEST, LATEST = datetime(1900, 1, 1), datetime(9000, 1, 1)


@dataclass(frozen=True)
class Exposure:
    """One returned list.

    Attributes:
        user_id: of the request.
        at: moment of the request on the log's clock.
        exp_group: arm of the user.
        propensity: assignment probability of this arm.
        artifact: version of the artifact that made the list.
        posts: ids, best first.
        probability: of a like, of each post.
        slot_propensity: with which the policy puts each post where it is, given the request; None
            of lines from before policies explored: all 1.
        explore: share of the places that explore.
        served_at: by the service's clock, of a logged list.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    user_id: int | str
    at: Annotated[NaiveDatetime, Field(ge=EARLIEST, le=LATEST)]
    exp_group: Arm
    propensity: Share
    artifact: str
    posts: list[int | str]
    probability: list[float]
    slot_propensity: list[Annotated[float, Field(gt=0, le=1)]] | None = None
    explore: Share = 0.0
    served_at: str = ""

    def __post_init__(self) -> None:
        if self.slot_propensity is not None and len(self.slot_propensity) != len(self.posts):
            raise ValueError("'slot_propensity' and 'posts' must be of one length")

    @property
    def test_share(self) -> float:
        """Planned share of the users in the arm `test`."""
        share = self.propensity if self.exp_group == "test" else 1 - self.propensity
        return round(share, 6)

    @property
    def slots(self) -> list[float]:
        """Propensity of each place."""
        return [1.0] * len(self.posts) if self.slot_propensity is None else self.slot_propensity

    @property
    def policy(self) -> str:
        """What made the list: version of the artifact, and share of the places that explore."""
        return f"{self.artifact} explore {self.explore:g}"


def exposure_files(directory: Path) -> list[Path]:
    """Files of a directory in order, of a line for each list; raises `SchemaError` without it."""
    if not directory.is_dir():
        raise SchemaError(
            f"'{directory}', the directory of the exposures, is not there. Start the service with "
            "FEEDRANK_EXPOSURES set to it, or name another one in 'source.exposures'."
        )
    return sorted(file for file in directory.glob("exposures-*.jsonl") if file.is_file())


def read_exposures(directory: Path) -> Iterator[Exposure]:
    """All lists logged in a directory; raises `SchemaError` without it, or for a broken line."""
    for path in exposure_files(directory):
        yield from exposures_of(path)


def exposures_of(path: Path) -> Iterator[Exposure]:
    """All lists of a file; raises `SchemaError` for a broken line."""
    return (parsed(line, f"line {number} of '{path}'") for number, line in whole_lines(path))


def whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number, from 1, and content of each line of a file that is not blank.

    What follows its last line break is no line yet: it is being written, or its process was killed
    meanwhile.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n") and line.strip():
                yield number, line[:-1]


def parsed(line: bytes, place: str) -> Exposure:
    """The list of a line; raises `SchemaError` that names its place."""
    try:
        return EXPOSURE.validate_json(line)
    except ValidationError as error:
        problem = error.errors()[0]
    if problem["type"] == "json_invalid":
        raise SchemaError(f"{place} is not JSON: {problem['msg']}. Remove this line.")
    reason = f"'{'.'.join(map(str, problem['loc']))}': {problem['msg']}"
    if problem["type"] == "value_error":  # of several fields
        reason = str(problem["ctx"]["error"])
    raise SchemaError(
        f"{place} is not an exposure of this version ({reason}). Remove this line, or read it with "
        "the version that wrote it."
    )


EXPOSURE = TypeAdapter(Exposure)
