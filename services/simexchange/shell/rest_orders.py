"""Order writes: create, amend, decrease, cancel, their batches, and cancel-all (kalshi-api 11 to 13)."""

from __future__ import annotations

from services.simexchange.core.budget import COST_CANCEL, COST_DEFAULT
from services.simexchange.core.requests import OrderRef, Placed, Rejection
from services.simexchange.shell.bodies_in import (
    AmendOrderV2Request,
    BatchCancelOrdersV2Request,
    BatchCreateOrdersV2Request,
    CreateOrderV2Request,
    DecreaseOrderV2Request,
    amend_request,
    create_request,
    decode,
    decrease_request,
)
from services.simexchange.shell.bodies_out import amended_body, cancelled_body, decreased_body, placed_body
from services.simexchange.shell.door import Door, Route
from services.simexchange.shell.paging import int_of
from services.simexchange.shell.reply import (
    NO_CONTENT,
    Call,
    Reply,
    error_object,
    invalid_parameters,
    ok,
    refused,
)

BATCH_ITEMS_MAX = 1000
_ORDERS = "/portfolio/events/orders"
_GONE = Rejection(
    400,
    "deprecated_v1_order_endpoint",
    "Please switch to the V2 endpoints",
    "https://docs.kalshi.com/api-reference/orders/create-order-v2",
)


class OrderRoutes:
    """Handlers of the order write endpoints."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._venue = door.venue

    def routes(self) -> list[Route]:
        """Return the endpoints; each handler bills its own write bucket."""
        return [
            Route("POST", _ORDERS, self.create, cost=0),
            Route("DELETE", _ORDERS, self.cancel_all, cost=0),
            Route("POST", f"{_ORDERS}/batched", self.create_batch, cost=0),
            Route("DELETE", f"{_ORDERS}/batched", self.cancel_batch, cost=0),
            Route("DELETE", f"{_ORDERS}/{{}}", self.cancel, cost=0),
            Route("POST", f"{_ORDERS}/{{}}/amend", self.amend, cost=0),
            Route("POST", f"{_ORDERS}/{{}}/decrease", self.decrease, cost=0),
            Route("POST", "/portfolio/orders", self.gone, cost=0),
            Route("POST", "/portfolio/orders/batched", self.gone, cost=0),
            Route("DELETE", "/portfolio/orders/{}", self.gone, cost=0),
        ]

    def create(self, call: Call) -> Reply:
        """Place an order."""
        body = decode(CreateOrderV2Request, call.body)
        self._door.bill_write(call, COST_DEFAULT, body.exchange_index)
        placed = self._create(call, body)
        if isinstance(placed, Rejection):
            return refused(placed)
        return ok(placed_body(placed), 201)

    def create_batch(self, call: Call) -> Reply:
        """Place several orders, each on its own; billed as one request to the unscoped bucket."""
        orders = decode(BatchCreateOrdersV2Request, call.body).orders
        _check_size(len(orders))
        self._door.bill_write(call, COST_DEFAULT * len(orders), 0)
        return ok({"orders": [self._batch_item(call, body) for body in orders]}, 201)

    def cancel(self, call: Call) -> Reply:
        """Cancel an order."""
        shard = int_of(call, "CancelOrderV2", "exchange_index")
        ref = OrderRef(call.path_args[0], call.get("market_ticker"), shard, _subaccount(call))
        self._door.bill_write(call, COST_CANCEL, None if ref.market and shard is None else shard or 0)
        reduced = self._venue.cancel(call.account, ref, call.now_ns)
        return refused(reduced) if isinstance(reduced, Rejection) else ok(cancelled_body(reduced))

    def cancel_batch(self, call: Call) -> Reply:
        """Cancel several orders, each on its own."""
        orders = decode(BatchCancelOrdersV2Request, call.body).orders
        _check_size(len(orders))
        self._door.bill_write(call, COST_CANCEL * len(orders), 0)
        answers: list[dict[str, object]] = []
        for item in orders:
            ref = OrderRef(item.order_id, item.market_ticker or "", item.exchange_index, item.subaccount or 0)
            reduced = self._venue.cancel(call.account, ref, call.now_ns)
            if isinstance(reduced, Rejection):
                error = error_object(reduced)
                answers.append({"order_id": item.order_id, "reduced_by": "0.00", "error": error})
            else:
                answers.append(cancelled_body(reduced) | {"client_order_id": reduced.client_order_id})
        return ok({"orders": answers})

    def cancel_all(self, call: Call) -> Reply:
        """Cancel every resting order on all shards; costs as one cancel."""
        self._door.bill_write(call, COST_CANCEL, 0)
        if not _subaccount(call):
            self._venue.cancel_all(call.account, call.now_ns)
        return NO_CONTENT

    def amend(self, call: Call) -> Reply:
        """Change price, total or expiry."""
        body = decode(AmendOrderV2Request, call.body)
        self._door.bill_write(call, COST_DEFAULT, body.exchange_index)
        request = amend_request(body, call.path_args[0], _subaccount(call))
        placed = (
            request
            if isinstance(request, Rejection)
            else self._venue.amend(call.account, request, call.now_ns)
        )
        return refused(placed) if isinstance(placed, Rejection) else ok(amended_body(placed))

    def decrease(self, call: Call) -> Reply:
        """Make an order smaller."""
        body = decode(DecreaseOrderV2Request, call.body)
        shard = body.exchange_index
        self._door.bill_write(
            call, COST_DEFAULT, None if body.market_ticker and shard is None else shard or 0
        )
        request = decrease_request(body, call.path_args[0], _subaccount(call))
        if isinstance(request, Rejection):
            return refused(request)
        reduced = self._venue.decrease(call.account, request, call.now_ns)
        return refused(reduced) if isinstance(reduced, Rejection) else ok(decreased_body(reduced))

    def gone(self, call: Call) -> Reply:
        """Answer the removed first version of the order endpoints."""
        self._door.bill_write(call, COST_DEFAULT, 0)
        return refused(_GONE)

    def _create(self, call: Call, body: CreateOrderV2Request) -> Placed | Rejection:
        request = create_request(body)
        if isinstance(request, Rejection):
            return request
        return self._venue.create(call.account, request, call.now_ns)

    def _batch_item(self, call: Call, body: CreateOrderV2Request) -> dict[str, object]:
        placed = self._create(call, body)
        if isinstance(placed, Rejection):
            item: dict[str, object] = {"error": error_object(placed)}
            if body.client_order_id:
                item["client_order_id"] = body.client_order_id
            return item
        return placed_body(placed)


def _subaccount(call: Call) -> int:
    return int_of(call, "Order", "subaccount") or 0


def _check_size(count: int) -> None:
    if not 1 <= count <= BATCH_ITEMS_MAX:
        raise invalid_parameters(f"orders: 1 to {BATCH_ITEMS_MAX} items")
