"""Order entry: what a request must satisfy, and what then happens in the book.

Every public method returns a value: done, or a :class:`Rejection` that changed
nothing (with one exception of the venue's own: a fill-or-kill that could not be
filled burns its client order id). Checks run from identity to money, so that
the retry of a landed order is told ``order_already_exists`` whatever else is
wrong by then (kalshi-api 11.4).
"""

from __future__ import annotations

from dataclasses import replace

from libs.common.domain.fees import model_fee_e6
from libs.common.messages.market import MarketState
from services.simexchange.core.accounts import Account
from services.simexchange.core.clearing import Clearing, terms_now
from services.simexchange.core.floor import Floor
from services.simexchange.core.markets import Market
from services.simexchange.core.orders import Order, Reason, TimeInForce
from services.simexchange.core.requests import CreateRequest, OrderRef, Placed, Reduced, Rejection

NS_PER_S = 1_000_000_000
CANCEL_ALL_SHADOW_NS = 60 * NS_PER_S
CLIENT_ORDER_ID_LENGTH_MAX = 64

NOT_FOUND = Rejection(404, "not_found")
NOT_ACTIVE = Rejection(400, "MARKET_NOT_ACTIVE", "market not active")
CLOSED = Rejection(400, "MARKET_INACTIVE", "market inactive")
INVALID_PRICE = Rejection(400, "invalid_price")
EXISTS = Rejection(409, "order_already_exists")
PAUSED = Rejection(409, "trading_is_paused")
EXCHANGE_PAUSED = Rejection(409, "exchange_is_paused")
INSUFFICIENT = Rejection(400, "insufficient_balance")
NO_SHARD_BALANCE = Rejection(
    404,
    "insufficient_shard_balance",
    details="Exchange user not found. For Predictions: reference documentation Exchange Sharding",
)
POST_ONLY_CROSS = Rejection(400, "invalid_order", details="post only cross")
FOK_SHORT = Rejection(409, "fill_or_kill_insufficient_resting_volume")
GROUP_NOT_FOUND = Rejection(404, "order_group_not_found")
GROUP_TRIGGERED = Rejection(400, "exceeded_order_group_risk_limit")


def invalid_order(details: str) -> Rejection:
    """Return the refusal of an order that contradicts itself."""
    return Rejection(400, "invalid_order", details=details)


