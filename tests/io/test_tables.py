from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feedrank.io.tables import read_csv, write_csv


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\ufeff=", "\u00a0="]
)
def test_a_cell_that_a_spreadsheet_would_run_is_text(tmp_path: Path, start: str) -> None:
    write_csv(tmp_path / "t.csv", pd.DataFrame({"value": [f"{start}cmd|' /C calc'!A0"]}))
    cell = (tmp_path / "t.csv").read_text().splitlines()[1]
    assert cell.strip('"').startswith("'")


def test_control_characters_are_written_out(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", pd.DataFrame({"value": ["a\x1b[2Jb\x00\x9bc\nd"]}))
    assert (tmp_path / "t.csv").read_text() == "value\na\\x1b[2Jb\\x00\\x9bc\\x0ad\n"


def test_text_comes_back_and_numbers_stay_as_they_are(tmp_path: Path) -> None:
    values = ["=1+1", "'quoted", "-1", "-0.5e-3", "plain", "a=b", None, "-", "NA"]
    table = pd.DataFrame({"value": values, "n": np.linspace(-1, 1, len(values))})
    write_csv(tmp_path / "t.csv", table)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "t.csv"), table)
    assert "\n-1,-0.5\n" in (tmp_path / "t.csv").read_text()
