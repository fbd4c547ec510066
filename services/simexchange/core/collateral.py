"""How much cash resting orders hold back, as a policy that can be exchanged.

The venue's true rule is unpublished (kalshi-api 25.3). ``sum``, the default, is
the careful reading: every resting order reserves what it costs to open, except
the part that would close the position, in order of acceptance. ``max`` nets the
two sides of a market. Reducing orders need no cash, whatever the policy.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4
from services.simexchange.core.accounts import Account
from services.simexchange.core.orders import Order


class CollateralPolicy(enum.StrEnum):
    """Names of the rules."""

    SUM = "sum"
    MAX = "max"


class Collateral:
    """Reservations of all accounts, recomputed only for the markets that changed."""

    def __init__(self, policy: CollateralPolicy = CollateralPolicy.SUM) -> None:
        self._policy = policy

    def touch(self, account: Account, market: str) -> None:
        """Note that the position of the account in this market changed."""
        account.reservations_dirty.add(market)

    def resized(self, account: Account, order: Order, change_e2: int) -> None:
        """Note that an order's resting quantity changed by this much, the position being the same.

        Where nothing of that side can close the position the change is exact at
        once, which keeps thousands of orders in one market cheap; else the
        market is counted again when next asked for.
        """
        if account.is_internal or order.market in account.reservations_dirty:
            return
        position = account.positions.get(order.market)
        can_close = position is not None and -order.side.sign * position.qty_e2 > 0
        if can_close or self._policy is not CollateralPolicy.SUM:
            account.reservations_dirty.add(order.market)
            return
        change_e6 = order.leg_price_e4() * change_e2
        _, before_e6 = account.reservation_by_market.get(order.market, (0, 0))
        account.reservation_by_market[order.market] = (order.shard, before_e6 + change_e6)
        account.reserved_e6[order.shard] = account.reserved_e6.get(order.shard, 0) + change_e6

    def reserved_e6(self, account: Account, shard: int) -> int:
        """Return what the account's resting orders of a shard hold back."""
        for market in account.reservations_dirty:
            self._recompute(account, market)
        account.reservations_dirty.clear()
        return account.reserved_e6.get(shard, 0)

    def needed_e6(  # noqa: PLR0917 - the facts of one order, trade or request
        self,
        account: Account,
        market: str,
        side: Side,
        price_e4: int,
        qty_e2: int,
        replaces: Order | None = None,
    ) -> int:
        """Return how much more would be held back with this order resting (instead of ``replaces``)."""
        if replaces is None and self._policy is CollateralPolicy.SUM:
            # A younger order never changes what the older ones reserve.
            leg_e4 = price_e4 if side is Side.BID else DOLLAR_E4 - price_e4
            return leg_e4 * self.opening_e2(account, market, side, qty_e2)
        orders = [o for o in account.resting[market].values() if o is not replaces]
        rows = [(o.side, o.price_e4, o.remaining_e2) for o in orders]
        position_e2 = account.positions[market].qty_e2 if market in account.positions else 0
        before_e6 = account.reservation_by_market.get(market, (0, 0))[1]
        return self._hold_e6(position_e2, [*rows, (side, price_e4, qty_e2)]) - before_e6

    def opening_e2(self, account: Account, market: str, side: Side, qty_e2: int) -> int:
        """Return the part of a new order that would not close the position."""
        position_e2 = account.positions[market].qty_e2 if market in account.positions else 0
        closable_e2 = max(0, -side.sign * position_e2)
        if not closable_e2:
            return qty_e2
        used_e2 = sum(o.remaining_e2 for o in account.resting[market].values() if o.side is side)
        return qty_e2 - min(qty_e2, max(0, closable_e2 - used_e2))

    def _recompute(self, account: Account, market: str) -> None:
        orders = account.resting.get(market)
        shard, before_e6 = account.reservation_by_market.pop(market, (0, 0))
        after_e6 = 0
        if orders:
            shard = next(iter(orders.values())).shard
            position_e2 = account.positions[market].qty_e2 if market in account.positions else 0
            after_e6 = self._hold_e6(
                position_e2, ((o.side, o.price_e4, o.remaining_e2) for o in orders.values())
            )
            account.reservation_by_market[market] = (shard, after_e6)
        if after_e6 != before_e6:
            account.reserved_e6[shard] = account.reserved_e6.get(shard, 0) + after_e6 - before_e6

    def _hold_e6(self, position_e2: int, rows: Iterable[tuple[Side, int, int]]) -> int:
        """Return the cash that orders ``(side, price, quantity)`` in order of acceptance hold back."""
        closable_e2 = {Side.BID: max(0, -position_e2), Side.ASK: max(0, position_e2)}
        held_e6 = {Side.BID: 0, Side.ASK: 0}
        for side, price_e4, qty_e2 in rows:
            closing_e2 = min(closable_e2[side], qty_e2)
            closable_e2[side] -= closing_e2
            leg_e4 = price_e4 if side is Side.BID else DOLLAR_E4 - price_e4
            held_e6[side] += leg_e4 * (qty_e2 - closing_e2)
        if self._policy is CollateralPolicy.MAX:
            return max(held_e6.values())
        return sum(held_e6.values())
