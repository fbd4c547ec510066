"""Sum up fills and settlements: what they make of positions, and of the cash of each shard.

Buying YES at p pays p; selling it opens NO and pays one dollar minus p; a pair
of both legs gives its dollar back. So the cash of a market is the signed
principal of its fills, minus one dollar for every NO held, minus fees, plus what
a settlement paid. That is a sum: no order of events can change it, and a fill
that arrives late lands where it belongs.

Positions and balance are read a moment before or after the fills, and reads lag
writes. A reading is therefore right when it equals all the older events plus the
first few of the young ones in venue order; what remains is the residual.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from libs.common.domain.units import DOLLAR_E4
from libs.common.kalshi.model import VenueFill, VenueSettlement

Event = VenueFill | VenueSettlement


def event_ms(event: Event) -> int:
    """Return the venue time of an event."""
    return event.venue_ms if isinstance(event, VenueFill) else event.settled_ms


@dataclass(slots=True)
class _MarketSums:
    """One market's running sums; ``filled_e2`` is signed and goes on counting past settlement."""

    shard: int
    principal_e6: int = 0
    fees_e6: int = 0
    filled_e2: int = 0
    settlement_e6: int = 0
    is_settled: bool = False

    @property
    def cash_e6(self) -> int:
        no_held_e2 = max(0, -self.filled_e2)
        return self.principal_e6 - DOLLAR_E4 * no_held_e2 - self.fees_e6 + self.settlement_e6

    @property
    def position_e2(self) -> int:
        return 0 if self.is_settled else self.filled_e2


@dataclass(slots=True)
class Sums:
    """All markets' sums; applying events in any order gives the same."""

    _markets: dict[str, _MarketSums] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Count one event; the caller has removed duplicates."""
        sums = self._markets.get(event.market)
        if sums is None:
            sums = self._markets[event.market] = _MarketSums(event.shard)
        if isinstance(event, VenueSettlement):
            # What the venue calls the fee of a settlement was never paid out (kalshi-api 22.4).
            sums.settlement_e6 += event.revenue_e6
            sums.is_settled = True
            return
        sums.principal_e6 -= event.side.sign * event.price_e4 * event.qty_e2
        sums.filled_e2 += event.side.sign * event.qty_e2
        sums.fees_e6 += event.fee_e6

    @property
    def cash_e6(self) -> int:
        """Return the money that flowed."""
        return sum(sums.cash_e6 for sums in self._markets.values())

    def cash_by_shard(self) -> dict[int, int]:
        """Return the money that flowed on each shard."""
        by_shard: dict[int, int] = {}
        for sums in self._markets.values():
            by_shard[sums.shard] = by_shard.get(sums.shard, 0) + sums.cash_e6
        return by_shard

    def shards(self) -> set[int]:
        """Return the shards that had an event."""
        return {sums.shard for sums in self._markets.values()}

    def market_cash_e6(self, market: str) -> int:
        """Return the money that flowed in one market."""
        sums = self._markets.get(market)
        return 0 if sums is None else sums.cash_e6

    def position_e2(self, market: str) -> int:
        """Return the signed position, 0 once settled."""
        sums = self._markets.get(market)
        return 0 if sums is None else sums.position_e2

    def filled_e2(self, market: str) -> int:
        """Return the signed sum of fills, settled or not."""
        sums = self._markets.get(market)
        return 0 if sums is None else sums.filled_e2

    def is_settled(self, market: str) -> bool:
        """Return whether a settlement was counted."""
        sums = self._markets.get(market)
        return sums is not None and sums.is_settled

    def positions(self) -> Mapping[str, int]:
        """Return the signed positions that are not flat."""
        return {market: s.position_e2 for market, s in self._markets.items() if s.position_e2}

    def markets(self) -> Iterable[str]:
        """Return every market that had an event."""
        return self._markets.keys()

    def of_market(self, market: str) -> Sums:
        """Return a copy that holds this market only."""
        sums = self._markets.get(market)
        if sums is None:
            return Sums()
        return Sums({market: replace(sums)})


def in_venue_order(events: Iterable[Event]) -> list[Event]:
    """Return the events by venue time; a settlement comes after the fills of its instant."""
    return sorted(events, key=lambda e: (event_ms(e), isinstance(e, VenueSettlement), _tie(e)))


def position_residual_e2(old: Sums, young: Iterable[Event], market: str, says_e2: int) -> int:
    """Return the smallest difference to old events plus a first few young ones; 0 is explained."""
    return _smallest(says_e2 - prefix.position_e2(market) for prefix in _prefixes(old, young, market))


def _prefixes(old: Sums, young: Iterable[Event], market: str) -> Iterable[Sums]:
    sums = old.of_market(market)
    yield sums
    for event in young:
        if event.market == market:
            sums.apply(event)
            yield sums


def _smallest(residuals: Iterable[int]) -> int:
    # Equally small ones: the later, which contains more of what happened.
    return min(reversed(list(residuals)), key=abs)


def _tie(event: Event) -> str:
    return event.trade_id if isinstance(event, VenueFill) else event.market
