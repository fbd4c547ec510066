"""Fills on which all who could speak of them agreed: compared once, never again, whoever repeats them.

Bounded: the oldest are forgotten by and by, and the venue time up to which they
were is kept instead. A fill from before that time that turns up later is told by
nobody else any more, so nobody can contradict it; what it did to positions and
cash is still compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from services.reconciler.core.witness import FillKey

AGREED_MAX = 100_000


@dataclass(slots=True)
class Agreed:
    """The fills agreed on, oldest first; one ledger for all three witnesses."""

    most: int = AGREED_MAX
    forgotten_ms: int = 0
    """Venue time of the newest fill that was forgotten."""
    _venue_ms: dict[FillKey, int] = field(default_factory=dict)

    def add(self, key: FillKey, venue_ms: int) -> None:
        """Note a fill that was compared and found right."""
        self._venue_ms[key] = venue_ms
        while len(self._venue_ms) > self.most:
            oldest = next(iter(self._venue_ms))
            self.forgotten_ms = max(self.forgotten_ms, self._venue_ms.pop(oldest))

    def has(self, key: FillKey, venue_ms: int) -> bool:
        """Return whether a fill need not be compared (again)."""
        return key in self._venue_ms or venue_ms <= self.forgotten_ms
