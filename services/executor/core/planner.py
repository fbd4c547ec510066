"""Move one market from what rests to what is wanted, with the fewest and safest requests.

A pure diff; it reads no clock and keeps nothing. Rules of the file:

* A side with a request in flight gets no action: acting on a guess is how a maker
  ends up with two orders where it wanted one.
* A market with an unknown order gets no create and no amend; cancels and decreases go on.
* Size that only falls is decreased, never cancelled: the place in the queue is kept.
* A price within half a tick of the market's own grid is the same price. A resting
  quote that gives more than wanted moves at once; one that gives less stays until
  the difference is worth a place in the queue (`hysteresis_ticks`).
* A moved quote is amended where the new price stays clear of the visible touch,
  because whether a post-only order stays post-only through an amend is undocumented
  (kalshi-api 13.3); else it is cancelled now and placed after the cancel is confirmed.
* Own orders never cross: what is in flight counts at its worst price.
* What is not done has a reason.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from libs.common.domain.grid import PriceGrid
from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.execution import Action, Purpose
from libs.common.messages.target import QuoteV1
from services.executor.core.orders import OwnOrder


class ReplaceWith(enum.StrEnum):
    """How a quote moves to another price."""

    AMEND = "amend"
    CANCEL_CREATE = "cancel_create"


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What the planner is configured with.

    Attributes:
        hysteresis_ticks: A quote that gives less than wanted stays while it is at most so
            many ticks away; 0 moves it by any tick.
        hysteresis_e2: Size differences up to this are no reason for a request.
        replace_with: `AMEND` where it is safe, or always `CANCEL_CREATE`.
        amend_clear_ticks: How far from the opposite touch an amended price must stay.
        renew_ms: Orders that expire sooner than this are renewed.
        life_ms: How long an order or a renewal lives.
    """

    hysteresis_ticks: int = 1
    hysteresis_e2: int = 0
    replace_with: ReplaceWith = ReplaceWith.AMEND
    amend_clear_ticks: int = 1
    renew_ms: int = 20_000
    life_ms: int = 60_000


@dataclass(frozen=True, slots=True)
class MarketNow:
    """The market as the planner sees it.

    Attributes:
        grid: None while unknown: then no create and no amend.
        bid_e4: Best visible bid, None for none or unknown.
        ask_e4: Best visible ask, the same.
        is_open: False once closed: then no request at all is of use.
        now_ms: Exchange time.
    """

    market: str
    grid: PriceGrid | None
    bid_e4: int | None
    ask_e4: int | None
    is_open: bool
    now_ms: int


@dataclass(frozen=True, slots=True)
class Act:
    """One request to make.

    Attributes:
        order: The order it changes; None for a create.
        price_e4: Wanted price; of a decrease or cancel the present one.
        qty_e2: Wanted remaining quantity; 0 for a cancel.
        why: One word for the log.
    """

    action: Action
    side: Side
    price_e4: int
    qty_e2: int
    order: OwnOrder | None
    why: str


@dataclass(frozen=True, slots=True)
class Held:
    """A wanted change that is not made now, or a quote that stays, with the reason."""

    side: Side
    reason: Reason


@dataclass(slots=True)
class Plan:
    """Actions in the order to perform them: cancels, decreases, amends, creates."""

    acts: list[Act] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    def of(self, *actions: Action) -> list[Act]:
        """Return the acts of these kinds."""
        return [act for act in self.acts if act.action in actions]


_Priced = TypeVar("_Priced", OwnOrder, QuoteV1)
_ORDER = {Action.CANCEL: 0, Action.DECREASE: 1, Action.AMEND: 2, Action.CREATE: 3}


def plan(wanted: Sequence[QuoteV1], live: Sequence[OwnOrder], now: MarketNow, rules: PlanRules) -> Plan:
    """Return the actions that move the market from ``live`` to ``wanted``."""
    result = Plan()
    if not now.is_open:
        # After close even cancels are refused; the venue cancels by itself (kalshi-api 22.2).
        result.held.extend(Held(side, Reason.MARKET_NOT_ACTIVE) for side in Side)
        return result
    quarantined = any(order.is_unknown for order in live)
    for side in Side:
        quotes = [quote for quote in wanted if quote.side is side and quote.qty_e2 > 0]
        # What a person or a flatten asked for is not ours to move; it still keeps quotes from crossing it.
        orders = [order for order in live if order.side is side and order.purpose is Purpose.MAKER]
        if any(order.is_in_flight for order in orders):
            result.held.append(Held(side, Reason.REQUEST_IN_FLIGHT))
            continue
        _plan_side(result, side, quotes, orders, now=now, rules=rules, quarantined=quarantined)
    _keep_apart(result, live)
    result.acts.sort(key=lambda act: _ORDER[act.action])
    return result


