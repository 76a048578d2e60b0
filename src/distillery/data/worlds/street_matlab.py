"""MATLAB files (MAT v5) as the real person-search sets have them, the same bytes whenever and wherever written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from distillery.files import atomic_file

_HEADER = b"MATLAB 5.0 MAT-file, Platform: any, written by distillery (embedded street world)"


def save(path: Path, variable: str, value: Any) -> None:
    """Writes one variable, uncompressed and with a fixed header: equal content is equal bytes."""
    with atomic_file(path) as temporary:
        scipy.io.savemat(str(temporary), {variable: value}, do_compression=False)
        with temporary.open("r+b") as stream:
            # scipy writes the date into the 116 bytes of descriptive text that begin the file.
            stream.write(_HEADER.ljust(116))


def structs(rows: Sequence[dict[str, Any]]) -> Any:
    """A MATLAB struct array (1, n) with the fields of the first row."""
    array = np.empty((1, len(rows)), dtype=[(field, object) for field in rows[0]])
    for index, row in enumerate(rows):
        array[0, index] = tuple(row.values())
    return array


def column(cells: Sequence[Any]) -> Any:
    """A MATLAB cell array (n, 1)."""
    array = np.empty((len(cells), 1), object)
    for index, cell in enumerate(cells):
        array[index, 0] = cell
    return array
