"""Send creates, amends, decreases and order groups. Only the executor's shell may import this.

One call is one HTTP request, sent once: no retry, no splitting, no waiting for
tokens. Who calls has sealed and journalled the order before; the guard is its
last look at the gate, taken right before the bytes leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import httpx
import msgspec

from libs.common.domain.side import Side
from libs.common.domain.units import format_price, format_qty
from libs.common.kalshi.line import VenueLine
from libs.common.kalshi.model import Accepted, Refused, Unknown
from libs.common.kalshi.outcome import Answer, Lost, Meant, Unsent, batch_outcomes, order_outcome, refusal_of
from libs.common.kalshi.presign import Presigner, Route
from libs.common.kalshi.signing import SignsHeaders
from libs.common.kalshi.transport import Guard, OnWire
from libs.common.kalshi.wire_orders import read_group_created
from libs.common.kalshi.wire_requests import (
    AmendBody,
    BatchCreateBody,
    CreateGroupBody,
    CreateOrderBody,
    DecreaseBody,
)
from libs.common.kalshi.wire_text import MalformedWire
from libs.common.runtime.clock import Clock
from libs.common.runtime.errors import VenueProtocolError, VenueRefused, VenueUnavailable

__all__ = [
    "Accepted",
    "Amend",
    "NewOrder",
    "OrderSender",
    "Refused",
    "SendOutcome",
    "Unknown",
    "Unsent",
]

SendOutcome = Accepted | Refused | Unknown | Unsent
"""`Unsent` is proof of nothing done: guard or no connection."""

GOOD_TILL_CANCELED: Final = "good_till_canceled"
TAKER_AT_CROSS: Final = "taker_at_cross"

_ENCODER = msgspec.json.Encoder()


class ChangeRoutes(NamedTuple):
    """The routes of one order's changes."""

    amend: Route
    decrease: Route


@dataclass(frozen=True, slots=True)
class NewOrder:
    """One order to create.

    ``expires_ms`` is sent as whole seconds, rounded down: the venue knows no
    finer time, and an order must not outlive what was asked.
    """

    market: str
    shard: int
    client_order_id: str
    side: Side
    price_e4: int
    qty_e2: int
    tif: str = GOOD_TILL_CANCELED
    post_only: bool = False
    reduce_only: bool = False
    expires_ms: int | None = None
    order_group_id: str | None = None
    cancel_on_pause: bool = False
    stp: str = TAKER_AT_CROSS


@dataclass(frozen=True, slots=True)
class Amend:
    """A change of price, size or expiry; ``total_e2`` is filled plus wanted remaining.

    ``expires_ms``: None keeps the expiry, 0 removes it.
    """

    order_id: str
    client_order_id: str
    market: str
    shard: int
    side: Side
    price_e4: int
    total_e2: int
    expires_ms: int | None = None


