"""The most that can still be lost, whatever happens and whatever of ours still fills.

For one market the two ends decide: everything between is a straight line. At YES
every resting ask has filled against us and no bid has, at NO the other way round:
an adversary picks the fills after the outcome. In an event whose outcomes exclude
each other at most one market ends at YES, so the sum of all worst cases would
count losses that cannot happen together; the states are compared instead.

Losses are counted against what was paid (cost), so a realised loss is not in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4


@dataclass(frozen=True, slots=True)
class RestingOrder:
    """One order that may still fill."""

    side: Side
    price_e4: int
    qty_e2: int


@dataclass(frozen=True, slots=True)
class Holding:
    """One market: what is held and what may still fill.

    Attributes:
        market: Its name.
        event: Its event; markets of one event are judged together.
        is_exclusive: At most one market of the event ends at YES.
        positions: Signed quantity and cost (E6), once for each witness that tells another story; the worst
            of them counts.
        orders: Everything that may still fill, unknown orders included.
        series: Its series; events of one series may all go wrong together.
    """

    market: str
    event: str
    is_exclusive: bool
    positions: tuple[tuple[int, int], ...]
    orders: tuple[RestingOrder, ...] = ()
    series: str = ""


@dataclass(frozen=True, slots=True)
class Exposures:
    """Worst-case losses in millionths of a dollar, never negative."""

    markets: Mapping[str, int] = field(default_factory=dict)
    events: Mapping[str, int] = field(default_factory=dict)
    account_e6: int = 0
    series: Mapping[str, int] = field(default_factory=dict)


def outcomes_e6(holding: Holding) -> tuple[int, int]:
    """Return the worst result of one market if it ends at NO, and if it ends at YES."""
    at_no = min((0 if qty > 0 else DOLLAR_E4 * -qty) - cost for qty, cost in holding.positions or ((0, 0),))
    at_yes = min((DOLLAR_E4 * qty if qty > 0 else 0) - cost for qty, cost in holding.positions or ((0, 0),))
    for order in holding.orders:
        if order.side is Side.BID:
            at_no -= order.price_e4 * order.qty_e2
        else:
            at_yes -= (DOLLAR_E4 - order.price_e4) * order.qty_e2
    return at_no, at_yes


def exposures(holdings: Iterable[Holding]) -> Exposures:
    """Return the worst-case loss of each market, each event, each series and the account."""
    markets: dict[str, int] = {}
    by_event: dict[str, list[tuple[int, int]]] = {}
    exclusive: dict[str, bool] = {}
    series_of: dict[str, str] = {}
    for holding in holdings:
        at_no, at_yes = outcomes_e6(holding)
        markets[holding.market] = max(0, -min(at_no, at_yes))
        by_event.setdefault(holding.event, []).append((at_no, at_yes))
        exclusive[holding.event] = exclusive.get(holding.event, True) and holding.is_exclusive
        series_of[holding.event] = holding.series
    events = {
        event: max(0, -(_worst_exclusive(outcomes) if exclusive[event] else sum(map(min, outcomes))))
        for event, outcomes in by_event.items()
    }
    series: dict[str, int] = {}
    for event, worst_e6 in events.items():
        series[series_of[event]] = series.get(series_of[event], 0) + worst_e6
    return Exposures(markets, events, sum(events.values()), series)


def _worst_exclusive(outcomes: list[tuple[int, int]]) -> int:
    all_no = sum(at_no for at_no, _ in outcomes)
    return all_no + min(0, *(at_yes - at_no for at_no, at_yes in outcomes))
