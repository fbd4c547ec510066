"""The positions of one event together are larger than they may be."""

from __future__ import annotations

from services.riskguard.core.triggers.position_sum import PositionSum


def event_position() -> PositionSum:
    """Return the rule."""
    return PositionSum(
        "event_position",
        "the positions of one event passed their limit",
        lambda view: view.money.event_positions,
        lambda limits: limits.money.event_position_e2,
    )
