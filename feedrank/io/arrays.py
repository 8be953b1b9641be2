"""Arrays from a directory, or from a folder within a zip."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Union

import numpy as np

Place = Union[Path, zipfile.Path]


def read_array(place: Place) -> np.ndarray:
    """Array of a `.npy` file: memory-mapped from a directory, held in memory from a zip."""
    if isinstance(place, Path):
        return np.asarray(np.load(place, mmap_mode="r", allow_pickle=False))
    return np.asarray(np.load(io.BytesIO(place.read_bytes()), allow_pickle=False))
