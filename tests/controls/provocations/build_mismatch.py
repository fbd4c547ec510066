"""A second replica of another build joins strategy."""

from __future__ import annotations

from tests.controls.played import PlayedBeat
from tests.controls.rig import Rig

_NAME = "strategy-other"


async def provoke(rig: Rig) -> float:
    """Let it beat."""
    rig.played.beats[_NAME] = PlayedBeat("strategy", _NAME, build="other")
    return await rig.played.say_beats()


async def relieve(rig: Rig) -> None:
    """Let it end."""
    del rig.played.beats[_NAME]