class OrderEntry:
    """Creates and cancels; `amend.py` changes what rests."""

    def __init__(self, floor: Floor, clearing: Clearing) -> None:
        self._floor = floor
        self._clearing = clearing
        self.shadow_probability = 0.0
        """Chance that an order within a minute of a cancel-all is cancelled too (kalshi-api 12.3)."""
        self.prevents_self_trades = True
        """False: an order trades with those of its own account; the venue's prevention is broken."""

    def create(self, account: Account, request: CreateRequest, now_ns: int) -> Placed | Rejection:
        """Match and rest a new order."""
        market = self._floor.markets.get(request.market)
        if market is None or not _is_routed_to(request.exchange_index, market.shard):
            return NOT_FOUND
        refusal = self._refusal(account, market, request, now_ns)
        if refusal is not None:
            return refusal
        order = self._order(account, market, request, now_ns)
        if request.post_only and market.book.would_cross(order):
            return POST_ONLY_CROSS
        refusal = self.unaffordable(account, market, order, now_ns)
        if refusal is not None:
            return refusal
        if order.client_order_id:
            account.client_order_ids.add(order.client_order_id)
        if order.tif is TimeInForce.FILL_OR_KILL and self._is_short(account, market, order):
            return FOK_SHORT
        account.orders[order.order_id] = order
        self._floor.orders[order.order_id] = order
        market.clock += 1
        notional_e6, fees_e6 = self.enter(account, market, order, now_ns)
        placed = Placed(
            order.order_id,
            order.client_order_id,
            order.filled_e2,
            order.remaining_e2,
            notional_e6,
            fees_e6,
            now_ns,
        )
        self._clearing.touched(market, now_ns)
        self._shadow(account, order, now_ns)
        return placed

    def enter(self, account: Account, market: Market, order: Order, now_ns: int) -> tuple[int, int]:
        """Match the order, rest or end what is left, and return what its fills cost: notional and fees."""
        capped_e2 = self._cap_to_position(account, order) if order.reduce_only else 0
        # A book knows its own by their account.
        asked = order if self.prevents_self_trades else replace(order, account="")
        matched = market.book.match(asked, now_ns) if order.remaining_e2 else None
        notional_e6 = fees_e6 = 0
        for match in matched.matches if matched else ():
            notional_e6 += match.price_e4 * match.qty_e2
            fees_e6 += self._clearing.trade(market, match, order, order.side, now_ns)
        for own in matched.self_cancelled if matched else ():
            self._clearing.level(market, own.side, own.price_e4, -own.remaining_e2, now_ns, own)
            self._clearing.end(own, Reason.SELF_TRADE_CANCEL, now_ns, is_in_book=False)
        order.remaining_e2 += capped_e2
        if not order.remaining_e2:
            self._clearing.announce(order, order.reason)
        elif matched is not None and matched.is_stopped:
            self._clearing.end(order, Reason.SELF_TRADE_CANCEL, now_ns, is_in_book=False)
        elif capped_e2:
            self._clearing.end(order, Reason.REDUCE_ONLY_CANCEL, now_ns, is_in_book=False)
        elif order.tif is not TimeInForce.GOOD_TILL_CANCELED:
            self._clearing.end(order, order.reason, now_ns, is_in_book=False)
        else:
            self._clearing.rest(market, order, now_ns)
            self._clearing.announce(order, order.reason)
        return notional_e6, fees_e6

    def cancel(self, account: Account, ref: OrderRef, now_ns: int) -> Reduced | Rejection:
        """Cancel one order; unknown, done and wrongly routed ones are all the same 404."""
        order = self.find(account, ref)
        if isinstance(order, Rejection):
            return order
        market = self._floor.markets[order.market]
        if market.shard in self._floor.exchange_paused:
            return EXCHANGE_PAUSED
        if is_closed(market):
            return CLOSED
        market.clock += 1
        cancelled_e2 = self._clearing.end(order, Reason.DECREASE, now_ns)
        self._clearing.touched(market, now_ns)
        return Reduced(order.order_id, order.client_order_id, cancelled_e2, 0, now_ns)

    def cancel_all(self, account: Account, now_ns: int) -> int:
        """Cancel every resting order on all shards and return how many."""
        account.cancelled_all_ns = now_ns
        resting = [o for orders in list(account.resting.values()) for o in list(orders.values())]
        done = [self.cancel(account, OrderRef(o.order_id, exchange_index=o.shard), now_ns) for o in resting]
        return sum(isinstance(result, Reduced) for result in done)

    def find(self, account: Account, ref: OrderRef) -> Order | Rejection:
        """Return the account's resting order, if the request reaches its shard."""
        order = account.orders.get(ref.order_id)
        if order is None or not order.is_resting or ref.subaccount:
            return NOT_FOUND
        if ref.exchange_index is not None and ref.exchange_index >= 0:
            shard = ref.exchange_index
        elif ref.market:
            market = self._floor.markets.get(ref.market)
            shard = market.shard if market is not None else -1
        else:
            shard = 0  # an id alone cannot be routed (kalshi-api section 6)
        return order if order.shard == shard else NOT_FOUND

    def tradable(self, market: Market) -> Rejection | None:
        """Return why the market takes no orders now, or None."""
        if market.shard in self._floor.exchange_paused:
            return EXCHANGE_PAUSED
        if market.shard in self._floor.trading_paused:
            return PAUSED
        return None if market.state is MarketState.ACTIVE else NOT_ACTIVE

    def unaffordable(
        self, account: Account, market: Market, order: Order, now_ns: int, replaces: Order | None = None
    ) -> Rejection | None:
        """Return why the account cannot pay for the order, or None."""
        if account.is_internal:
            return None
        cash_e6 = account.cash_e6.get(market.shard)
        if cash_e6 is None:
            return NO_SHARD_BALANCE
        if order.reduce_only:
            return None  # capped to the position, so it never opens anything
        collateral, args = self._floor.collateral, (order.side, order.price_e4, order.remaining_e2)
        reserved_e6 = collateral.reserved_e6(account, market.shard)
        needed_e6 = collateral.needed_e6(account, market.ticker, *args, replaces=replaces)
        opening_e2 = collateral.opening_e2(account, market.ticker, order.side, order.remaining_e2)
        if needed_e6 > 0 and opening_e2:
            needed_e6 += model_fee_e6(terms_now(market, now_ns), order.price_e4, opening_e2, is_taker=True)
        return INSUFFICIENT if needed_e6 > 0 and reserved_e6 + needed_e6 > cash_e6 else None

    def group_refusal(self, account: Account, group_id: str, shard: int) -> Rejection | None:
        """Return why an order may not join the group, or None."""
        group = self._floor.groups.get(group_id)
        if group is None or group.account != account.name or group.shard != shard:
            return GROUP_NOT_FOUND
        return GROUP_TRIGGERED if group.is_triggered else None

    def _refusal(  # noqa: PLR0911 - a list of checks, one a line
        self, account: Account, market: Market, request: CreateRequest, now_ns: int
    ) -> Rejection | None:
        if request.subaccount:
            return NOT_FOUND
        if len(request.client_order_id) > CLIENT_ORDER_ID_LENGTH_MAX:
            return Rejection(400, "invalid_parameters", details="client_order_id longer than 64 characters")
        if request.client_order_id and request.client_order_id in account.client_order_ids:
            return EXISTS
        if (refusal := self.tradable(market)) is not None:
            return refusal
        if not market.grid.is_on_grid(request.price_e4):
            return INVALID_PRICE
        if request.qty_e2 < 1:
            return Rejection(400, "invalid_order_size")
        if (refusal := _contradiction(request, now_ns)) is not None:
            return refusal
        if request.order_group_id:
            return self.group_refusal(account, request.order_group_id, market.shard)
        return None

    def _order(self, account: Account, market: Market, request: CreateRequest, now_ns: int) -> Order:
        return Order(
            order_id=self._floor.ids.next(),
            account=account.name,
            client_order_id=request.client_order_id,
            market=market.ticker,
            event=market.spec.event,
            shard=market.shard,
            side=request.side,
            price_e4=request.price_e4,
            initial_e2=request.qty_e2,
            remaining_e2=request.qty_e2,
            tif=request.tif,
            stp=request.stp,
            created_ns=now_ns,
            updated_ns=now_ns,
            post_only=request.post_only,
            reduce_only=request.reduce_only,
            cancel_on_pause=request.cancel_on_pause,
            expires_ns=request.expires_s * NS_PER_S if request.expires_s is not None else None,
            order_group_id=request.order_group_id,
        )

    def _is_short(self, account: Account, market: Market, order: Order) -> bool:
        """Return whether a fill-or-kill cannot be filled; one that meets an own order may be partial."""
        meets_own = any(
            own.side is not order.side and order.crosses(own.price_e4)
            for own in account.resting.get(order.market, {}).values()
        )
        return not meets_own and market.book.fillable_e2(order) < order.remaining_e2

    def _cap_to_position(self, account: Account, order: Order) -> int:
        """Shrink a reduce-only order to the position and return what was cut off."""
        position = account.positions.get(order.market)
        closable_e2 = max(0, -order.side.sign * position.qty_e2) if position is not None else 0
        kept_e2 = min(order.remaining_e2, closable_e2)
        cut_e2, order.remaining_e2 = order.remaining_e2 - kept_e2, kept_e2
        return cut_e2

    def _shadow(self, account: Account, order: Order, now_ns: int) -> None:
        """Let a cancel-all of the last minute take a late order too, where that is switched on."""
        if not self.shadow_probability or account.cancelled_all_ns is None or not order.is_resting:
            return
        is_near = now_ns - account.cancelled_all_ns < CANCEL_ALL_SHADOW_NS
        if is_near and self._floor.faults.chance.random() < self.shadow_probability:
            self.cancel(account, OrderRef(order.order_id, exchange_index=order.shard), now_ns)