def _plan_side(
    result: Plan,
    side: Side,
    quotes: list[QuoteV1],
    orders: list[OwnOrder],
    *,
    now: MarketNow,
    rules: PlanRules,
    quarantined: bool,
) -> None:
    known = [order for order in orders if not order.is_unknown and order.order_id]
    pairs, spare_orders, spare_quotes = _pair(side, quotes, known, now, rules)
    for order, quote in pairs:
        _settle_pair(result, order, quote, now, rules, quarantined=quarantined)
    # Nearest first: with one quote a side this is simply "the order moves to the quote".
    moves = list(zip(_by_price(side, spare_orders), _by_price(side, spare_quotes), strict=False))
    for order, quote in moves:
        _move(result, order, quote, now, rules, quarantined=quarantined)
    for order in _by_price(side, spare_orders)[len(moves) :]:
        result.acts.append(Act(Action.CANCEL, side, order.price_e4, 0, order, "not_wanted"))
    for quote in _by_price(side, spare_quotes)[len(moves) :]:
        if quarantined:
            result.held.append(Held(side, Reason.MARKET_QUARANTINED))
        elif now.grid is None:
            result.held.append(Held(side, Reason.NO_BOOK))
        else:
            result.acts.append(Act(Action.CREATE, side, quote.price_e4, quote.qty_e2, None, "wanted"))


def _pair(
    side: Side, quotes: list[QuoteV1], orders: list[OwnOrder], now: MarketNow, rules: PlanRules
) -> tuple[list[tuple[OwnOrder, QuoteV1]], list[OwnOrder], list[QuoteV1]]:
    # Same price first, so that a ladder which shifts by one level keeps its other levels.
    spare_orders, spare_quotes = list(orders), list(quotes)
    pairs: list[tuple[OwnOrder, QuoteV1]] = []
    for reach_ticks in (0, rules.hysteresis_ticks):
        for quote in tuple(spare_quotes):
            for order in spare_orders:
                tick = now.grid.tick_at(quote.price_e4) if now.grid is not None else 2
                less_e4 = (quote.price_e4 - order.price_e4) * side.sign
                if abs(less_e4) * 2 < tick or 0 < less_e4 <= reach_ticks * tick:
                    pairs.append((order, quote))
                    spare_orders.remove(order)
                    spare_quotes.remove(quote)
                    break
    return pairs, spare_orders, spare_quotes


def _settle_pair(
    result: Plan, order: OwnOrder, quote: QuoteV1, now: MarketNow, rules: PlanRules, *, quarantined: bool
) -> None:
    side, surplus_e2 = order.side, order.remaining_e2 - quote.qty_e2
    expires_soon = bool(order.expires_ms) and order.expires_ms - now.now_ms < rules.renew_ms
    if surplus_e2 > rules.hysteresis_e2:
        act = Act(Action.DECREASE, side, order.price_e4, quote.qty_e2, order, "smaller")
    elif -surplus_e2 > rules.hysteresis_e2:
        # The price stays where it rests: a larger size must not also move a quote that is near enough.
        act = Act(Action.AMEND, side, order.price_e4, quote.qty_e2, order, "larger")
    elif expires_soon:
        act = Act(Action.AMEND, side, order.price_e4, order.remaining_e2, order, "renew")
    else:
        result.held.append(Held(side, Reason.WITHIN_TOLERANCE))
        return
    if act.action is Action.AMEND and (quarantined or now.grid is None):
        result.held.append(Held(side, Reason.MARKET_QUARANTINED if quarantined else Reason.NO_BOOK))
        return
    result.acts.append(act)


def _move(
    result: Plan, order: OwnOrder, quote: QuoteV1, now: MarketNow, rules: PlanRules, *, quarantined: bool
) -> None:
    side = order.side
    if (
        not quarantined
        and rules.replace_with is ReplaceWith.AMEND
        and now.grid is not None
        and _is_clear(side, quote.price_e4, now, rules)
    ):
        result.acts.append(Act(Action.AMEND, side, quote.price_e4, quote.qty_e2, order, "moved"))
        return
    result.acts.append(Act(Action.CANCEL, side, order.price_e4, 0, order, "replaced"))
    result.held.append(Held(side, Reason.CANCEL_FIRST))


def _is_clear(side: Side, price_e4: int, now: MarketNow, rules: PlanRules) -> bool:
    touch = now.ask_e4 if side is Side.BID else now.bid_e4
    if touch is None or now.grid is None:
        # An empty side may be a book that we do not see; the slow way is safe either way.
        return False
    return (touch - price_e4) * side.sign > rules.amend_clear_ticks * now.grid.tick_at(touch)


def _keep_apart(result: Plan, live: Sequence[OwnOrder]) -> None:
    """Hold back creates and amends that could meet an order of ours as it is, or as another act makes it."""
    for side in Side:
        others = [order.worst_price_e4 for order in live if order.side is side.opposite and order.open_e2]
        kept: list[Act] = []
        for act in result.acts:
            if act.side is not side or act.action not in (Action.CREATE, Action.AMEND):
                kept.append(act)
                continue
            planned = [
                other.price_e4
                for other in kept
                if other.side is side.opposite and other.action in (Action.CREATE, Action.AMEND)
            ]
            if any((act.price_e4 - other) * side.sign >= 0 for other in (*others, *planned)):
                result.held.append(Held(side, Reason.CANCEL_FIRST))
            else:
                kept.append(act)
        result.acts = kept


def _by_price(side: Side, items: list[_Priced]) -> list[_Priced]:
    return sorted(items, key=lambda item: -item.price_e4 * side.sign)
