"""The executor stands still (SIGSTOP) with quotes at the venue: no heartbeat, nothing disconnects.

The window is the silence itself, `timing.executor_silence_ms`. Measured at the riskguard's permit: who
is silenced here is the one whose gate would be asked.
"""

from __future__ import annotations

from libs.common.bus.api import BusError
from tests.controls.rig import Rig

WINDOW_MS = 3_000
MEASURED_AT = "permit"


async def provoke(rig: Rig) -> float:
    """Freeze the leader."""
    before_s = rig.now_s()
    rig.executor.freeze()
    return before_s


async def relieve(rig: Rig) -> None:
    """Thaw it; one that finds its epoch or its groups gone ends by itself, and the next one begins."""
    rig.executor.thaw()

    async def speaks_or_ended() -> bool:
        if not rig.executor.is_alive:
            rig.executor.start()
        try:
            return (await rig.status("executor")).state == "running"
        except BusError:
            return False

    await rig.until(speaks_or_ended, "an executor that runs")
