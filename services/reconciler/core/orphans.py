"""The register of orphans: what was found, when, and what a person or the executor made of it.

A row is written when an orphan counts and again when it is resolved; the newest
row of an id holds (table ``orphaned_orders``, D-145). Ids come from the venue's
own order id, so a restart finds the same orphan under the same id.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from libs.common.messages.risk import OrphanAskV1, OrphanedOrderV1, OrphanV1

RESOLVED_MAX: Final = 10_000
"""Resolved rows that are remembered, so that they are not found anew."""


class Resolution(enum.StrEnum):
    """The words of D-145."""

    MANUAL_CLOSE = "MANUAL_CLOSE"
    AUTO_CLOSE = "AUTO_CLOSE"
    FALSE_POSITIVE = "FALSE_POSITIVE"


@dataclass(slots=True)
class Orphans:
    """One account's register."""

    account: str
    _rows: dict[str, OrphanedOrderV1] = field(default_factory=dict)

    def on_stored(self, row: OrphanedOrderV1) -> None:
        """Take a row that was written before; the newest of an id comes last."""
        self._put(row)

    @property
    def open(self) -> tuple[OrphanedOrderV1, ...]:
        """Return the unresolved rows, oldest first."""
        return tuple(row for row in self._rows.values() if not row.resolved)

    @property
    def rows(self) -> tuple[OrphanedOrderV1, ...]:
        """Return all rows that are remembered, oldest first."""
        return tuple(self._rows.values())

    def on_detected(self, orphan: OrphanV1, now_ms: int, *, is_ours: bool) -> OrphanedOrderV1 | None:
        """Return a new row, or None for an orphan that is in the register."""
        # A resolved order stays resolved; a position may become an orphan again another day.
        is_known = (
            orphan.order_id in self._rows
            if orphan.order_id
            else any(row.ticker == orphan.ticker and not row.order_id for row in self.open)
        )
        if is_known:
            return None
        row = OrphanedOrderV1(
            id=orphan.order_id or f"position-{orphan.ticker}-{now_ms}",
            user_id="",
            account=self.account,
            ticker=orphan.ticker,
            order_id=orphan.order_id,
            side=orphan.side,
            size_e2=orphan.size_e2,
            price_e4=orphan.avg_price_e4,
            detected_ms=now_ms,
            is_ours=is_ours,
        )
        self._put(row)
        return row

    def on_resting(self, order_ids: Collection[str], now_ms: int) -> Iterable[OrphanedOrderV1]:
        """Return rows that resolved themselves: ours, which the executor was asked to cancel and did.

        A foreign order that is gone stays open: a person must say what it was.
        """
        gone = [row for row in self.open if row.is_ours and row.order_id and row.order_id not in order_ids]
        return [
            self._resolved(row, Resolution.AUTO_CLOSE, "reconciler", "it no longer rests", now_ms)
            for row in gone
        ]

    def resolve(self, ask: OrphanAskV1, now_ms: int) -> OrphanedOrderV1 | str:
        """Return the resolved row, or why it cannot be resolved. No order is touched."""
        row = self._rows.get(ask.id)
        if row is None:
            return f"an orphan of the register, was {ask.id!r}"
        if row.resolved:
            return f"an open orphan, was resolved before as {row.resolution_action}"
        if ask.action not in set(Resolution):
            return f"one of {', '.join(Resolution)}, was {ask.action!r}"
        if not ask.by.strip() or not ask.reason.strip():
            return "who resolves it and why, was empty"
        return self._resolved(row, Resolution(ask.action), ask.by.strip(), ask.reason.strip(), now_ms)

    def _resolved(
        self,
        row: OrphanedOrderV1,
        action: Resolution,
        by: str,
        reason: str,
        now_ms: int,
    ) -> OrphanedOrderV1:
        done = msgspec.structs.replace(
            row,
            user_id=by,
            resolved=True,
            resolution_action=action.value,
            reason=reason,
            resolved_ms=now_ms,
        )
        self._put(done)
        return done

    def _put(self, row: OrphanedOrderV1) -> None:
        self._rows[row.id] = row
        if len(self._rows) <= RESOLVED_MAX:
            return
        resolved = [name for name, one in self._rows.items() if one.resolved]
        for name in resolved[:-RESOLVED_MAX]:
            del self._rows[name]
