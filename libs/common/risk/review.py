"""Ask every rule; the first refusal counts.

No view means that the exposure is unknown, and unknown is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.risk.model import Order, Refusal, RiskView, Rule


def review(order: Order, view: RiskView | None, rules: Sequence[Rule]) -> Refusal | None:
    """Return the first refusal, or None if no rule has anything against the order.

    An empty list of rules refuses: an order that nobody looked at was not reviewed.
    """
    if view is None:
        return Refusal("risk_view_present", limit=1, was=0, unit="views")
    if not rules:
        return Refusal("rules_present", limit=1, was=0, unit="rules")
    for rule in rules:
        if (refusal := rule.check(order, view)) is not None:
            return refusal
    return None
