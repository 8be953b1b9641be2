"""What Spark's workers run in tests: a module of its own, since they import it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import psutil

from feedrank.engines.engine import Engine
from feedrank.errors import SchemaError

EXECUTOR = "CoarseGrainedExecutorBackend"


@dataclass(frozen=True)
class LosingMachines:
    """An engine that loses an executor, once, in the midst of every job.

    Attributes:
        engine: that runs the jobs.
        notes: folder in which the process ids of lost executors are noted, by job.
    """

    is_cluster: ClassVar[bool] = True
    engine: Engine
    notes: Path

    def map_parts(self, function: Callable[[int], Any], n_parts: int, words: str) -> Iterator[Any]:
        return self.engine.map_parts(self._losing(function, words), n_parts, words)

    def sum_parts(
        self,
        function: Callable[[int], Any],
        add: Callable[[Sequence[Any]], Any],
        n_parts: int,
        words: str,
        take: Callable[[Any], None],
    ) -> Any:
        return self.engine.sum_parts(self._losing(function, words), add, n_parts, words, take)

    def share(self, directory: Path) -> Any:
        return self.engine.share(directory)

    def rows_place(self, directory: Path) -> str:
        return self.engine.rows_place(directory)

    def _losing(self, function: Callable[[int], Any], words: str) -> Callable[[int], Any]:
        return partial(die_once, function, self.notes / words, os.getpid())


def die_once(function: Callable[[int], Any], note: Path, session: int, part: int) -> Any:
    """The function; but the first task of part 1 kills its own executor when it is done."""
    answer = function(part)
    if part == 1 and not note.exists():
        above = psutil.Process().parents()
        assert session in [process.pid for process in above]  # of this test, and of no other
        executor = next(p for p in above if EXECUTOR in " ".join(p.cmdline()))
        note.write_text(str(executor.pid))
        executor.kill()
        executor.wait()
    return answer


def refuse(part: int) -> int:
    """Part 2 is refused."""
    if part == 2:
        raise SchemaError("part 2 holds no like")
    return part


def crash(part: int) -> int:
    """Part 1 ends its process, however often it is tried."""
    if part == 1:
        os._exit(9)
    return part


def large(part: int) -> bytes:
    """More bytes than a piece holds, different in each part."""
    return bytes([part]) * ((40 << 20) + part)


def named(part: int) -> tuple[str, int]:
    """A sum that shows the order in which it was added up."""
    return f"{part} ", -part
