"""What a rule is given and what it says.

An order arrives as :class:`Order`, the world as :class:`RiskView`: positions,
everything open (resting, in flight, unknown) and a reference price. A rule
answers None or a :class:`Refusal`, which is a value, counted and published,
never an exception. Zero means zero: a limit of 0 lets nothing through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from libs.common.domain.grid import PriceGrid
from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4


@dataclass(frozen=True, slots=True)
class Order:
    """What would be open if this is let through: a new order, or an order after its amend."""

    market: str
    event: str
    side: Side
    price_e4: int
    qty_e2: int

    @property
    def cost_e6(self) -> int:
        """Return the most that this order can lose: the price of the leg it buys."""
        leg_e4 = self.price_e4 if self.side is Side.BID else DOLLAR_E4 - self.price_e4
        return leg_e4 * self.qty_e2


@dataclass(frozen=True, slots=True)
class RiskView:
    """The account as one order meets it; an amended order is not in here, its new form is the `Order`.

    Attributes:
        position_e2: Signed position of the market from counted fills.
        bid_open_e2: Quantity that may still fill on the bid side: resting, in flight, unknown,
            and fills the venue told of that are not counted yet.
        ask_open_e2: The same on the ask side.
        loss_if_yes_e6: What the market loses if YES settles and every ask fills; negative is gain.
        loss_if_no_e6: What it loses if NO settles and every bid fills.
        event_others_e6: Worst-case loss of the event's other markets, each at least 0.
        account_others_e6: The same of all other markets of the account.
        own_bid_max_e4: Highest price at which a bid of ours may rest, or None.
        own_ask_min_e4: Lowest price at which an ask of ours may rest, or None.
        same_price_open: Open orders of ours in this market with the same side and price.
        reference_e4: Fresh reference price, or None when there is none.
        grid: The market's grid, or None when unknown.
        orders_last_s: Creates and amends let through in the last second.
    """

    position_e2: int
    bid_open_e2: int
    ask_open_e2: int
    loss_if_yes_e6: int
    loss_if_no_e6: int
    event_others_e6: int
    account_others_e6: int
    own_bid_max_e4: int | None
    own_ask_min_e4: int | None
    same_price_open: int
    reference_e4: float | None
    grid: PriceGrid | None
    orders_last_s: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order may not be sent: which rule, its limit, and what it would have become."""

    rule: str
    limit: int
    was: int


class Rule(Protocol):
    """One pre-trade rule: frozen, pure, monotone (no larger quantity passes where a smaller one fails)."""

    @property
    def name(self) -> str:
        """Return the name that refusals and metrics carry."""
        ...

    def check(self, order: Order, view: RiskView) -> Refusal | None:
        """Return a refusal, or None if this rule has nothing against the order."""
        ...
