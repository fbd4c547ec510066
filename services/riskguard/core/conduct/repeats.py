"""Find the same decision executed again and again: market, side and price (the pattern that ruined Knight).

An execution is an order, or an order as it was amended anew, that traded: many
small takers of one resting quote are one execution; a quote that is put back each
time it is taken is many. Which strategy it was the venue does not say; one account
runs one strategy, and counting all of them together is never too few.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.kalshi.model import VenueFill

_Key = tuple[str, str, int]


@dataclass(slots=True)
class Repeats:
    """Executions within ``length_ns``; holds no more than happened within it."""

    length_ns: int
    _ends: dict[_Key, dict[tuple[str, int], int]] = field(default_factory=dict)
    """By decision: each execution (order id, number of our change) and its monotonic end."""

    def on_fill(self, fill: VenueFill, change: int, now_ns: int, age_ns: int) -> None:
        """Take a fill of an order that we had told the venue ``change`` times about."""
        if age_ns < self.length_ns:
            key = (fill.market, fill.side.value, fill.price_e4)
            self._ends.setdefault(key, {})[fill.order_id, change] = now_ns + self.length_ns - age_ns

    def worst(self, now_ns: int) -> tuple[str, int]:
        """Return the decision that was executed most often, and how often; nothing is empty and 0."""
        for key, ends in list(self._ends.items()):
            kept = {execution: end_ns for execution, end_ns in ends.items() if end_ns > now_ns}
            if kept:
                self._ends[key] = kept
            else:
                del self._ends[key]
        if not self._ends:
            return "", 0
        market, side, price_e4 = worst = max(self._ends, key=lambda key: (len(self._ends[key]), key))
        return f"{market} {side} {price_e4}", len(self._ends[worst])
