from __future__ import annotations

import ast
import mmap
import os
import re
import sys
import time
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, Popen, run

import numpy as np
import psutil
import pytest

from feedrank.engines.processes import map_parts, n_workers
from feedrank.engines.shipping import LEAST
from feedrank.errors import FeedrankError, SchemaError


def _square(part: int) -> int:
    return part * part


def _refuse(refused: int, part: int) -> int:
    if part == refused:
        raise SchemaError(f"part {part} holds no like")
    return part


def _die(part: int) -> int:
    if part == 1:
        os._exit(9)
    return part


@pytest.mark.parametrize("n", [1, 2])
def test_results_come_in_the_order_of_parts(n: int) -> None:
    assert list(map_parts(_square, 7, "squaring", workers=n)) == [0, 1, 4, 9, 16, 25, 36]


def test_parts_without_words_are_worked_on_in_silence(
    capfd: pytest.CaptureFixture[str], logged: pytest.LogCaptureFixture
) -> None:
    assert list(map_parts(_square, 3, "", workers=1)) == [0, 1, 4]
    assert logged.messages == []
    assert list(map_parts(_square, 3, "squaring", workers=1)) == [0, 1, 4]
    assert logged.messages == ["squaring: 3 parts"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("n", [1, 2])
def test_an_error_of_a_worker_is_raised_as_itself(n: int) -> None:
    with pytest.raises(SchemaError, match="part 2 holds no like"):
        list(map_parts(partial(_refuse, 2), 4, "refusing", workers=n))


def test_a_killed_worker_says_what_to_do() -> None:
    with pytest.raises(FeedrankError, match=r"killed while counting.*FEEDRANK_WORKERS=1"):
        list(map_parts(_die, 4, "counting", workers=2))


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
def test_a_wrong_number_of_workers_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("FEEDRANK_WORKERS", value)
    with pytest.raises(FeedrankError, match=f"FEEDRANK_WORKERS is '{value}'"):
        n_workers()


def test_without_a_number_all_processors_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEEDRANK_WORKERS", raising=False)
    assert 1 <= n_workers() <= (os.cpu_count() or 1)


def _of_mapped(arrays: list[np.ndarray], part: int) -> tuple[bool, int, int]:
    """Whether an array is a view of a mapped file, what it held, and its sum once written to."""
    array = arrays[part]
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    before = int(array.sum())
    array += 1
    is_mapped = isinstance(base, memoryview) and isinstance(base.obj, mmap.mmap)
    return is_mapped, before, int(array.sum())


def test_large_arrays_are_mapped_by_all_workers_and_nobody_sees_what_one_writes() -> None:
    large, small = np.arange(LEAST, dtype=np.int64), np.arange(8)
    arrays = [large, large[: LEAST // 2], small, np.asfortranarray(large.reshape(-1, 4))]

    found = list(map_parts(partial(_of_mapped, arrays), len(arrays), "", workers=2))

    assert [is_mapped for is_mapped, *_ in found] == [True, True, False, True]
    assert [before for _, before, _ in found] == [int(a.sum()) for a in arrays]
    assert [after for *_, after in found] == [int(a.sum()) + a.size for a in arrays]
    assert large[0] == 0


POOL = """
import os, sys, time
from pathlib import Path
from feedrank.engines.processes import map_parts

def slow(part):
    (Path(sys.argv[1]) / str(os.getpid())).touch()
    time.sleep(600)

if __name__ == "__main__":
    list(map_parts(slow, 2, "sleeping", workers=2))
"""


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    (tmp_path / "pool.py").write_text(POOL)
    (tmp_path / "workers").mkdir()
    command = [sys.executable, str(tmp_path / "pool.py"), str(tmp_path / "workers")]
    with Popen(command, stderr=DEVNULL) as process:
        try:
            while len(list((tmp_path / "workers").iterdir())) < 2:
                assert process.poll() is None
                time.sleep(0.05)
            workers = [psutil.Process(int(p.name)) for p in (tmp_path / "workers").iterdir()]
        finally:
            process.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    for worker in alive:
        worker.kill()
    assert not alive


AHEAD = """
import signal
import sys
from functools import partial

import psutil

from feedrank.engines.processes import import_ahead, map_parts

def is_imported(module, part):
    return module in sys.modules

def hears_ctrl_c(part):
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler

if __name__ == "__main__":
    import_ahead("slow", "colorsys")
    for process in psutil.Process().children():
        process.send_signal(signal.SIGINT)  # while it imports, as Ctrl-C does
    print(*map_parts(partial(is_imported, "colorsys"), 2, ""), "colorsys" in sys.modules)
    print(*map_parts(hears_ctrl_c, 2, ""), hears_ctrl_c(0))
"""


@pytest.mark.parametrize(
    ("n_workers", "said"),
    [("2", "True True False"), ("1", "False False False"), ("none", "FEEDRANK_WORKERS is 'none'")],
)
def test_workers_have_what_was_imported_ahead(n_workers: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "pool.py").write_text(AHEAD)
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(1)")
    command = [sys.executable, str(tmp_path / "pool.py")]
    environment = os.environ | {"FEEDRANK_WORKERS": n_workers, "PYTHONPATH": str(tmp_path)}
    done = run(command, env=environment, capture_output=True, text=True)
    assert said in done.stdout + done.stderr
    assert "True True True" in done.stdout or n_workers == "none"
    assert "set a whole number" in done.stderr or not done.stderr


@pytest.mark.parametrize("stage", ["features", "validate"])
def test_a_stage_imports_ahead_what_it_imports_itself(stage: str) -> None:
    source = (Path(__file__).parents[2] / f"stages/{stage}.py").read_text()
    (ahead,) = re.findall(r"import_ahead\((.*)\)", source)
    # A module that cannot be imported ahead is none that anybody would miss.
    for module in ast.literal_eval(f"[{ahead}]"):
        assert f"\nfrom {module} import " in source
