"""From matches to money: fills, fees, positions, cash, and the events that tell of them.

A trade moves cash between two accounts and the venue's own fee account, or
into and out of the dollar that every open pair of YES and NO has locked up.
Nothing else touches cash except deposits and settlements, so
:meth:`Clearing.residual_e6` is zero after every event.
"""

from __future__ import annotations

from libs.common.domain.fees import FeeTerms, fee_of_fill
from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4
from services.simexchange.core.accounts import Account
from services.simexchange.core.agenda import Due
from services.simexchange.core.engine import External, Match
from services.simexchange.core.events import (
    Filled,
    GroupChanged,
    LevelChanged,
    MarketTouched,
    OrderChanged,
    PositionChanged,
    Traded,
)
from services.simexchange.core.floor import TAPE, Floor
from services.simexchange.core.markets import Market
from services.simexchange.core.order_groups import OrderGroup
from services.simexchange.core.orders import Order, OrderStatus, Reason

NS_PER_MS = 1_000_000


class Clearing:
    """Settles matches and ends orders on the floor."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._groups_over: dict[str, OrderGroup] = {}
        self._filled: set[tuple[str, int]] = set()

    def trade(self, market: Market, match: Match, taker: Order | None, taker_side: Side, now_ns: int) -> int:
        """Settle one match and return the taker's fee; a party that is None is the tape."""
        trade_id = self._floor.ids.next()
        maker, price_e4, qty_e2 = match.maker, match.price_e4, match.qty_e2
        self._party(market, maker, taker_side.opposite, match, trade_id, now_ns, is_taker=False)
        fee_e6 = self._party(market, taker, taker_side, match, trade_id, now_ns, is_taker=True)
        self.level(market, taker_side.opposite, price_e4, -qty_e2, now_ns, maker)
        self.public_trade(market, price_e4, qty_e2, taker_side, now_ns, trade_id)
        if maker is not None:
            self._announce(maker, Reason.TRADE)
        return fee_e6

    def external(self, market: Market, effect: External, now_ns: int) -> None:
        """Settle what an anonymous event did: fills of resting orders, level changes, public trades.

        Fills first: quantity that arrived across an order rests only after it
        has taken the order away, so the displayed book never crosses.
        """
        for match in effect.matches:
            self.trade(market, match, None, effect.taker_side, now_ns)
        for change in effect.changes:
            self.level(market, change.side, change.price_e4, change.change_e2, now_ns, None)
        for price_e4, qty_e2 in effect.public:
            self.public_trade(market, price_e4, qty_e2, effect.taker_side, now_ns, self._floor.ids.next())

    def public_trade(  # noqa: PLR0917 - the facts of one order, trade or request
        self, market: Market, price_e4: int, qty_e2: int, taker_side: Side, now_ns: int, trade_id: str
    ) -> None:
        """Announce a trade to everyone and keep the market's statistics."""
        market.previous_price_e4 = market.last_price_e4
        market.last_price_e4 = price_e4
        market.last_trade_e2 = qty_e2
        market.volume_e2 += qty_e2
        market.volume_e6 += price_e4 * qty_e2
        traded = Traded(market.ticker, trade_id, price_e4, qty_e2, taker_side, now_ns)
        market.trades.append(traded)
        self._floor.emit(traded)

    def level(  # noqa: PLR0917 - the facts of one order, trade or request
        self, market: Market, side: Side, price_e4: int, change_e2: int, now_ns: int, order: Order | None
    ) -> None:
        """Announce a displayed level's change under the market's present clock."""
        if change_e2:
            account, client_order_id = (order.account, order.client_order_id) if order else ("", "")
            self._floor.emit(
                LevelChanged(
                    market.ticker, side, price_e4, change_e2, market.clock, now_ns // NS_PER_MS,
                    account, client_order_id,
                )
            )  # fmt: skip

    def rest(self, market: Market, order: Order, now_ns: int) -> None:
        """Put the order into the book and announce its level."""
        market.book.rest(order)
        account = self._floor.accounts[order.account]
        account.resting[order.market][order.order_id] = order
        self._floor.collateral.resized(account, order, order.remaining_e2)
        self.watch_expiry(order)
        self.level(market, order.side, order.price_e4, order.remaining_e2, now_ns, order)

    def watch_expiry(self, order: Order) -> None:
        """Put the order's expiry, if it has one, on the agenda."""
        if order.expires_ns is not None:
            self._floor.agenda.put(order.expires_ns, Due.EXPIRE, order.order_id)

    def end(self, order: Order, reason: Reason, now_ns: int, *, is_in_book: bool = True) -> int:
        """Cancel what remains of an order, announce it, and return the cancelled quantity."""
        market = self._floor.markets[order.market]
        left_e2 = market.book.remove(order) if is_in_book else 0
        if left_e2:
            self.level(market, order.side, order.price_e4, -left_e2, now_ns, order)
        self._unlist(order)
        cancelled_e2, order.remaining_e2 = order.remaining_e2, 0
        order.status = OrderStatus.CANCELED
        order.reason = reason
        order.updated_ns = now_ns
        self._announce(order, reason)
        return cancelled_e2

    def touched(self, market: Market, now_ns: int) -> None:
        """Close an engine action: trigger groups that went over, cancel what cannot be paid."""
        while self._groups_over:
            _, group = self._groups_over.popitem()
            self.trigger(group, now_ns)
        while self._filled:
            name, shard = self._filled.pop()
            self._margin_check(self._floor.accounts[name], shard, now_ns)
        self._floor.emit(MarketTouched(market.ticker, now_ns // NS_PER_MS))

    def trigger(self, group: OrderGroup, now_ns: int) -> list[str]:
        """Cancel all resting orders of the group, refuse new ones, and return the ids."""
        group.is_triggered = True
        self._floor.emit(
            GroupChanged(group.account, group.order_group_id, "triggered", None, now_ns // NS_PER_MS)
        )
        return self.end_group_orders(group, now_ns)

    def end_group_orders(self, group: OrderGroup, now_ns: int) -> list[str]:
        """Cancel all resting orders of the group and return their ids."""
        account = self._floor.accounts[group.account]
        ended = [
            order
            for orders in list(account.resting.values())
            for order in list(orders.values())
            if order.order_group_id == group.order_group_id
        ]
        for order in ended:
            self._floor.markets[order.market].clock += 1
            self.end(order, Reason.DECREASE, now_ns)
        for market in dict.fromkeys(order.market for order in ended):
            self._floor.emit(MarketTouched(market, now_ns // NS_PER_MS))
        return [order.order_id for order in ended]

    def _margin_check(self, account: Account, shard: int, now_ns: int) -> None:
        """Cancel the youngest resting orders until the rest can be paid for (``MarginCancel``)."""
        while self._floor.collateral.reserved_e6(account, shard) > max(0, account.cash_e6.get(shard, 0)):
            youngest = max(
                (o for orders in account.resting.values() for o in orders.values() if o.shard == shard),
                key=lambda o: (o.created_ns, o.order_id),
            )
            self._floor.markets[youngest.market].clock += 1
            self.end(youngest, Reason.MARGIN_CANCEL, now_ns)

    def residual_e6(self) -> int:
        """Return the money out of nowhere: deposits minus cash, fees, locked dollars, money on the road."""
        accounts = self._floor.accounts.values()
        cash_e6 = sum(sum(account.cash_e6.values()) for account in accounts)
        locked_e6 = sum(
            max(0, -position.qty_e2) * DOLLAR_E4
            for account in accounts
            for position in account.positions.values()
        )
        kept_e6 = self._floor.fees_e6 + locked_e6 + self._floor.in_transit_e6
        return self._floor.deposits_e6 - cash_e6 - kept_e6

    def _party(  # noqa: PLR0917 - the facts of one order, trade or request
        self, market: Market, order: Order | None, side: Side, match: Match, trade_id: str, now_ns: int, *,
        is_taker: bool,
    ) -> int:  # fmt: skip
        """Book one side of a trade and return its net fee."""
        account = self._floor.accounts[order.account if order is not None else TAPE]
        price_e4, qty_e2 = match.price_e4, match.qty_e2
        position = account.positions[market.ticker]
        before_e2, before_e6 = position.qty_e2, position.cash_e6
        fee_e6 = 0
        if order is not None and not account.is_internal:
            fee = fee_of_fill(
                terms_now(market, now_ns), side, price_e4, qty_e2,
                is_taker=is_taker, accumulator_e6=order.fee_accumulator_e6,
            )  # fmt: skip
            fee_e6, order.fee_accumulator_e6 = fee.net_e6, fee.accumulator_e6
        position.apply_fill(side, price_e4, qty_e2, fee_e6)
        account.cash_e6[market.shard] = account.cash_e6.get(market.shard, 0) + position.cash_e6 - before_e6
        self._floor.fees_e6 += fee_e6
        market.open_interest_e2 += max(0, position.qty_e2) - max(0, before_e2)
        if order is not None:
            _apply(order, price_e4, qty_e2, fee_e6, now_ns, is_taker=is_taker)
            if not order.remaining_e2:
                self._unlist(order)
            self._count_for_group(order, qty_e2, now_ns)
            if not account.is_internal:
                self._tell_fill(account, market, order, match, trade_id, fee_e6, now_ns, is_taker=is_taker)
        return fee_e6

    def _tell_fill(  # noqa: PLR0917 - the facts of one order, trade or request
        self, account: Account, market: Market, order: Order, match: Match, trade_id: str, fee_e6: int,
        now_ns: int, *, is_taker: bool,
    ) -> None:  # fmt: skip
        position = account.positions[market.ticker]
        leg_e4 = match.price_e4 if order.side is Side.BID else DOLLAR_E4 - match.price_e4
        account.volume_e2[market.ticker] += match.qty_e2
        account.traded_e6[market.ticker] += leg_e4 * match.qty_e2
        account.position_updated_ns[market.ticker] = now_ns
        self._floor.collateral.touch(account, market.ticker)
        self._filled.add((account.name, market.shard))
        filled = Filled(
            account.name, trade_id, order.order_id, order.client_order_id, market.ticker, market.shard,
            order.side, match.price_e4, match.qty_e2, fee_e6, is_taker, position.qty_e2, now_ns,
        )  # fmt: skip
        account.fills.append(filled)
        self._floor.emit(filled)
        self._floor.emit(position_changed(account, market.ticker))

    def _count_for_group(self, order: Order, qty_e2: int, now_ns: int) -> None:
        group = self._floor.groups.get(order.order_group_id)
        if group is not None and group.count(qty_e2, now_ns) and not group.is_triggered:
            self._groups_over[group.order_group_id] = group

    def _unlist(self, order: Order) -> None:
        account = self._floor.accounts[order.account]
        orders = account.resting.get(order.market)
        if orders is not None and orders.pop(order.order_id, None) is not None:
            self._floor.collateral.resized(account, order, -order.remaining_e2)
            if not orders:
                del account.resting[order.market]

    def _announce(self, order: Order, reason: Reason) -> None:
        if not self._floor.accounts[order.account].is_internal:
            self._floor.emit(OrderChanged(order.account, order.copy(), reason))

    announce = _announce


def _apply(order: Order, price_e4: int, qty_e2: int, fee_e6: int, now_ns: int, *, is_taker: bool) -> None:
    leg_e4 = price_e4 if order.side is Side.BID else DOLLAR_E4 - price_e4
    order.filled_e2 += qty_e2
    order.remaining_e2 -= qty_e2
    order.updated_ns = now_ns
    order.reason = Reason.TRADE
    if is_taker:
        order.taker_cost_e6 += leg_e4 * qty_e2
        order.taker_fees_e6 += fee_e6
    else:
        order.maker_cost_e6 += leg_e4 * qty_e2
        order.maker_fees_e6 += fee_e6
    if not order.remaining_e2:
        order.status = OrderStatus.EXECUTED


def position_changed(account: Account, market: str) -> PositionChanged:
    """Return the event that tells the account's position as it is now."""
    position = account.positions[market]
    return PositionChanged(
        account.name, market, position.qty_e2, position.cost_e6, position.realised_e6, position.fees_e6,
        account.volume_e2[market],
    )  # fmt: skip


def terms_now(market: Market, now_ns: int) -> FeeTerms:
    """Return the market's fee terms: event override, else series; nothing while a waiver holds."""
    waiver_ns = market.spec.fee_waiver_until_ns
    if waiver_ns is not None and now_ns < waiver_ns:
        return FeeTerms(market.terms.fee_type, 0)
    return market.terms
