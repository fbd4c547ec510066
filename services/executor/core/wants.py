"""What one planning pass wants to send: acts with their targets, and orders that make way for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.common.messages.execution import Action
from services.executor.core.orders import OwnOrder
from services.executor.core.plan import Act
from services.executor.core.target_store import TargetSlot


@dataclass(frozen=True, slots=True)
class Want:
    """One act, with the target that it comes of.

    Attributes:
        act: A decrease, an amend or a create.
        gone: The order whose place a create takes: cancelled in the same batch.
    """

    market: str
    slot: TargetSlot
    act: Act
    gone: OwnOrder | None = None

    @property
    def leaving(self) -> OwnOrder | None:
        """Return the order whose present price this ends, by cancel or by amend."""
        return self.gone or (self.act.order if self.act.is_move else None)

    @property
    def gives_more(self) -> bool:
        """Return whether the order that leaves gives more than is wanted: then it must not rest on."""
        order = self.leaving
        return order is not None and (order.price_e4 - self.act.price_e4) * self.act.side.sign > 0

    def replaced(self) -> Want:
        """Return an amend of the price as a create behind the order's cancel."""
        assert self.act.is_move, self.act
        return Want(self.market, self.slot, self.act.as_replacement()[1], self.act.order)


@dataclass(slots=True)
class Knot:
    """Wants that travel together, because one follows the cancel of another's order; most are of one.

    Attributes:
        cancels: Orders that nothing replaces and that a create of the knot must follow.
    """

    wants: list[Want] = field(default_factory=list)
    cancels: list[OwnOrder] = field(default_factory=list)

    @property
    def gone(self) -> list[OwnOrder]:
        """Return every order that the knot cancels."""
        return [*self.cancels, *(want.gone for want in self.wants if want.gone is not None)]


def sort_acts(market: str, slot: TargetSlot, acts: Sequence[Act]) -> tuple[list[OwnOrder], list[Knot]]:
    """Return the orders to cancel in any case, and what else is wanted, tied as it must travel."""
    wants = [Want(market, slot, act, _makes_way(act)) for act in acts if act.action is not Action.CANCEL]
    awaited = [order for want in wants for order in want.act.behind if order is not want.gone]
    tie = Knot()
    knots: list[Knot] = []
    for want in wants:
        if any(order is not want.gone for order in want.act.behind) or _is_in(want.gone, awaited):
            tie.wants.append(want)
        else:
            knots.append(Knot([want]))
    taken = [want.gone for want in wants if want.gone is not None]
    cancels: list[OwnOrder] = []
    for act in acts:
        if act.action is Action.CANCEL and act.order is not None and not _is_in(act.order, taken):
            (tie.cancels if _is_in(act.order, awaited) else cancels).append(act.order)
    if tie.wants:
        knots.append(tie)
    return cancels, knots


def _makes_way(act: Act) -> OwnOrder | None:
    return act.behind[0] if act.behind and act.behind[0].side is act.side else None


def _is_in(order: OwnOrder | None, orders: Sequence[OwnOrder]) -> bool:
    return any(order is one for one in orders)
