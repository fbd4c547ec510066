"""The exchange pauses trading on one of the shards on which we quote; the others go on."""

from __future__ import annotations

from tests.controls.rig import Rig

_SHARDS = [1]


async def provoke(rig: Rig) -> float:
    """Pause trading there."""
    return await rig.venue.switch("pause_trading", shards=_SHARDS)


async def relieve(rig: Rig) -> None:
    """Let it go on."""
    await rig.venue.switch("resume_trading", shards=_SHARDS)
