"""What was held when the day began was worth then: the day's result starts there and not at cost.

Rules of the file:

* The guard that lives through the boundary writes down every mark at its first
  look after it; that is the day's opening, and it is stored (`core/memory.py`).
* A guard that finds no such record (first start, downtime over the boundary, a
  lost stream) takes the first mark it sees, or cost where that is more: an
  opening that is too high makes the day's result too bad, never too good.
* A market that was never seen opens at cost, as it counts at cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.messages.risk import OpenMarkV1
from services.riskguard.core.marks import Marks


@dataclass(slots=True)
class Opening:
    """The marks at the beginning of the day, by market."""

    _marks: dict[str, OpenMarkV1] = field(default_factory=dict)

    def begin(self, marks: Marks, now_ns: int) -> None:
        """Write down every mark: a new day begins."""
        self._marks = {
            market: OpenMarkV1(market=market, long_e4=long_e4, short_e4=short_e4, is_first_seen=False)
            for market in marks
            for long_e4 in (marks.leg_e4(market, now_ns, is_long=True),)
            for short_e4 in (marks.leg_e4(market, now_ns, is_long=False),)
            if long_e4 is not None or short_e4 is not None
        }

    def restore(self, stored: tuple[OpenMarkV1, ...]) -> None:
        """Take the marks that were stored today; they know better than a first look."""
        self._marks.update({mark.market: mark for mark in stored})

    def of(self, market: str) -> OpenMarkV1 | None:
        """Return a market's opening mark, None where there is none."""
        return self._marks.get(market)

    def worth_e6(self, market: str, qty_e2: int, cost_e6: int, marks: Marks, now_ns: int) -> int:
        """Return what a position held at the opening was worth then; the first look may decide it."""
        if not qty_e2:
            return 0
        is_long = qty_e2 > 0
        leg_e4 = _leg(self._marks.get(market), is_long=is_long)
        if leg_e4 is None:
            if marks.leg_e4(market, now_ns, is_long=is_long) is None:
                return cost_e6
            self._marks[market] = OpenMarkV1(
                market=market,
                long_e4=marks.leg_e4(market, now_ns, is_long=True),
                short_e4=marks.leg_e4(market, now_ns, is_long=False),
                is_first_seen=True,
            )
            leg_e4 = _leg(self._marks[market], is_long=is_long)
            assert leg_e4 is not None
        worth_e6 = leg_e4 * abs(qty_e2)
        return max(cost_e6, worth_e6) if self._marks[market].is_first_seen else worth_e6


def _leg(mark: OpenMarkV1 | None, *, is_long: bool) -> int | None:
    if mark is None:
        return None
    return mark.long_e4 if is_long else mark.short_e4
