"""Changing an order that rests: decrease keeps its place, amend may lose it.

An amend keeps the place in the queue when it only makes the order smaller or
moves its expiry; a new price or a larger size queues again and may trade at
once (kalshi-api 13.3). The order id stays the same in every case.
"""

from __future__ import annotations

from services.simexchange.core.accounts import Account
from services.simexchange.core.clearing import Clearing
from services.simexchange.core.entry import (
    CLOSED,
    EXCHANGE_PAUSED,
    EXISTS,
    INVALID_PRICE,
    NS_PER_S,
    POST_ONLY_CROSS,
    OrderEntry,
    expiry_refusal,
    is_closed,
)
from services.simexchange.core.floor import Floor
from services.simexchange.core.markets import Market
from services.simexchange.core.orders import Order, Reason
from services.simexchange.core.requests import AmendRequest, DecreaseRequest, Placed, Reduced, Rejection


class OrderAmend:
    """Amends and decreases."""

    def __init__(self, floor: Floor, clearing: Clearing, entry: OrderEntry) -> None:
        self._floor = floor
        self._clearing = clearing
        self._entry = entry

    def decrease(self, account: Account, request: DecreaseRequest, now_ns: int) -> Reduced | Rejection:
        """Make a resting order smaller; to nothing is a cancel."""
        order = self._entry.find(account, request.ref)
        if isinstance(order, Rejection):
            return order
        market = self._floor.markets[order.market]
        if market.shard in self._floor.exchange_paused:
            return EXCHANGE_PAUSED
        if is_closed(market):
            return CLOSED
        if (request.reduce_by_e2 is None) == (request.reduce_to_e2 is None):
            return Rejection(400, "invalid_parameters", details="exactly one of reduce_by and reduce_to")
        if request.reduce_by_e2 is not None:
            by_e2 = min(request.reduce_by_e2, order.remaining_e2)
        else:
            by_e2 = order.remaining_e2 - (request.reduce_to_e2 or 0)
        if by_e2 < 0 or (request.reduce_by_e2 is not None and request.reduce_by_e2 <= 0):
            return Rejection(400, "invalid_order_size")
        market.clock += 1
        if by_e2 == order.remaining_e2:
            self._clearing.end(order, Reason.DECREASE, now_ns)
        elif by_e2:
            self._shrink(account, market, order, by_e2, Reason.DECREASE, now_ns)
        self._clearing.touched(market, now_ns)
        return Reduced(order.order_id, order.client_order_id, by_e2, order.remaining_e2, now_ns)

    def amend(self, account: Account, request: AmendRequest, now_ns: int) -> Placed | Rejection:
        """Change price, total or expiry of a resting order."""
        order = self._entry.find(account, request.ref)
        if isinstance(order, Rejection):
            return order
        market = self._floor.markets[order.market]
        refusal = self._refusal(account, market, order, request, now_ns)
        if refusal is not None:
            return refusal
        left_e2 = request.total_e2 - order.filled_e2
        is_same_size = left_e2 == order.remaining_e2
        if request.price_e4 == order.price_e4 and left_e2 <= order.remaining_e2:
            market.clock += 1
            self._take_over(account, order, request, now_ns)
            if not left_e2:
                self._clearing.end(order, Reason.AMEND, now_ns)
            elif not is_same_size:
                self._shrink(account, market, order, order.remaining_e2 - left_e2, Reason.AMEND, now_ns)
            else:
                order.reason, order.updated_ns = Reason.AMEND, now_ns
                self._clearing.announce(order, Reason.AMEND)
            self._clearing.touched(market, now_ns)
            return Placed(
                order.order_id, order.client_order_id, 0, order.remaining_e2, 0, 0, now_ns,
                is_size_changed=not is_same_size,
            )  # fmt: skip
        return self._requeue(account, market, order, request, now_ns)

    def _requeue(
        self, account: Account, market: Market, order: Order, request: AmendRequest, now_ns: int
    ) -> Placed | Rejection:
        """Take the order out, change it, and let it in again as the youngest."""
        left_e2, filled_before_e2 = request.total_e2 - order.filled_e2, order.filled_e2
        changed = order.copy()
        changed.price_e4, changed.remaining_e2 = request.price_e4, left_e2
        if order.post_only and market.book.would_cross(changed):
            return POST_ONLY_CROSS
        refusal = self._entry.unaffordable(account, market, changed, now_ns, replaces=order)
        if refusal is not None:
            return refusal
        is_same_size = left_e2 == order.remaining_e2
        market.clock += 1
        taken_e2 = market.book.remove(order)
        self._clearing.level(market, order.side, order.price_e4, -taken_e2, now_ns, order)
        account.resting[order.market].pop(order.order_id)
        self._take_over(account, order, request, now_ns)
        order.price_e4, order.remaining_e2 = request.price_e4, left_e2
        order.reason, order.updated_ns = Reason.AMEND, now_ns
        self._floor.collateral.touch(account, order.market)
        notional_e6, fees_e6 = self._entry.enter(account, market, order, now_ns)
        placed = Placed(
            order.order_id, order.client_order_id, order.filled_e2 - filled_before_e2, order.remaining_e2,
            notional_e6, fees_e6, now_ns,
            is_size_changed=not is_same_size or order.filled_e2 > filled_before_e2,
        )  # fmt: skip
        self._clearing.touched(market, now_ns)
        return placed

    def _refusal(  # noqa: PLR0911 - a list of checks, one a line
        self, account: Account, market: Market, order: Order, request: AmendRequest, now_ns: int
    ) -> Rejection | None:
        if request.ref.market != order.market:
            return Rejection(400, "order_ticker_mismatch")
        if request.side is not order.side:
            return Rejection(400, "order_side_mismatch")
        if request.client_order_id and request.client_order_id != order.client_order_id:
            return Rejection(400, "order_id_and_client_order_id_mismatch")
        renamed = request.updated_client_order_id
        if renamed and renamed != order.client_order_id and renamed in account.client_order_ids:
            return EXISTS
        if is_closed(market):
            return CLOSED
        if (refusal := self._entry.tradable(market)) is not None:
            return refusal
        if request.price_e4 != order.price_e4 and not market.grid.is_on_grid(request.price_e4):
            return INVALID_PRICE
        if request.total_e2 < order.filled_e2 or request.total_e2 < 1:
            return Rejection(400, "invalid_amend_qty_for_order")
        if request.expires_s:
            return expiry_refusal(request.expires_s, now_ns)
        return None

    def _take_over(self, account: Account, order: Order, request: AmendRequest, now_ns: int) -> None:
        """Set total, name and expiry."""
        order.initial_e2 = request.total_e2
        if request.updated_client_order_id:
            order.client_order_id = request.updated_client_order_id
            account.client_order_ids.add(order.client_order_id)
        if request.expires_s is not None:
            order.expires_ns = request.expires_s * NS_PER_S or None
            self._clearing.watch_expiry(order)
        order.updated_ns = now_ns

    def _shrink(  # noqa: PLR0917 - the facts of one order, trade or request
        self, account: Account, market: Market, order: Order, by_e2: int, reason: Reason, now_ns: int
    ) -> None:
        market.book.reduce(order, by_e2)
        order.remaining_e2 -= by_e2
        order.reason, order.updated_ns = reason, now_ns
        self._floor.collateral.resized(account, order, -by_e2)
        self._clearing.level(market, order.side, order.price_e4, -by_e2, now_ns, order)
        self._clearing.announce(order, reason)
