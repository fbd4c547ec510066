"""Order groups as requests: create, limit, trigger, reset, delete.

A group belongs to one account and one shard; asking on another shard finds
nothing. Whether the reset of a triggered group works (as documented) or answers
404 (as a trader reported in September 2026) is a switch.
"""

from __future__ import annotations

from services.simexchange.core.accounts import Account
from services.simexchange.core.clearing import Clearing
from services.simexchange.core.entry import GROUP_NOT_FOUND
from services.simexchange.core.events import GroupChanged
from services.simexchange.core.floor import Floor
from services.simexchange.core.order_groups import LIMIT_E2_MAX, OrderGroup
from services.simexchange.core.requests import Rejection

NS_PER_MS = 1_000_000
LIMIT_REFUSED = Rejection(400, "invalid_parameters", details="contracts_limit of 1 to 1000000")


class GroupDesk:
    """The order groups of all accounts."""

    def __init__(self, floor: Floor, clearing: Clearing) -> None:
        self._floor = floor
        self._clearing = clearing
        self.is_triggered_group_gone = False
        """Answer 404 to the reset of a triggered group."""

    def create(self, account: str, shard: int, limit_e2: int, now_ns: int) -> OrderGroup | Rejection:
        """Make a group."""
        if not 1 <= limit_e2 <= LIMIT_E2_MAX:
            return LIMIT_REFUSED
        group = OrderGroup(self._floor.ids.next(), account, shard, limit_e2)
        self._floor.groups[group.order_group_id] = group
        self._tell(group, "created", limit_e2, now_ns)
        return group

    def of(self, account: str) -> list[OrderGroup]:
        """Return the account's groups."""
        return [group for group in self._floor.groups.values() if group.account == account]

    def get(self, account: str, group_id: str, shard: int | None = None) -> OrderGroup | Rejection:
        """Return one group of the account (on a shard)."""
        group = self._floor.groups.get(group_id)
        if group is None or group.account != account or (shard is not None and group.shard != shard):
            return GROUP_NOT_FOUND
        return group

    def order_ids(self, group: OrderGroup) -> list[str]:
        """Return the ids of the group's resting orders."""
        account: Account = self._floor.accounts[group.account]
        return [
            order.order_id
            for orders in account.resting.values()
            for order in orders.values()
            if order.order_group_id == group.order_group_id
        ]

    def set_limit(
        self, account: str, group_id: str, shard: int, limit_e2: int, now_ns: int
    ) -> OrderGroup | Rejection:
        """Change the limit; one below what was just matched triggers at once."""
        group = self.get(account, group_id, shard)
        if isinstance(group, Rejection):
            return group
        if not 1 <= limit_e2 <= LIMIT_E2_MAX:
            return LIMIT_REFUSED
        group.limit_e2 = limit_e2
        self._tell(group, "limit_updated", limit_e2, now_ns)
        if group.is_over(now_ns) and not group.is_triggered:
            self._clearing.trigger(group, now_ns)
        return group

    def trigger(self, account: str, group_id: str, shard: int, now_ns: int) -> OrderGroup | Rejection:
        """Cancel the group's orders and refuse new ones."""
        group = self.get(account, group_id, shard)
        if isinstance(group, OrderGroup):
            self._clearing.trigger(group, now_ns)
        return group

    def reset(self, account: str, group_id: str, shard: int, now_ns: int) -> OrderGroup | Rejection:
        """Clear the counter and the triggered state."""
        group = self.get(account, group_id, shard)
        if isinstance(group, Rejection):
            return group
        if group.is_triggered and self.is_triggered_group_gone:
            del self._floor.groups[group_id]
            return GROUP_NOT_FOUND
        group.reset()
        self._tell(group, "reset", None, now_ns)
        return group

    def delete(self, account: str, group_id: str, shard: int, now_ns: int) -> OrderGroup | Rejection:
        """Cancel the group's orders and remove it."""
        group = self.get(account, group_id, shard)
        if isinstance(group, Rejection):
            return group
        self._clearing.end_group_orders(group, now_ns)
        del self._floor.groups[group_id]
        self._tell(group, "deleted", None, now_ns)
        return group

    def _tell(self, group: OrderGroup, event_type: str, limit_e2: int | None, now_ns: int) -> None:
        self._floor.emit(
            GroupChanged(group.account, group.order_group_id, event_type, limit_e2, now_ns // NS_PER_MS)
        )
