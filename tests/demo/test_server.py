from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from feedrank.demo.server import embedded_server
from feedrank.errors import SourceError


def test_the_server_starts_in_a_folder_whose_name_a_shell_would_read(tmp_path: Path) -> None:
    with embedded_server(tmp_path / "a;b & (c) 'd" / "pgdata") as url:
        engine = create_engine(url)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
        engine.dispose()


@pytest.mark.parametrize("sign", ["$", '"', "`", "\\"])
def test_a_folder_that_the_server_cannot_start_in_is_refused_at_once(
    tmp_path: Path, sign: str
) -> None:
    pgdata = tmp_path / f"a{sign}b" / "pgdata"
    message = rf"path holds {re.escape(sign)}, which pg_ctl does not quote. Move .* FEED_DSN"
    with pytest.raises(SourceError, match=message), embedded_server(pgdata):
        pass
    assert not pgdata.parent.exists()
