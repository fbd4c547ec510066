"""Whether the exchange trades where we are in it: the whole, or a shard on which we hold or quote."""

from __future__ import annotations

from typing import Final

from libs.common.kalshi.model import ExchangeStatus, VenueOrder, VenueOrderStatus
from services.riskguard.core.reading import Reading

_HEARD_KEPT_NS: Final = 5_000_000_000
"""A listing lags behind what the feed told; a shard that the feed named stays ours for as long."""
_MS: Final = 1_000_000


class ExchangeWatch:
    """The exchange's own word, and the shards that matter to us."""

    def __init__(self) -> None:
        self._start_ns: int | None = None
        self._status: ExchangeStatus | None = None
        self._told_ns = 0
        self._listed: frozenset[int] = frozenset()
        self._named_ns: dict[int, int] = {}

    def on_tick(self, now_ns: int) -> None:
        """Begin the grace of an exchange that never told, which is as long as any other silence."""
        if self._start_ns is None:
            self._start_ns = now_ns

    def on_status(self, status: ExchangeStatus, now_ns: int) -> None:
        """Take what the exchange says."""
        self._status, self._told_ns = status, now_ns

    def on_reading(self, reading: Reading) -> None:
        """Take where our orders rest and our positions lie."""
        self._listed = frozenset(
            (
                *(order.shard for order in reading.orders),
                *(position.shard for position in reading.positions if position.qty_e2),
            )
        )

    def on_named(self, shard: int, now_ns: int) -> None:
        """Take a shard that a fill of ours came from."""
        self._named_ns[shard] = now_ns

    def on_own_order(self, order: VenueOrder, now_ns: int) -> None:
        """Take an order of ours; only one that rests makes its shard matter."""
        if order.status is VenueOrderStatus.RESTING:
            self._named_ns[order.shard] = now_ns

    def problems(self, now_ns: int, silence_ms: int) -> list[str]:
        """Return why we cannot trade where we are; ``silence_ms`` is how long the exchange may not tell."""
        status = self._status
        since_ns = self._told_ns if status is not None else self._start_ns
        silent_ms = 0 if since_ns is None else (now_ns - since_ns) // _MS
        if silent_ms > silence_ms:
            return [f"the exchange has not told its state for {silent_ms} ms"]
        if status is None:
            return []
        paused = {
            shard: "the exchange" if not is_active else "trading"
            for shard, (is_active, is_trading) in status.by_shard.items()
            if not (is_active and is_trading)
        }
        if paused and len(paused) == len(status.by_shard):
            return ["the whole exchange is paused"]
        self._named_ns = {s: at for s, at in self._named_ns.items() if now_ns - at <= _HEARD_KEPT_NS}
        ours = self._listed | self._named_ns.keys()
        return [
            f"{what} is paused on shard {shard}" for shard, what in sorted(paused.items()) if shard in ours
        ]