def is_closed(market: Market) -> bool:
    """Return whether the market is past its close: every order operation is refused."""
    return market.state not in {MarketState.INITIALIZED, MarketState.ACTIVE, MarketState.INACTIVE}


def expiry_refusal(expires_s: int, now_ns: int) -> Rejection | None:
    """Return the refusal of an expiry that is not in the future, or None."""
    if expires_s * NS_PER_S <= now_ns:
        return invalid_order("Expiration timestamp must be in the future")
    return None


def _contradiction(request: CreateRequest, now_ns: int) -> Rejection | None:
    is_patient = request.tif is TimeInForce.GOOD_TILL_CANCELED
    if request.expires_s is not None:
        if not is_patient:
            return invalid_order("Cannot specify both immediate_or_cancel and expiration_ts")
        if (refusal := expiry_refusal(request.expires_s, now_ns)) is not None:
            return refusal
    if request.reduce_only and request.tif is not TimeInForce.IMMEDIATE_OR_CANCEL:
        return invalid_order("reduce_only requires immediate_or_cancel")
    if request.post_only and not is_patient:
        return invalid_order("post_only requires good_till_canceled")
    return None


def _is_routed_to(exchange_index: int | None, shard: int) -> bool:
    return exchange_index is None or exchange_index in {-1, shard}
