"""The positions of one series together are larger than they may be."""

from __future__ import annotations

from services.riskguard.core.triggers.position_sum import PositionSum


def series_position() -> PositionSum:
    """Return the rule."""
    return PositionSum(
        "series_position",
        "the positions of one series passed their limit",
        lambda view: view.money.series_positions,
        lambda limits: limits.money.series_position_e2,
    )
