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
  (kalshi-api 13.3); else it is replaced: its cancel now, and a create behind it that
  leaves once the cancel is confirmed. Either way one pass is enough (ADR 0013).
* A quote that gives less than wanted moves only where the edge gained outweighs the
  place in the queue and the tokens, as far as its place is known (`queue_place`). One
  that gives more moves at once: that is a risk, and no place is worth a risk.
* Own orders never cross: `keep_apart`.
* What is not done has a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.execution import Action, Purpose
from libs.common.messages.target import QuoteV1
from services.executor.core.keep_apart import keep_apart
from services.executor.core.orders import OwnOrder
from services.executor.core.plan import Act, Held, MarketNow, Plan, PlanRules, ReplaceWith
from services.executor.core.queue_place import is_place_worth_more

__all__ = ["Act", "Held", "MarketNow", "Plan", "PlanRules", "ReplaceWith", "plan"]

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
    keep_apart(result, live)
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
    if is_place_worth_more(order, quote, now, rules):
        result.held.append(Held(side, Reason.QUEUE_KEPT))
        _settle_pair(result, order, quote, now, rules, quarantined=quarantined)
        return
    amend = Act(Action.AMEND, side, quote.price_e4, quote.qty_e2, order, "moved")
    cancel, create = amend.as_replacement()
    if quarantined or now.grid is None:
        result.held.append(Held(side, Reason.MARKET_QUARANTINED if quarantined else Reason.NO_BOOK))
        result.acts.append(cancel)
    elif rules.replace_with is ReplaceWith.AMEND and _is_clear(side, quote.price_e4, now, rules):
        result.acts.append(amend)
    else:
        result.acts += [cancel, create]


def _is_clear(side: Side, price_e4: int, now: MarketNow, rules: PlanRules) -> bool:
    touch = now.ask_e4 if side is Side.BID else now.bid_e4
    if touch is None or now.grid is None:
        # An empty side may be a book that we do not see; the slow way is safe either way.
        return False
    return (touch - price_e4) * side.sign > rules.amend_clear_ticks * now.grid.tick_at(touch)


def _by_price(side: Side, items: list[_Priced]) -> list[_Priced]:
    return items if len(items) < 2 else sorted(items, key=lambda item: -item.price_e4 * side.sign)
