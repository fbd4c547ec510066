"""Cancel orders and trigger order groups. This module cannot create anything.

Cancels need no approval and meet no guard: nothing may stand between a halt and
the venue (design rule 3). A 404 says that the order is no longer there, not why;
whether it was filled or cancelled is for the caller to find out.
"""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import msgspec

from libs.common.kalshi.line import VenueLine
from libs.common.kalshi.model import Accepted, Outcome, Refused, Unknown
from libs.common.kalshi.outcome import (
    Answer,
    Lost,
    Meant,
    Unsent,
    batch_outcomes,
    order_outcome,
    plain_outcome,
)
from libs.common.kalshi.signing import SignsHeaders
from libs.common.kalshi.transport import OnWire
from libs.common.kalshi.wire_requests import BatchCancelBody, CancelItem
from libs.common.runtime.clock import Clock

__all__ = ["Accepted", "Canceller", "OrderRef", "Outcome", "Refused", "Unknown"]

OrderRef = tuple[str, str, int]
"""Order id, market and shard: without the last two the venue looks on shard 0 only."""

_ENCODER = msgspec.json.Encoder()


class Canceller:
    """Cancels by order, by batch, by account and by group.

    Args:
        base_url: REST base address, ``…/trade-api/v2``.
        transport: `make_transport(base_url)`, best one of its own: cancels never queue behind creates.
        signer: A presigner that watches `constant_routes` and `trigger_route` of known groups.
        clock: Stamps the requests.
        deadline_s: After this an answer is lost and the outcome unknown; cancelling again is safe.
    """

    def __init__(
        self,
        base_url: str,
        transport: httpx.AsyncBaseTransport,
        signer: SignsHeaders,
        clock: Clock,
        *,
        deadline_s: float = 5.0,
    ) -> None:
        self._line = VenueLine(base_url, transport, signer, clock, deadline_s=deadline_s)
        self._orders = self._line.path("portfolio", "events", "orders")
        self._batched = self._line.path("portfolio", "events", "orders", "batched")
        self._line.prepare(*self.constant_routes)

    @property
    def constant_routes(self) -> tuple[tuple[str, str], ...]:
        """Return the routes whose headers are worth signing ahead."""
        return (("DELETE", self._batched), ("DELETE", self._orders))

    def trigger_route(self, order_group_id: str) -> tuple[str, str]:
        """Return the route of a group's trigger, to be signed ahead as long as the group lives."""
        assert order_group_id, "a group without an id"
        return ("PUT", self._line.path("portfolio", "order_groups", order_group_id, "trigger"))

    async def cancel(
        self, order_id: str, market: str, shard: int, *, on_wire: OnWire | None = None
    ) -> Outcome:
        """Cancel one order; billed to its shard's bucket."""
        # Without an id the path would be that of cancel-all.
        assert order_id, "an order without an id"
        path = self._line.path("portfolio", "events", "orders", order_id)
        query = (("exchange_index", shard), ("market_ticker", market))
        result = await self._line.call("DELETE", path, query=query, on_wire=on_wire)
        return order_outcome(_sent(result), Meant(order_id), is_cancel=True)

    async def cancel_batch(
        self, orders: Sequence[OrderRef], *, on_wire: OnWire | None = None
    ) -> list[Outcome]:
        """Cancel several orders with one request; one outcome each, in the same order.

        Billed to the unscoped bucket. Its path is constant and so signed ahead,
        which makes a batch of one the quickest cancel there is.
        """
        assert orders, "a batch of nothing"
        items = [
            CancelItem(order_id=order_id, market_ticker=market, exchange_index=shard)
            for order_id, market, shard in orders
        ]
        body = _ENCODER.encode(BatchCancelBody(orders=items))
        result = await self._line.call("DELETE", self._batched, body=body, on_wire=on_wire)
        return batch_outcomes(_sent(result), [Meant(order_id) for order_id, _, _ in orders], is_cancel=True)

    async def cancel_all(self, *, on_wire: OnWire | None = None) -> Outcome:
        """Cancel every resting order on all shards; `Accepted` has no ids.

        Orders placed within the next minute may be cancelled too (kalshi-api 12.3).
        """
        return plain_outcome(_sent(await self._line.call("DELETE", self._orders, on_wire=on_wire)))

    async def trigger_group(
        self, order_group_id: str, shard: int, *, on_wire: OnWire | None = None
    ) -> Outcome:
        """Cancel every order of a group and block new ones, those in flight included; names no ids."""
        method, path = self.trigger_route(order_group_id)
        query = (("exchange_index", shard),)
        result = await self._line.call(method, path, query=query, body=b"{}", on_wire=on_wire)
        return plain_outcome(_sent(result))


def _sent(result: Answer | Lost | Unsent) -> Answer | Lost:
    # A cancel that never left is to be tried again like one whose answer was lost.
    return Lost("connection") if isinstance(result, Unsent) else result
