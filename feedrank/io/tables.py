"""Tables of reports: CSV that neither runs in a spreadsheet nor breaks a terminal."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pandas as pd

# Characters that a spreadsheet may leave out before it looks at a cell; those that look like one of
# `RUNS`, full-width ones among them, are turned into it first.
BLANK = " \u00a0\ufeff\u200b\u200c\u200d\u2060"
# First characters that make a spreadsheet run a cell (OWASP, "CSV injection"), and the mark itself,
# so that `read_csv` takes off exactly what was put on.
RUNS = re.compile(r"[=+\-@\t\r\n']")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    r"""Write a table; text that a spreadsheet would run begins with `'`, and is not run.

    Control characters become `\x07` and the like; whole numbers and fractions stay as they are,
    as text too.
    """
    texts = table.select_dtypes(["object", "string"]).columns
    escaped = table.assign(**{c: table[c].map(_escaped, na_action="ignore") for c in texts})
    escaped.to_csv(path, index=False, lineterminator="\n")


def read_csv(path: Path) -> pd.DataFrame:
    """The table that `write_csv` wrote; column `value` is text, control characters stay escaped."""
    table = pd.read_csv(path, dtype={"value": str}, keep_default_na=False, na_values=[""])
    texts = table.select_dtypes(["object", "string"]).columns
    return table.assign(**{c: table[c].map(_read, na_action="ignore") for c in texts})


def _escaped(cell: object) -> object:
    if not isinstance(cell, str) or NUMBER.fullmatch(cell):
        return cell
    seen = unicodedata.normalize("NFKC", cell).lstrip(BLANK)
    mark = "'" if RUNS.match(cell) or RUNS.match(seen) else ""
    return mark + CONTROL.sub(lambda found: f"\\x{ord(found.group()):02x}", cell)


def _read(cell: object) -> object:
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") else cell
