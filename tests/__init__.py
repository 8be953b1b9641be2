"""Tests of the whole project."""

import os

# Two workers of pytest on two processors: a second thread of each spins while it waits for its
# turn, at 2.6 times the processor time. Set before numpy is imported, and for all processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
