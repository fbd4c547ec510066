"""What we send to the order endpoints.

Prices and counts are strings, always (JSON numbers are refused), the shard is
named explicitly (an automatic route drains every bucket), and time in force and
self-trade prevention are stated, since the venue has no default (kalshi-api 11).
"""

from __future__ import annotations

import msgspec


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of request bodies: what is None does not leave."""


class CreateOrderBody(Body, frozen=True, kw_only=True):
    """``POST /portfolio/events/orders`` and each item of its batch."""

    ticker: str
    side: str
    count: str
    price: str
    time_in_force: str
    self_trade_prevention_type: str
    exchange_index: int
    client_order_id: str
    expiration_time: int | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    cancel_order_on_pause: bool | None = None
    order_group_id: str | None = None


class BatchCreateBody(Body, frozen=True, kw_only=True):
    """``POST /portfolio/events/orders/batched``."""

    orders: list[CreateOrderBody]


class AmendBody(Body, frozen=True, kw_only=True):
    """``POST .../{order_id}/amend``; ``count`` is filled plus wanted remaining."""

    ticker: str
    side: str
    price: str
    count: str
    exchange_index: int
    client_order_id: str | None = None
    expiration_time: int | None = None


class DecreaseBody(Body, frozen=True, kw_only=True):
    """``POST .../{order_id}/decrease``; exactly one of the two sizes."""

    exchange_index: int
    market_ticker: str
    reduce_by: str | None = None
    reduce_to: str | None = None


class CancelItem(Body, frozen=True, kw_only=True):
    """One item of ``DELETE /portfolio/events/orders/batched``."""

    order_id: str
    market_ticker: str
    exchange_index: int


class BatchCancelBody(Body, frozen=True, kw_only=True):
    """``DELETE /portfolio/events/orders/batched``, a DELETE with a body."""

    orders: list[CancelItem]


class CreateGroupBody(Body, frozen=True, kw_only=True):
    """``POST /portfolio/order_groups/create``."""

    contracts_limit_fp: str
    exchange_index: int
