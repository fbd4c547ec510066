"""Somebody fills the disk on which the riskguard's state lies.

A real file on the real disk: the limit is what is free now, less a little, and the file is larger
than that. Seen with the next look at the disk, so the window is the time between two.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.controls.rig import Rig

SETTINGS = {"timing.host_ms": 500}
WINDOW_MS = 500
_LESS_MB, _FILE_MB = 400, 800
_MB = 1_000_000


def _file(rig: Rig) -> Path:
    return rig.folder / "ballast"


async def limits(rig: Rig) -> dict[str, object]:
    """Need what is free now, less a little."""
    told = os.statvfs(rig.folder)
    return {"slow.disk_free_mb_min": told.f_bavail * told.f_frsize // _MB - _LESS_MB}


async def provoke(rig: Rig) -> float:
    """Take more than that little."""
    before_s = rig.now_s()
    with _file(rig).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _FILE_MB * _MB)
    return before_s


async def relieve(rig: Rig) -> None:
    """Give it back."""
    _file(rig).unlink()
