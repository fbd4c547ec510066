"""Positions and cash from fills and settlements, exact and each counted once.

The idea is double entry in one line: at every moment the cash that flowed
equals what was realised, minus what is still tied up in open positions, minus
fees (:meth:`AccountLedger.conserves`). A fill is known by trade and order id
whatever path it came by, so hearing it twice changes nothing.

Cost is what was paid for the open leg: YES at p costs p, NO costs one dollar
minus p. A fill past flat closes the one leg and opens the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4, CashE6, QtyE2


@dataclass(frozen=True, slots=True)
class Fill:
    """One fill of ours; ``(trade_id, order_id)`` names it."""

    trade_id: str
    order_id: str
    market: str
    side: Side
    price_e4: int
    qty_e2: int
    fee_e6: int


@dataclass(slots=True)
class Position:
    """One market's position; mutated by the ledger only.

    Attributes:
        qty_e2: Signed: positive YES, negative NO.
        cost_e6: Paid for the open leg, never negative.
        realised_e6: Result of closed and settled quantity, before fees.
        fees_e6: All fees, settlement fees included.
        cash_e6: Money that flowed, fees included; negative is paid.
        is_settled: The venue paid this market out.
    """

    qty_e2: int = 0
    cost_e6: int = 0
    realised_e6: int = 0
    fees_e6: int = 0
    cash_e6: int = 0
    is_settled: bool = False

    def apply_fill(self, side: Side, price_e4: int, qty_e2: int, fee_e6: int) -> CashE6:
        """Change the position by one fill and return the realised result of the closed part, before fees."""
        assert qty_e2 > 0, f"positive fill quantity, was {qty_e2}"
        assert 0 <= price_e4 <= DOLLAR_E4, f"price of 0 to 10_000, was {price_e4}"
        closes = self.qty_e2 * side.sign < 0
        closed_e2 = min(qty_e2, abs(self.qty_e2)) if closes else 0
        opened_e2 = qty_e2 - closed_e2
        bought_leg_e4 = price_e4 if side is Side.BID else DOLLAR_E4 - price_e4
        realised_e6 = 0
        if closed_e2:
            # The leg we hold is the other one; closing it pays one dollar less the leg just bought.
            proceeds_e6 = (DOLLAR_E4 - bought_leg_e4) * closed_e2
            cost_e6 = self.cost_e6 * closed_e2 // abs(self.qty_e2)
            realised_e6 = proceeds_e6 - cost_e6
            self.cost_e6 -= cost_e6
            self.cash_e6 += proceeds_e6
        if opened_e2:
            self.cost_e6 += bought_leg_e4 * opened_e2
            self.cash_e6 -= bought_leg_e4 * opened_e2
        self.qty_e2 += side.sign * qty_e2
        self.realised_e6 += realised_e6
        self.fees_e6 += fee_e6
        self.cash_e6 -= fee_e6
        return CashE6(realised_e6)

    def apply_settlement(self, revenue_e6: int, fee_e6: int) -> CashE6:
        """Pay the position out and return the realised result, before fees."""
        realised_e6 = revenue_e6 - self.cost_e6
        self.realised_e6 += realised_e6
        self.cash_e6 += revenue_e6 - fee_e6
        self.fees_e6 += fee_e6
        self.qty_e2 = 0
        self.cost_e6 = 0
        self.is_settled = True
        return CashE6(realised_e6)

    def amend_settlement(self, revenue_e6: int, fee_e6: int) -> CashE6:
        """Correct what the settlement paid by these differences and return the realised one, before fees.

        Quantity of fills that were heard of after the settlement is closed by it as well.
        """
        assert self.is_settled, "a settlement to correct, was none"
        return self.apply_settlement(revenue_e6, fee_e6)

    def settlement_value_e6(self, value_e4: int) -> CashE6:
        """Return what the position pays if YES settles at ``value_e4``."""
        return payout_e6(self.qty_e2, value_e4)


def payout_e6(qty_e2: int, value_e4: int) -> CashE6:
    """Return what a signed quantity pays if YES settles at ``value_e4``, before the cut to whole cents."""
    leg_e4 = value_e4 if qty_e2 >= 0 else DOLLAR_E4 - value_e4
    return CashE6(leg_e4 * abs(qty_e2))


@dataclass(slots=True)
class AccountLedger:
    """All positions of one account and the fills and settlements already counted."""

    positions: dict[str, Position] = field(default_factory=dict)
    _fills: set[tuple[str, str]] = field(default_factory=set)
    _settled: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Market to what was paid, before the fee, and the fee."""

    def position(self, market: str) -> Position:
        """Return the market's position, flat if nothing happened yet."""
        found = self.positions.get(market)
        if found is None:
            found = self.positions[market] = Position()
        return found

    def has_fill(self, trade_id: str, order_id: str) -> bool:
        """Return whether this fill was counted."""
        return (trade_id, order_id) in self._fills

    def apply_fill(self, fill: Fill) -> CashE6 | None:
        """Count a fill and return its realised result, or None if it was counted before."""
        key = (fill.trade_id, fill.order_id)
        if key in self._fills:
            return None
        self._fills.add(key)
        return self.position(fill.market).apply_fill(fill.side, fill.price_e4, fill.qty_e2, fill.fee_e6)

    def apply_settlement(self, market: str, revenue_e6: int, fee_e6: int) -> CashE6 | None:
        """Count a market's settlement and return its realised result, or None if it was counted before.

        One that pays otherwise than the one counted before replaces it; the result is the difference.
        """
        before = self._settled.get(market)
        if before == (revenue_e6, fee_e6):
            return None
        self._settled[market] = (revenue_e6, fee_e6)
        position = self.position(market)
        if before is None:
            return position.apply_settlement(revenue_e6, fee_e6)
        return position.amend_settlement(revenue_e6 - before[0], fee_e6 - before[1])

    @property
    def fill_count(self) -> int:
        """Return how many distinct fills were counted."""
        return len(self._fills)

    @property
    def cash_e6(self) -> CashE6:
        """Return the money that flowed in all markets, fees included."""
        return CashE6(sum(position.cash_e6 for position in self.positions.values()))

    @property
    def fees_e6(self) -> CashE6:
        """Return all fees."""
        return CashE6(sum(position.fees_e6 for position in self.positions.values()))

    @property
    def realised_e6(self) -> CashE6:
        """Return the realised result of all markets, before fees."""
        return CashE6(sum(position.realised_e6 for position in self.positions.values()))

    def quantities(self) -> dict[str, QtyE2]:
        """Return the markets that are not flat and their signed quantities."""
        return {market: QtyE2(p.qty_e2) for market, p in self.positions.items() if p.qty_e2}

    def conserves(self) -> bool:
        """Return whether cash equals realised minus tied up minus fees in every market: always true."""
        return all(
            p.cash_e6 == p.realised_e6 - p.cost_e6 - p.fees_e6
            and (p.qty_e2 != 0 or p.cost_e6 == 0)
            and p.cost_e6 >= 0
            for p in self.positions.values()
        )
