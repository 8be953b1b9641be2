"""How far an extract is: a bar on a terminal, and one closing line everywhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm


class Progress:
    """Counts impressions; the bar is only drawn on a terminal.

    Args:
        total: impressions there are.
        done: how many of them were there before.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self._done, self._read = done, 0
        self._since = time.monotonic()
        self._bar = tqdm(
            total=total, initial=done, desc="extract", unit=" rows", unit_scale=True, disable=None
        )

    def add(self, rows: int) -> None:
        """Count rows that were read."""
        self._read += rows
        self._bar.update(rows)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._bar.close()
        if error is not None:
            return
        kept = f", {self._done:,} were there" if self._done else ""
        if not self._read:
            say(f"nothing new to read{kept}.")
            return
        seconds = time.monotonic() - self._since
        rate = self._read / max(seconds, 1e-3)
        say(f"read {self._read:,} impressions in {seconds:.1f} s ({rate:,.0f} a second){kept}.")


def say(text: str, stage: str = "extract") -> None:
    """One line for whoever runs a stage."""
    print(f"{stage}: {text}", file=sys.stderr)
