"""Tests of the whole project."""

import os

# A second thread spins while it waits for a busy processor: 36 tests of routes took 2.4 times the
# processor time on a loaded machine. Set before numpy is imported, and for all processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
