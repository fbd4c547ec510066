"""What a position is worth: where it could be closed, at mid, and at settlement, kept apart.

Rules of the file:

* Liquidation is the other side's touch; a side that has stayed empty is worth
  nothing, one that just went empty keeps its last price for a moment, because a
  book whose last level was taken is not yet a worthless position. A price that
  outlived its side is never better than the side that is there.
* After the close there is no touch any more: the last one of the open market
  stays until the venue says what it pays. A dispute takes that back.
* Where the settlement is told, it is also what liquidation and mid say: there is
  no other price any more. The settlement mark alone says nothing before that.
* A market that we never saw has no mark; its position counts at cost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from libs.common.domain.units import DOLLAR_E4
from libs.common.messages.market import MarketState, MarketV1, TopV1

_OPEN = frozenset({MarketState.ACTIVE, MarketState.INACTIVE})
_MS = 1_000_000


@dataclass(slots=True)
class _Mark:
    """One market. `bid_e4` and `ask_e4` are the last ones seen, `*_gone_ns` since when that side is empty."""

    top: TopV1 | None = None
    heard_ns: int = 0
    bid_e4: int | None = None
    ask_e4: int | None = None
    bid_gone_ns: int | None = None
    ask_gone_ns: int | None = None
    settles_at_e4: int | None = None
    event: str = ""
    series: str = ""
    is_exclusive: bool = False


@dataclass(slots=True)
class Marks:
    """Prices of all markets; ``empty_grace_ns`` is how long an emptied side keeps its last price."""

    empty_grace_ns: int
    _marks: dict[str, _Mark] = field(default_factory=dict)

    def __iter__(self) -> Iterator[str]:
        """Return every market ever heard of."""
        return iter(self._marks)

    def on_top(self, top: TopV1, now_ns: int) -> None:
        """Take a touch."""
        mark = self._marks.setdefault(top.market, _Mark())
        mark.top, mark.heard_ns = top, now_ns
        mark.event = mark.event or top.event
        if top.state not in _OPEN or top.is_stale:
            return
        mark.bid_gone_ns = None if top.bid_e4 is not None else (mark.bid_gone_ns or now_ns)
        mark.ask_gone_ns = None if top.ask_e4 is not None else (mark.ask_gone_ns or now_ns)
        mark.bid_e4 = mark.bid_e4 if top.bid_e4 is None else top.bid_e4
        mark.ask_e4 = mark.ask_e4 if top.ask_e4 is None else top.ask_e4
        if mark.bid_e4 is not None and mark.ask_e4 is not None and mark.bid_e4 > mark.ask_e4:
            # A remembered side that the present one has passed moves along; a book that came crossed
            # closes at the worse of its prices.
            if top.bid_e4 is None:
                mark.bid_e4 = mark.ask_e4
            elif top.ask_e4 is None:
                mark.ask_e4 = mark.bid_e4
            else:
                mark.bid_e4, mark.ask_e4 = mark.ask_e4, mark.bid_e4

    def on_status(self, status: MarketV1) -> None:
        """Take what the market is: its event, and what it pays once that is known."""
        mark = self._marks.setdefault(status.market, _Mark())
        mark.event, mark.is_exclusive = status.event, status.is_exclusive_event
        mark.series = status.series
        if status.state is MarketState.DISPUTED:
            # A determination can be taken back, whatever result is still told.
            mark.settles_at_e4 = None
        elif status.settlement_value_e4 is not None:
            mark.settles_at_e4 = status.settlement_value_e4
        elif status.result in ("yes", "no"):
            mark.settles_at_e4 = DOLLAR_E4 if status.result == "yes" else 0
        else:
            mark.settles_at_e4 = None

    def leg_e4(self, market: str, now_ns: int, *, is_long: bool) -> int | None:
        """Return what closing one contract now would pay, or None if no price of it was ever seen."""
        mark = self._marks.get(market)
        if mark is None:
            return None
        if mark.settles_at_e4 is not None:
            return mark.settles_at_e4 if is_long else DOLLAR_E4 - mark.settles_at_e4
        price_e4, gone_ns = (mark.bid_e4, mark.bid_gone_ns) if is_long else (mark.ask_e4, mark.ask_gone_ns)
        is_open = mark.top is not None and mark.top.state in _OPEN
        if is_open and gone_ns is not None and now_ns - gone_ns > self.empty_grace_ns:
            return 0
        if price_e4 is None:
            return None
        return price_e4 if is_long else DOLLAR_E4 - price_e4

    def liquidation_e6(self, market: str, qty_e2: int, now_ns: int) -> int | None:
        """Return what closing now would pay, or None if the market was never seen."""
        leg_e4 = self.leg_e4(market, now_ns, is_long=qty_e2 >= 0)
        return None if leg_e4 is None else leg_e4 * abs(qty_e2)

    def mid_e6(self, market: str, qty_e2: int) -> int | None:
        """Return what the position is worth at the middle, or None without two sides."""
        mark = self._marks.get(market)
        if mark is None:
            return None
        if mark.settles_at_e4 is not None:
            return _worth(qty_e2, mark.settles_at_e4)
        if mark.bid_e4 is None or mark.ask_e4 is None:
            return None
        # Doubled so that the half tick stays exact, then rounded against us.
        return _worth(qty_e2, mark.bid_e4 + mark.ask_e4, scale=2)

    def settlement_e6(self, market: str, qty_e2: int) -> int | None:
        """Return what the venue says that the position pays, or None while it does not say."""
        mark = self._marks.get(market)
        if mark is None or mark.settles_at_e4 is None:
            return None
        return _worth(qty_e2, mark.settles_at_e4)

    def event_of(self, market: str) -> tuple[str, bool]:
        """Return the market's event and whether outcomes exclude each other; an unknown market is alone."""
        mark = self._marks.get(market)
        if mark is None or not mark.event:
            return f"?{market}", False
        return mark.event, mark.is_exclusive

    def series_of(self, market: str) -> str:
        """Return the market's series: as told, or else the first part of its name."""
        mark = self._marks.get(market)
        return mark.series if mark is not None and mark.series else market.partition("-")[0]

    def stale_reason(self, market: str, now_ns: int, now_ms: int, stale_ms: int) -> str | None:
        """Return why this market's book cannot be believed, or None if it can, or need not be any more."""
        mark = self._marks.get(market)
        if mark is None or mark.top is None:
            return f"{market}: no book"
        top = mark.top
        if top.state not in _OPEN or now_ms >= top.close_ms or mark.settles_at_e4 is not None:
            return None
        if top.is_stale:
            return f"{market}: book is stale"
        if now_ns - mark.heard_ns > stale_ms * _MS:
            return f"{market}: book not heard for {(now_ns - mark.heard_ns) // _MS} ms"
        age_ms = now_ms - top.as_of_ms
        return f"{market}: book is {age_ms} ms old" if age_ms > stale_ms else None

    def has_seen(self, market: str) -> bool:
        """Return whether a touch of this market was ever heard."""
        mark = self._marks.get(market)
        return mark is not None and mark.top is not None


def _worth(qty_e2: int, price_e4: int, *, scale: int = 1) -> int:
    leg_e4 = price_e4 if qty_e2 >= 0 else DOLLAR_E4 * scale - price_e4
    return leg_e4 * abs(qty_e2) // scale
