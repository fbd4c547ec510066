"""An order as the venue keeps it, and the words of its life.

Orders are mutable and live as long as the venue does: a client order id is
never free again (kalshi-api 11.4), and an executed order is still listed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from operator import attrgetter

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4


class OrderStatus(enum.StrEnum):
    """The venue's three words; part-filled and then cancelled is ``canceled``."""

    RESTING = "resting"
    CANCELED = "canceled"
    EXECUTED = "executed"


class TimeInForce(enum.StrEnum):
    """How long an order may wait."""

    GOOD_TILL_CANCELED = "good_till_canceled"
    IMMEDIATE_OR_CANCEL = "immediate_or_cancel"
    FILL_OR_KILL = "fill_or_kill"


class SelfTradePrevention(enum.StrEnum):
    """What happens where an incoming order meets one of the same account; the incoming order decides."""

    TAKER_AT_CROSS = "taker_at_cross"
    MAKER = "maker"


class Reason(enum.StrEnum):
    """``last_update_reason`` of the ``user_orders`` channel (kalshi-api 23.10)."""

    NONE = ""
    DECREASE = "Decrease"
    AMEND = "Amend"
    TRADE = "Trade"
    MARGIN_CANCEL = "MarginCancel"
    SELF_TRADE_CANCEL = "SelfTradeCancel"
    EXPIRY_CANCEL = "ExpiryCancel"
    CLOSE_CANCEL = "CloseCancel"
    HALT_CANCEL = "HaltCancel"
    POST_ONLY_CROSS_CANCEL = "PostOnlyCrossCancel"
    REDUCE_ONLY_CANCEL = "ReduceOnlyCancel"


@dataclass(slots=True, eq=False)
class Order:
    """One order; mutated by the venue only. Times are the venue's Unix nanoseconds."""

    order_id: str
    account: str
    client_order_id: str
    market: str
    event: str
    shard: int
    side: Side
    price_e4: int
    initial_e2: int
    remaining_e2: int
    tif: TimeInForce
    stp: SelfTradePrevention
    created_ns: int
    updated_ns: int
    post_only: bool = False
    reduce_only: bool = False
    cancel_on_pause: bool = False
    expires_ns: int | None = None
    order_group_id: str = ""
    filled_e2: int = 0
    status: OrderStatus = OrderStatus.RESTING
    reason: Reason = Reason.NONE
    taker_cost_e6: int = 0
    maker_cost_e6: int = 0
    taker_fees_e6: int = 0
    maker_fees_e6: int = 0
    fee_accumulator_e6: int = 0

    @property
    def is_resting(self) -> bool:
        """Return whether the order is in the book."""
        return self.status is OrderStatus.RESTING

    def crosses(self, price_e4: int) -> bool:
        """Return whether an opposite order at this YES price can trade with this one."""
        return price_e4 <= self.price_e4 if self.side is Side.BID else price_e4 >= self.price_e4

    def copy(self) -> Order:
        """Return the order as it stands now."""
        return Order(*_values(self))  # a quarter of what `replace` costs, and a halt copies thousands

    def leg_price_e4(self) -> int:
        """Return what one contract costs to open at the limit: YES at p costs p, NO one dollar minus p."""
        return self.price_e4 if self.side is Side.BID else DOLLAR_E4 - self.price_e4


_values = attrgetter(*(field.name for field in fields(Order)))
