"""What an event can lose, by trying everything: every state, every subset of fills, settled by the ledger."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from libs.common.domain.ledger import Position
from services.executor.core.risk_desk import Holding


def market_loss_e6(holding: Holding, *, is_yes: bool) -> int:
    """Return the worst that one market loses in one state over every subset of its fills."""
    worst = None
    for size in range(len(holding.opened) + 1):
        for filled in itertools.combinations(holding.opened, size):
            position = Position(qty_e2=holding.position_e2, cost_e6=holding.cost_e6)
            for one in filled:
                position.apply_fill(one.side, one.price_e4, one.qty_e2, 0)
            position.apply_settlement(position.settlement_value_e6(10_000 if is_yes else 0), 0)
            loss = -position.realised_e6
            worst = loss if worst is None else max(worst, loss)
    assert worst is not None
    return worst


def states(event: Mapping[str, Holding]) -> Iterator[tuple[bool, ...]]:
    """Yield what may happen: one winner or none that is known; or anything, where the flag is not known."""
    if all(holding.is_exclusive for holding in event.values()):
        for winner in (*event, None):
            yield tuple(market == winner for market in event)
    else:
        yield from itertools.product((False, True), repeat=len(event))


def by_force_e6(event: Mapping[str, Holding]) -> int:
    """Return the worst loss of the event, at least 0."""
    losses = [
        {is_yes: market_loss_e6(holding, is_yes=is_yes) for is_yes in (False, True)}
        for holding in event.values()
    ]
    worst = max(
        sum(loss[is_yes] for loss, is_yes in zip(losses, state, strict=True)) for state in states(event)
    )
    return max(0, worst)
