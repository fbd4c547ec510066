"""The file of the riskguard's venue key turns out to be a year old.

Seen with the next look at the file, so the window is the time between two.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.controls.rig import Rig

LIMITS = {"slow.credential_days_max": 180}
SETTINGS = {"timing.host_ms": 500}
WINDOW_MS = 500
_YEAR_S = 365 * 86_400


def _file(rig: Rig) -> Path:
    entry = next(account for account in rig.venue.at.accounts if account.name == "riskguard")
    return Path(entry.key_file)


async def provoke(rig: Rig) -> float:
    """Let it have been written a year ago."""
    before_s, written_s = rig.now_s(), time.time() - _YEAR_S
    os.utime(_file(rig), (written_s, written_s))
    return before_s


async def relieve(rig: Rig) -> None:
    """Let it have been written now, as a new key's file is."""
    os.utime(_file(rig))
