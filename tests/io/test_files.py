from __future__ import annotations

from pathlib import Path

from feedrank.io.files import replace_directory


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    replace_directory(tmp_path / "old", tmp_path / "new")
    assert [p.name for p in (tmp_path / "old").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["old"]
