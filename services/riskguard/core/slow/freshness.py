"""How old each reading is, and which cannot be read: told once, tried again, and never mistaken for news."""

from __future__ import annotations

from collections.abc import Iterator

from services.riskguard.core.slow.readings import KINDS, SlowRead, Unread

_MS = 1_000_000


class Freshness:
    """When each kind was read."""

    def __init__(self) -> None:
        self._read_ns: dict[str, int] = {}
        self._failing: dict[str, str] = {}

    def on_read(self, read: SlowRead, now_ns: int) -> None:
        """Take a reading, or that there is none."""
        if isinstance(read, Unread):
            self._failing[read.kind] = read.reason
            return
        kind = KINDS[type(read)]
        self._read_ns[kind] = now_ns
        self._failing.pop(kind, None)

    def ages_ms(self, now_ns: int) -> dict[str, int]:
        """Return the age of each kind that was ever read."""
        return {kind: (now_ns - read_ns) // _MS for kind, read_ns in self._read_ns.items()}

    def warnings(self) -> Iterator[tuple[str, str]]:
        """Return what cannot be read."""
        for kind, reason in self._failing.items():
            yield f"{kind} unread", f"{kind} cannot be read: {reason}"
