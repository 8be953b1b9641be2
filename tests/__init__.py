"""Tests of the library, the stages and the service, in processes that share few processors."""

import os

# Threads that wait for others sleep instead of spinning, which would take the processor from
# another worker of pytest. Read as the libraries load, so set before the first of them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
