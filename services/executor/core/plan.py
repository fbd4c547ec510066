"""What the planner is told and what it answers: rules, the market, acts, and reasons for what is not done."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.domain.grid import PriceGrid
from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.execution import Action
from services.executor.core.orders import OwnOrder


class ReplaceWith(enum.StrEnum):
    """How a quote moves to another price."""

    AMEND = "amend"
    CANCEL_CREATE = "cancel_create"


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What the planner is configured with.

    Attributes:
        hysteresis_ticks: A quote that gives less than wanted stays while it is at most so
            many ticks away; 0 moves it by any tick.
        hysteresis_e2: Size differences up to this are no reason for a request.
        replace_with: `AMEND` where it is safe, or always `CANCEL_CREATE`.
        amend_clear_ticks: How far from the opposite touch an amended price must stay.
        renew_ms: Orders that expire sooner than this are renewed.
        life_ms: How long an order or a renewal lives.
        place_value_e4: What one contract fewer ahead of us is worth, for each contract that we lose
            the place of; in ten-thousandths of a dollar. 0 leaves the queue out of the decision.
        token_price_e6: What a token of the budget is worth, in millionths of a dollar.
        batch_moves_min: So many amends of prices in one pass travel as one batch of cancels and one
            of creates instead, where tokens are plenty; 0 never.
    """

    hysteresis_ticks: int = 1
    hysteresis_e2: int = 0
    replace_with: ReplaceWith = ReplaceWith.AMEND
    amend_clear_ticks: int = 1
    renew_ms: int = 20_000
    life_ms: int = 60_000
    place_value_e4: int = 0
    token_price_e6: int = 0
    batch_moves_min: int = 3


@dataclass(frozen=True, slots=True)
class MarketNow:
    """The market as the planner sees it.

    Attributes:
        grid: None while unknown: then no create and no amend.
        bid_e4: Best visible bid, None for none or unknown.
        ask_e4: Best visible ask, the same.
        is_open: False once closed: then no request at all is of use.
        now_ms: Exchange time.
        bid_e2: Quantity at the best bid, ours included.
        ask_e2: The same of the best ask.
        ahead_e2: Of our orders, by client order id: how much rests before them; unknown ones are missing.
    """

    market: str
    grid: PriceGrid | None
    bid_e4: int | None
    ask_e4: int | None
    is_open: bool
    now_ms: int
    bid_e2: int = 0
    ask_e2: int = 0
    ahead_e2: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Act:
    """One request to make.

    Attributes:
        order: The order it changes; None for a create.
        price_e4: Wanted price; of a decrease or cancel the present one.
        qty_e2: Wanted remaining quantity; 0 for a cancel.
        why: One word for the log.
        behind: Of a create: orders that this plan cancels and that must be gone before it may leave;
            the first one is the order whose place it takes.
    """

    action: Action
    side: Side
    price_e4: int
    qty_e2: int
    order: OwnOrder | None
    why: str
    behind: tuple[OwnOrder, ...] = ()

    @property
    def is_move(self) -> bool:
        """Return whether this amend gives the order another price: it could as well be replaced."""
        return self.action is Action.AMEND and self.order is not None and self.order.price_e4 != self.price_e4

    def as_replacement(self, *others: OwnOrder) -> tuple[Act, Act]:
        """Return the cancel and the create that do what this amend would, after ``others`` are gone too."""
        order = self.order
        assert order is not None, self
        behind = (order, *(other for other in others if other is not order))
        return (
            Act(Action.CANCEL, self.side, order.price_e4, 0, order, "replaced"),
            Act(Action.CREATE, self.side, self.price_e4, self.qty_e2, None, self.why, behind),
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A wanted change that is not made now, or a quote that stays, with the reason."""

    side: Side
    reason: Reason


@dataclass(slots=True)
class Plan:
    """Actions in the order to perform them: cancels, decreases, amends, creates."""

    acts: list[Act] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    def of(self, *actions: Action) -> list[Act]:
        """Return the acts of these kinds."""
        return [act for act in self.acts if act.action in actions]
