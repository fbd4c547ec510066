"""What every followed market is: shard, grid, fees, hours, state, settlement.

A market's terms are spread over three nouns of the venue: the market has grid
and hours, its event may override the fee, the series has the fee else (kalshi-api
9 and 21). The feed says nothing when a market opens or closes, so the state is
derived here from the venue's last word and our own clock (22.1). A change of
anything gives the market's status a new sequence number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from libs.common.kalshi.model import Lifecycle, VenueEvent, VenueMarket, VenueSeries
from libs.common.messages.market import FeeTermsV1, MarketState, MarketV1

FEE_UPDATE = "event_fee_update"
LISTING_LAG_MS = 5_000
_STATE_OF_EVENT: Mapping[str, MarketState] = {
    "activated": MarketState.ACTIVE,
    "deactivated": MarketState.INACTIVE,
    "determined": MarketState.DETERMINED,
    "settled": MarketState.FINALIZED,
}


@dataclass(slots=True)
class _Entry:
    """One market as last told, and the status last derived from it."""

    market: VenueMarket
    event: VenueEvent
    series: VenueSeries
    status: MarketV1
    next_ms: int = 0
    """When time alone will change the status next; 0 for never."""
    settled_ms: int = 0
    told_ms: int = 0
    """When the feed last spoke of it."""


@dataclass(slots=True)
class Catalog:
    """All followed markets."""

    producer: str
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _by_event: dict[str, set[str]] = field(default_factory=dict)
    _paused_shards: frozenset[int] = frozenset()
    _is_trading: bool = True

    def __contains__(self, market: str) -> bool:
        return market in self._entries

    def markets(self) -> tuple[str, ...]:
        """Return the followed markets in the order they came."""
        return tuple(self._entries)

    def status(self, market: str) -> MarketV1:
        """Return the market's present status."""
        return self._entries[market].status

    def siblings(self, market: str) -> tuple[str, ...]:
        """Return the other followed outcomes of a mutually exclusive event, sorted."""
        entry = self._entries[market]
        if not entry.event.is_mutually_exclusive:
            return ()
        return tuple(sorted(self._by_event[entry.market.event] - {market}))

    def put(self, market: VenueMarket, event: VenueEvent, series: VenueSeries, now_ms: int) -> bool:
        """Take what a listing says of a market and return whether its status changed."""
        entry = self._entries.get(market.market)
        if entry is None:
            status = self._derive(market, event, series, now_ms, sequence=1)
            entry = self._entries[market.market] = _Entry(market, event, series, status)
            self._by_event.setdefault(market.event, set()).add(market.market)
            self._note_times(entry, now_ms)
            return True
        if now_ms - entry.told_ms < LISTING_LAG_MS:
            # Listings lag behind the feed (kalshi-api 14.3): one must not undo what the feed just said.
            return False
        entry.market, entry.event, entry.series = market, event, series
        return self._refresh(entry, now_ms)

    def drop(self, market: str) -> None:
        """Forget a market."""
        entry = self._entries.pop(market, None)
        if entry is not None:
            self._by_event[entry.market.event].discard(market)

    def set_trading(self, *, is_trading: bool, paused_shards: frozenset[int], now_ms: int) -> list[str]:
        """Take the exchange's status and return the markets whose status changed."""
        if (is_trading, paused_shards) == (self._is_trading, self._paused_shards):
            return []
        self._is_trading, self._paused_shards = is_trading, paused_shards
        return [name for name, entry in self._entries.items() if self._refresh(entry, now_ms)]

    def on_lifecycle(self, event: Lifecycle, now_ms: int) -> list[str]:
        """Take a word about a market's life and return the markets whose status changed."""
        if event.event_type == FEE_UPDATE:
            return self._on_fees(event, now_ms)
        entry = self._entries.get(event.market)
        if entry is None:
            return []
        entry.told_ms = now_ms
        state = _STATE_OF_EVENT.get(event.event_type, entry.market.state)
        if event.event_type == "determined" and entry.market.state in (
            MarketState.DETERMINED,
            MarketState.DISPUTED,
        ):
            state = MarketState.AMENDED
        entry.market = replace(
            entry.market,
            state=state,
            close_ms=entry.market.close_ms if event.close_ms is None else event.close_ms,
            grid=entry.market.grid if event.grid is None else event.grid,
            result=entry.market.result if event.result is None else event.result,
            settlement_value_e4=(
                entry.market.settlement_value_e4
                if event.settlement_value_e4 is None
                else event.settlement_value_e4
            ),
        )
        return [event.market] if self._refresh(entry, now_ms) else []

    def tick(self, now_ms: int) -> list[str]:
        """Let time pass and return the markets that opened, closed, or whose waiver ended."""
        return [
            name
            for name, entry in self._entries.items()
            if 0 < entry.next_ms <= now_ms and self._refresh(entry, now_ms)
        ]

    def settled_before(self, ms: int) -> list[str]:
        """Return the markets that were settled before a time: they may be dropped."""
        return [name for name, entry in self._entries.items() if 0 < entry.settled_ms < ms]

    def _on_fees(self, event: Lifecycle, now_ms: int) -> list[str]:
        changed = []
        for name in sorted(self._by_event.get(event.event or "", ())):
            entry = self._entries[name]
            entry.told_ms = now_ms
            entry.event = replace(
                entry.event,
                fee_type_override=event.fee_type,
                fee_multiplier_override_e4=event.fee_multiplier_e4,
            )
            if self._refresh(entry, now_ms):
                changed.append(name)
        return changed

    def _refresh(self, entry: _Entry, now_ms: int) -> bool:
        before = entry.status
        self._note_times(entry, now_ms)
        status = self._derive(entry.market, entry.event, entry.series, now_ms, before.sequence)
        if status == before:
            return False
        entry.status = self._derive(entry.market, entry.event, entry.series, now_ms, before.sequence + 1)
        return True

    @staticmethod
    def _note_times(entry: _Entry, now_ms: int) -> None:
        market = entry.market
        if market.state is MarketState.FINALIZED and not entry.settled_ms:
            entry.settled_ms = now_ms
        times = (market.open_ms, market.close_ms, market.fee_waiver_until_ms or 0)
        entry.next_ms = min((ms for ms in times if ms > now_ms), default=0)

    def _derive(
        self, market: VenueMarket, event: VenueEvent, series: VenueSeries, now_ms: int, sequence: int
    ) -> MarketV1:
        fee_type, multiplier_e4 = event.fee_type_override, event.fee_multiplier_override_e4
        is_waived = market.fee_waiver_until_ms is not None and now_ms < market.fee_waiver_until_ms
        return MarketV1(
            market=market.market,
            event=market.event,
            series=series.series,
            shard=market.shard,
            state=_state_at(market, now_ms),
            title=market.title,
            grid=market.grid,
            fee=FeeTermsV1(
                fee_type=series.fee_type if fee_type is None else fee_type,
                multiplier_e4=0
                if is_waived
                else (series.fee_multiplier_e4 if multiplier_e4 is None else multiplier_e4),
            ),
            open_ms=market.open_ms,
            close_ms=market.close_ms,
            is_exclusive_event=event.is_mutually_exclusive,
            can_close_early=market.can_close_early,
            trading_active=self._is_trading and market.shard not in self._paused_shards,
            result=market.result,
            settlement_value_e4=market.settlement_value_e4,
            sequence=sequence,
            producer=self.producer,
        )


def _state_at(market: VenueMarket, now_ms: int) -> MarketState:
    # Opening and closing come without a message (kalshi-api 22.1).
    state = market.state
    if state is MarketState.INITIALIZED and market.open_ms <= now_ms:
        state = MarketState.ACTIVE
    if state in (MarketState.ACTIVE, MarketState.INACTIVE) and market.close_ms <= now_ms:
        return MarketState.CLOSED
    return state
