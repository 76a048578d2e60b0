"""How a process that decodes thousands of images holds its memory."""

from __future__ import annotations

import ctypes

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_KEPT = 256 << 20


def keep_freed_memory() -> bool:
    """Lets the C library reuse the memory of freed images instead of handing it back to the kernel.

    By default glibc maps large blocks anew for every image, and the kernel clears every page of them again: as much
    time as decoding itself. Other C libraries are left alone.

    Returns:
        Whether that was possible.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(set_option(_MMAP_THRESHOLD, _KEPT)) and bool(set_option(_TRIM_THRESHOLD, _KEPT))
