"""Which orders a halt wants gone: those of our own book, and those that a listing shows."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.domain.ids import parse_client_order_id
from libs.common.kalshi.model import VenueOrder
from libs.common.messages.control import GateState
from libs.common.messages.execution import Purpose
from services.executor.core.account import Account
from services.executor.core.kill_scope import KillScope
from services.executor.core.orders import OwnOrder
from services.executor.core.reducing import Resting, adding


@dataclass(frozen=True, slots=True)
class KillReach:
    """A scope laid over the account.

    Attributes:
        env: Orders whose client order id names it are ours.
        groups: Order groups of ours: whatever name it has, what sits in one was put there by us.
    """

    account: Account
    scope: KillScope
    env: str
    groups: frozenset[str] = frozenset()

    def own(self, shard: int) -> list[OwnOrder]:
        """Return our own orders of a shard that must go, those in flight and unknown included."""
        found = [order for order in self.account.orders.live() if order.shard == shard and self._has(order)]
        if self.scope.level is not GateState.REDUCE_ONLY:
            return found
        adds: set[str] = set()
        for market in {order.market for order in found}:
            # Every order of the market has its call on the position, in reach or not.
            resting = [
                Resting(order.client_order_id, order.side, order.open_e2)
                for order in self.account.orders.of_market(market)
            ]
            adds |= adding(resting, self.account.positions.qty_e2(market))
        # An exit never rests and only shrinks: it is what this level is for.
        return [o for o in found if o.client_order_id in adds and o.purpose is not Purpose.EXIT]

    def must_go(self, told: VenueOrder) -> bool:
        """Return whether a listed order is ours and must go."""
        account = self.account
        order = account.orders.by_client(told.client_order_id) or account.orders.by_order(told.order_id)
        identity = parse_client_order_id(told.client_order_id)
        is_named = identity is not None and identity.env == self.env
        if order is None and not is_named and told.order_group_id not in self.groups:
            return False
        strategy = order.strategy if order is not None else ""
        if not self.scope.reaches(told.market, account.event_of(told.market), told.shard, strategy):
            return False
        if self.scope.level is not GateState.REDUCE_ONLY or order is None:
            return True  # what our book does not know, nobody can say of that it shrinks anything
        return any(order is one for one in self.own(told.shard))

    def _has(self, order: OwnOrder) -> bool:
        return self.scope.reaches(order.market, order.event, order.shard, order.strategy)