class OrderSender:
    """The only code that can make an order exist.

    Args:
        base_url: REST base address, ``…/trade-api/v2``.
        transport: `make_transport(base_url)`, or any httpx transport in tests.
        signer: A presigner that watches `constant_routes`.
        clock: Stamps the requests.
        deadline_s: After this an answer is lost and the outcome unknown.
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
        self._presigner = signer if isinstance(signer, Presigner) else None
        self._orders = self._line.path("portfolio", "events", "orders")
        self._batched = self._line.path("portfolio", "events", "orders", "batched")
        self._new_group = self._line.path("portfolio", "order_groups", "create")
        self._line.prepare(*self.constant_routes)

    @property
    def constant_routes(self) -> tuple[tuple[str, str], ...]:
        """Return the routes whose headers are worth signing ahead."""
        return (("POST", self._orders), ("POST", self._batched), ("POST", self._new_group))

    def change_routes(self, order_id: str) -> ChangeRoutes:
        """Return the routes of an order's amends and decreases, to be signed ahead while it lives."""
        path = f"{self._orders}/{_id(order_id)}"
        return ChangeRoutes(amend=("POST", f"{path}/amend"), decrease=("POST", f"{path}/decrease"))

    async def create(
        self, order: NewOrder, *, guard: Guard | None = None, on_wire: OnWire | None = None
    ) -> SendOutcome:
        """Create one order; billed to the bucket of its shard."""
        body = _ENCODER.encode(_create_body(order))
        result = await self._send(self._orders, body, guard, on_wire)
        if isinstance(result, Unsent):
            return result
        return order_outcome(result, Meant(client_order_id=order.client_order_id, qty_e2=order.qty_e2))

    async def create_batch(
        self, orders: Sequence[NewOrder], *, guard: Guard | None = None, on_wire: OnWire | None = None
    ) -> list[SendOutcome]:
        """Create several orders with one request; one outcome each, in the same order.

        The whole batch is billed to the unscoped bucket and must fit into it at
        once. It is not atomic: each item has its own fate.
        """
        assert orders, "a batch of nothing"
        assert len({order.client_order_id for order in orders}) == len(orders), "client order ids repeat"
        body = _ENCODER.encode(BatchCreateBody(orders=[_create_body(order) for order in orders]))
        result = await self._send(self._batched, body, guard, on_wire)
        if isinstance(result, Unsent):
            return [result for _ in orders]
        meant = [Meant(client_order_id=o.client_order_id, qty_e2=o.qty_e2) for o in orders]
        return list(batch_outcomes(result, meant))

    async def amend(
        self, amend: Amend, *, guard: Guard | None = None, on_wire: OnWire | None = None
    ) -> SendOutcome:
        """Change an order in place: same id; same queue place only if nothing grew or moved."""
        body = _ENCODER.encode(
            AmendBody(
                ticker=amend.market,
                side=amend.side.value,
                price=format_price(amend.price_e4),
                count=format_qty(amend.total_e2),
                exchange_index=amend.shard,
                client_order_id=amend.client_order_id or None,
                expiration_time=None if amend.expires_ms is None else amend.expires_ms // 1_000,
            )
        )
        _, path = self.change_routes(amend.order_id).amend
        result = await self._send(path, body, guard, on_wire)
        if isinstance(result, Unsent):
            return result
        return order_outcome(result, Meant(amend.order_id, amend.client_order_id), is_amend=True)

    async def decrease(
        self,
        order_id: str,
        market: str,
        shard: int,
        *,
        reduce_by_e2: int,
        on_wire: OnWire | None = None,
    ) -> SendOutcome:
        """Shrink an order by ``reduce_by_e2``, keeping its queue place; no guard, it only lowers risk.

        By and not to: a fill that crosses "to" leaves a larger total than was meant, and unknown to us.
        """
        body = _ENCODER.encode(
            DecreaseBody(exchange_index=shard, market_ticker=market, reduce_by=format_qty(reduce_by_e2))
        )
        _, path = self.change_routes(order_id).decrease
        result = await self._send(path, body, None, on_wire)
        if isinstance(result, Unsent):
            return result
        return order_outcome(result, Meant(order_id))

    async def create_order_group(self, limit_e2: int, shard: int) -> str:
        """Create an order group on a shard and return its id.

        Args:
            limit_e2: Contracts that may match within a rolling 15 s before the group triggers.
            shard: Where its orders will be.

        Raises:
            VenueUnavailable: No answer, or none to trust; a group may be left over, empty and harmless.
            VenueRefused: The venue said no.
            VenueProtocolError: It said yes without an id.
        """
        body = _ENCODER.encode(CreateGroupBody(contracts_limit_fp=format_qty(limit_e2), exchange_index=shard))
        result = await self._line.call("POST", self._new_group, body=body)
        if not isinstance(result, Answer):
            raise VenueUnavailable(f"order group not created: {result.reason}")
        refusal = refusal_of(result)
        if isinstance(refusal, Unknown):
            raise VenueUnavailable(f"order group not created: {refusal.status} {refusal.reason}")
        if refusal is not None:
            raise VenueRefused(
                f"order group refused: {refusal.status} {refusal.code}",
                status=refusal.status,
                code=refusal.code,
            )
        try:
            return read_group_created(result.body)
        except MalformedWire as e:
            raise VenueProtocolError(str(e)) from None

    async def _send(
        self, path: str, body: bytes, guard: Guard | None, on_wire: OnWire | None
    ) -> Answer | Lost | Unsent:
        if self._presigner is not None:
            await self._presigner.wait(("POST", path))  # not one turn of the loop if it is ready
        return await self._line.call("POST", path, body=body, guard=guard, on_wire=on_wire)


def _create_body(order: NewOrder) -> CreateOrderBody:
    assert order.qty_e2 > 0, order
    assert 0 < order.price_e4 < 10_000, order
    return CreateOrderBody(
        ticker=order.market,
        side=order.side.value,
        count=format_qty(order.qty_e2),
        price=format_price(order.price_e4),
        time_in_force=order.tif,
        self_trade_prevention_type=order.stp,
        exchange_index=order.shard,
        client_order_id=order.client_order_id,
        expiration_time=None if order.expires_ms is None else order.expires_ms // 1_000,
        post_only=order.post_only or None,
        reduce_only=order.reduce_only or None,
        cancel_order_on_pause=order.cancel_on_pause or None,
        order_group_id=order.order_group_id,
    )


def _id(order_id: str) -> str:
    # An order id comes from the venue and goes into a path: quoted, and never empty, because an
    # empty one would name the collection.
    assert order_id, "an order without an id"
    return VenueLine.quoted(order_id)
