"""The riskguard's wall clock is set two seconds ahead while it runs (frontier 4.23).

The machine's own clock cannot be set by a test, so the service runs with one that reads its offset
from a file (`tests/controls/clockwork`); all else of the process is the real service.
"""

from __future__ import annotations

import struct
from pathlib import Path

from libs.cli.places import ROOT
from tests.controls.rig import Rig

LIMITS = {"health.clock_step_ms": 1_000}
_STEP_NS = 2_000_000_000
_CLOCKWORK = Path(__file__).resolve().parents[1] / "clockwork"
_VARIABLES = ("PYTHONPATH", "STEPPED_CLOCK_FILE")


def _file(rig: Rig) -> Path:
    return rig.folder / "clock-offset"


def _set(rig: Rig, offset_ns: int) -> None:
    """Set the offset in place: the process has the file mapped."""
    with _file(rig).open("r+b") as file:
        file.write(struct.pack("<q", offset_ns))


async def prepare(rig: Rig) -> None:
    """Let the next riskguard run by the clock that can be set."""
    _file(rig).write_bytes(struct.pack("<q", 0))
    values = (f"{_CLOCKWORK}:{ROOT}", str(_file(rig)))
    rig.riskguard.told |= dict(zip(_VARIABLES, values, strict=True))


async def provoke(rig: Rig) -> float:
    """Set it ahead."""
    before_s = rig.now_s()
    _set(rig, _STEP_NS)
    return before_s


async def relieve(rig: Rig) -> None:
    """Go on with the machine's own clock."""
    for name in _VARIABLES:
        del rig.riskguard.told[name]
    await rig.widen()
