"""What is due when: a heap of reminders, each checked against the facts when it comes up.

A reminder is never taken back. A close that moved or an order that ended leaves
its reminder behind, and whoever handles it sees that it no longer holds.
"""

from __future__ import annotations

import enum
import heapq


class Due(enum.StrEnum):
    """What a reminder is about; its key is an order id, a market, a transfer, a funding or a fee change."""

    EXPIRE = "expire"
    OPEN = "open"
    CLOSE = "close"
    SWEEP = "sweep"
    DETERMINE = "determine"
    SETTLE = "settle"
    TRANSFER = "transfer"
    FUNDING = "funding"
    FEE = "fee"


class Agenda:
    """Reminders in order of time, then of entry."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Due, str]] = []
        self._count = 0

    def put(self, due_ns: int, due: Due, key: str) -> None:
        """Add a reminder."""
        self._count += 1
        heapq.heappush(self._heap, (due_ns, self._count, due, key))

    def next_ns(self) -> int | None:
        """Return when the first reminder comes up, or None."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ns: int) -> tuple[int, Due, str] | None:
        """Return the first reminder that has come up (time, what, key), or None."""
        if not self._heap or self._heap[0][0] > now_ns:
            return None
        due_ns, _, due, key = heapq.heappop(self._heap)
        return due_ns, due, key
