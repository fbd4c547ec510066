"""The positions of the account together are larger than they may be."""

from __future__ import annotations

from services.riskguard.core.triggers.position_sum import PositionSum


def account_position() -> PositionSum:
    """Return the rule."""
    return PositionSum(
        "account_position",
        "the positions of the account passed their limit",
        lambda view: {"account": view.money.account_position_e2},
        lambda limits: limits.money.account_position_e2,
    )
