"""How much memory this process holds, without a dependency."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Final

_MEGABYTE: Final = 1_000_000


def resident_mb() -> float:
    """Return the resident memory in megabytes: present on Linux, the peak elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / _MEGABYTE if sys.platform == "darwin" else peak * 1024 / _MEGABYTE
    return pages * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE
