from __future__ import annotations

from feedrank.extraction.postgres.copy_reader import block_ranges


def test_ranges_cover_every_block_once() -> None:
    for blocks, rows, chunk_rows in [(0, 0, 10), (1, 5, 1000), (7, 700, 100), (100, 3, 1)]:
        covered = [
            block
            for r in block_ranges(blocks, rows, chunk_rows)
            for block in range(r.first, r.last)
        ]
        assert covered == list(range(blocks))
