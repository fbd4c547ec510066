"""The disk of our state is nearly full: soon no halt could be written on it (F17)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.riskguard.core.limits import Limits
from services.riskguard.core.triggers.base import Fired, View

_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """The disk of our state is nearly full: a pause until there is room for latches again."""

    name: str = "disk_usage"
    text: str = "the disk of our state is nearly full"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        slow, bounds = view.slow, limits.slow
        if slow.disk_used_e4 is not None and slow.disk_used_e4 > bounds.disk_used_e4:
            text = f"{self.text}: {slow.disk_used_e4 / 100:.2f} %, limit {bounds.disk_used_e4 / 100:.2f}"
            return Fired(self.name, text, bounds.disk_used_e4, slow.disk_used_e4, self.is_latching)
        if slow.disk_free_bytes is not None and slow.disk_free_bytes < bounds.disk_free_mb_min * _MB:
            free_mb = slow.disk_free_bytes // _MB
            text = f"{self.text}: {free_mb} MB are free, needs {bounds.disk_free_mb_min}"
            return Fired(self.name, text, bounds.disk_free_mb_min, free_mb, self.is_latching)
        return None
