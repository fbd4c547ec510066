"""What a rule is given and what it says.

An order arrives as :class:`Order`, the world as :class:`RiskView`: positions,
everything open (resting, in flight, unknown), cash and a reference price. A rule
answers None or a :class:`Refusal`, which is a value, counted and published,
never an exception. Zero means zero: a limit of 0 lets nothing through. What the
view does not know is None, and a rule that needs it refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from libs.common.domain.grid import PriceGrid
from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4
from libs.common.risk.exposure import EventLoss


class Order(msgspec.Struct, frozen=True, gc=False):
    """What would be open if this is let through: a new order, or an order after its amend.

    Attributes:
        is_change: True for an amend: no order more than before.
        is_exit: True for a reduce-only order that never rests; the venue caps it at the position.
    """

    market: str
    event: str
    side: Side
    price_e4: int
    qty_e2: int
    is_change: bool = False
    is_exit: bool = False

    @property
    def leg_e4(self) -> int:
        """Return the price of the leg that it buys: YES for a bid, NO for an ask."""
        return self.price_e4 if self.side is Side.BID else DOLLAR_E4 - self.price_e4

    @property
    def cost_e6(self) -> int:
        """Return the most that this order can lose: what the leg costs that it buys."""
        return self.leg_e4 * self.qty_e2


class RiskView(msgspec.Struct, frozen=True, kw_only=True):
    """The account as one order meets it; an amended order is not in here, its new form is the `Order`.

    Attributes:
        position_e2: Signed position of the market from counted fills.
        bid_open_e2: Quantity that may still fill on the bid side: resting, in flight, unknown,
            and fills the venue told of that are not counted yet.
        ask_open_e2: The same on the ask side.
        loss_if_yes_e6: What the market loses if YES settles and every ask fills; negative is gain.
        loss_if_no_e6: What it loses if NO settles and every bid fills.
        event: What the event's other markets lose together.
        account_others_e6: Worst-case loss of all other events.
        event_contracts_others_e2: Largest positions that the event's other markets may come to, summed.
        account_contracts_others_e2: The same of all other markets of the account.
        market_orders: Open orders of the market, whatever strategy or purpose made them.
        account_orders: Open orders of the account.
        own_bid_max_e4: Highest price at which a bid of ours may rest, or None.
        own_ask_min_e4: Lowest price at which an ask of ours may rest, or None.
        same_price_open: Open orders of ours in this market with the same side and price.
        reference_e4: Reference price, or None when there is none.
        reference_age_ms: Its age in exchange time, either way, or None when there is none.
        grid: The market's grid, or None when unknown.
        free_e6: Cash of the order's shard that no open order holds back, or None when unknown.
        cash_e6: Cash of the account on all shards, or None when unknown.
        balance_age_ms: Age of both, or None when unknown.
        orders_last_s: Creates and amends let through in the last second; exits are counted apart.
        notional_last_minute_e6: What those of the last 60 s cost.
        repeated_last_s: Those of the last second with this market, side, price and size.
    """

    position_e2: int
    bid_open_e2: int
    ask_open_e2: int
    loss_if_yes_e6: int
    loss_if_no_e6: int
    event: EventLoss
    account_others_e6: int
    event_contracts_others_e2: int
    account_contracts_others_e2: int
    market_orders: int
    account_orders: int
    own_bid_max_e4: int | None
    own_ask_min_e4: int | None
    same_price_open: int
    reference_e4: float | None
    reference_age_ms: int | None
    grid: PriceGrid | None
    free_e6: int | None
    cash_e6: int | None
    balance_age_ms: int | None
    orders_last_s: int
    notional_last_minute_e6: int
    repeated_last_s: int

    def losses_after_e6(self, order: Order) -> tuple[int, int]:
        """Return the market's losses if YES and if NO settles with the order open as well."""
        if order.side is Side.ASK:
            return self.loss_if_yes_e6 + order.cost_e6, self.loss_if_no_e6
        return self.loss_if_yes_e6, self.loss_if_no_e6 + order.cost_e6

    def contracts_after_e2(self, order: Order) -> int:
        """Return the largest position, of either sign, that the market may come to with the order."""
        bid_e2 = self.bid_open_e2 + (order.qty_e2 if order.side is Side.BID else 0)
        ask_e2 = self.ask_open_e2 + (order.qty_e2 if order.side is Side.ASK else 0)
        return max(self.position_e2 + bid_e2, ask_e2 - self.position_e2)

    @property
    def contracts_before_e2(self) -> int:
        """Return the same without the order."""
        return max(self.position_e2 + self.bid_open_e2, self.ask_open_e2 - self.position_e2)

    def opening_e2(self, order: Order) -> int:
        """Return what of the order opens a position if everything else of its side fills first."""
        if order.side is Side.BID:
            closing_e2 = -self.position_e2 - self.bid_open_e2
        else:
            closing_e2 = self.position_e2 - self.ask_open_e2
        return max(0, order.qty_e2 - max(0, closing_e2))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order may not be sent: which rule, its limit, what it would have become, and in which unit.

    A value of -1 says that what the rule needs is not known.
    """

    rule: str
    limit: int
    was: int
    unit: str = ""


class Rule(Protocol):
    """One pre-trade rule: frozen, pure, monotone (no larger quantity passes where a smaller one fails)."""

    @property
    def name(self) -> str:
        """Return the name that refusals and metrics carry."""
        ...

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal, or None if this rule has nothing against the order."""
        ...
