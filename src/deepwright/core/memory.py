"""Memory that was freed, given back to the system: C's allocator keeps what threads freed, and a long pass adds up."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _trim() -> Any:
    """glibc's `malloc_trim`; None with another C library, which does without."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None


def release() -> None:
    """Give freed memory back to the system, where the C library can; nothing that is in use is touched."""
    trim = _trim()
    if trim is not None:
        trim(0)
