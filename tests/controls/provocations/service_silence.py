"""Marketdata's heartbeat stops; its books go on, so nothing else can be what closes the gate.

The window is the silence itself.
"""

from __future__ import annotations

from tests.controls.rig import Rig

LIMITS = {"health.service_silence_ms": 2_000}
WINDOW_MS = 2_000


async def provoke(rig: Rig) -> float:
    """Let marketdata's heartbeat stop."""
    before_s = rig.now_s()
    rig.played.beats["marketdata"].is_silent = True
    return before_s


async def relieve(rig: Rig) -> None:
    """Let it beat again."""
    rig.played.beats["marketdata"].is_silent = False
    await rig.played.say_beats()
