"""Order requests after parsing, what the venue answers, and what it refuses with.

A refusal is a value (status, code, message, details), never an exception: it
goes to the client as it is and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.domain.side import Side
from services.simexchange.core.orders import SelfTradePrevention, TimeInForce


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that was not done; the body of `kalshi-api` section 20."""

    status: int
    code: str
    message: str = ""
    details: str = ""

    @property
    def text(self) -> str:
        """Return the message; the venue's default is the code in words."""
        return self.message or self.code.replace("_", " ")


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A new order. ``exchange_index`` None or -1 routes by market."""

    market: str
    side: Side
    price_e4: int
    qty_e2: int
    tif: TimeInForce = TimeInForce.GOOD_TILL_CANCELED
    stp: SelfTradePrevention = SelfTradePrevention.TAKER_AT_CROSS
    client_order_id: str = ""
    expires_s: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    cancel_on_pause: bool = False
    order_group_id: str = ""
    subaccount: int = 0
    exchange_index: int | None = None


@dataclass(frozen=True, slots=True)
class OrderRef:
    """An order to act on, as the request names it."""

    order_id: str
    market: str = ""
    exchange_index: int | None = None
    subaccount: int = 0


@dataclass(frozen=True, slots=True)
class AmendRequest:
    """A new price, total or expiry for an order; ``total_e2`` is filled plus wanted remaining.

    ``expires_s``: None keeps, 0 removes.
    """

    ref: OrderRef
    side: Side
    price_e4: int
    total_e2: int
    client_order_id: str = ""
    updated_client_order_id: str = ""
    expires_s: int | None = None


@dataclass(frozen=True, slots=True)
class DecreaseRequest:
    """Exactly one of the two is set."""

    ref: OrderRef
    reduce_by_e2: int | None = None
    reduce_to_e2: int | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A create or an amend that was done."""

    order_id: str
    client_order_id: str
    filled_e2: int
    remaining_e2: int
    fill_notional_e6: int
    fill_fees_e6: int
    venue_ns: int
    is_size_changed: bool = True


@dataclass(frozen=True, slots=True)
class Reduced:
    """A cancel or a decrease that was done."""

    order_id: str
    client_order_id: str
    reduced_e2: int
    remaining_e2: int
    venue_ns: int
