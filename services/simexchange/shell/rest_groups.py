"""Order groups over HTTP (kalshi-api section 15)."""

from __future__ import annotations

from collections.abc import Callable

from libs.common.domain.units import format_qty
from services.simexchange.core.budget import COST_DEFAULT
from services.simexchange.core.order_groups import OrderGroup
from services.simexchange.core.requests import Rejection
from services.simexchange.shell.bodies_in import OrderGroupLimitRequest, decode, group_limit_e2
from services.simexchange.shell.bodies_out import group_body
from services.simexchange.shell.door import Door, Route
from services.simexchange.shell.paging import int_of
from services.simexchange.shell.reply import EMPTY, Call, Reply, ok, refused

_GROUPS = "/portfolio/order_groups"


class GroupRoutes:
    """Handlers of the order group endpoints."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._desk = door.venue.groups

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route("GET", _GROUPS, self.list),
            Route("POST", f"{_GROUPS}/create", self.create, cost=0),
            Route("GET", f"{_GROUPS}/{{}}", self.show),
            Route("DELETE", f"{_GROUPS}/{{}}", self.delete, cost=0),
            Route("PUT", f"{_GROUPS}/{{}}/reset", self.reset, cost=0),
            Route("PUT", f"{_GROUPS}/{{}}/trigger", self.trigger, cost=0),
            Route("PUT", f"{_GROUPS}/{{}}/limit", self.limit, cost=0),
        ]

    def create(self, call: Call) -> Reply:
        """Make a group on a shard, 0 if none is named."""
        body = decode(OrderGroupLimitRequest, call.body)
        self._door.bill_write(call, COST_DEFAULT, 0)
        shard = max(0, body.exchange_index or 0)
        group = self._desk.create(call.account, shard, group_limit_e2(body), call.now_ns)
        if isinstance(group, Rejection):
            return refused(group)
        return ok({"order_group_id": group.order_group_id, "subaccount": 0, "exchange_index": shard}, 201)

    def list(self, call: Call) -> Reply:
        """List the account's groups."""
        return ok({"order_groups": [group_body(group) for group in self._desk.of(call.account)]})

    def show(self, call: Call) -> Reply:
        """Show a group and its resting orders; found on any shard."""
        group = self._desk.get(call.account, call.path_args[0])
        if isinstance(group, Rejection):
            return refused(group)
        return ok(
            {
                "is_auto_cancel_enabled": True,
                "contracts_limit_fp": format_qty(group.limit_e2),
                "orders": self._desk.order_ids(group),
                "exchange_index": group.shard,
            }
        )

    def limit(self, call: Call) -> Reply:
        """Change the limit."""
        limit_e2 = group_limit_e2(decode(OrderGroupLimitRequest, call.body))
        return self._change(
            call,
            lambda group_id, shard: self._desk.set_limit(
                call.account, group_id, shard, limit_e2, call.now_ns
            ),
        )

    def trigger(self, call: Call) -> Reply:
        """Kill the group's orders."""
        return self._change(
            call, lambda group_id, shard: self._desk.trigger(call.account, group_id, shard, call.now_ns)
        )

    def reset(self, call: Call) -> Reply:
        """Re-arm the group."""
        return self._change(
            call, lambda group_id, shard: self._desk.reset(call.account, group_id, shard, call.now_ns)
        )

    def delete(self, call: Call) -> Reply:
        """Kill the group's orders and remove it."""
        return self._change(
            call, lambda group_id, shard: self._desk.delete(call.account, group_id, shard, call.now_ns)
        )

    def _change(self, call: Call, act: Callable[[str, int], OrderGroup | Rejection]) -> Reply:
        self._door.bill_write(call, COST_DEFAULT, 0)
        shard = max(0, int_of(call, "OrderGroup", "exchange_index") or 0)
        group = act(call.path_args[0], shard)
        return refused(group) if isinstance(group, Rejection) else EMPTY
