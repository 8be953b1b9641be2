"""Memory that was freed goes back to the system."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
from pyarrow import parquet

from feedrank.io import malloc

N_ROWS, BYTES = 6_000_000, 48_000_000  # of the table that is read


def test_what_arrow_read_goes_back(tmp_path: Path) -> None:
    if malloc._of_libc("malloc_trim") is None:
        pytest.skip("the C library hands nothing back")
    path, process = tmp_path / "rows.parquet", psutil.Process()
    numbers = np.random.default_rng(0).integers(0, 1 << 40, N_ROWS)
    parquet.write_table(pa.table({"number": numbers}), path, row_group_size=200_000)
    table = parquet.read_table(path)
    assert table.num_rows == N_ROWS
    del table
    kept = process.memory_info().rss
    malloc.return_freed_memory()
    assert process.memory_info().rss < kept - BYTES // 2
