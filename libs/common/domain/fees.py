"""What a fill costs, to the millionth of a dollar, with the venue's rounding.

Fees are data: type and multiplier come from series and event and may change
live. The amount follows kalshi-api section 21: a model fee, rounded up to the
millionth; the balance change rounded down to the ten-thousandth, the rest
charged as a rounding fee; and an accumulator per order that gives whole
ten-thousandths of it back. The balance of a direct member therefore always
stays on whole ten-thousandths of a dollar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from libs.common.domain.side import Side
from libs.common.domain.units import DOLLAR_E4, CashE6

PRECISION_E6: Final = 100
"""Balance precision of direct members: one ten-thousandth of a dollar."""

_QUARTERS: Final = {
    # fee type: (taker, maker) share of the model fee in quarters
    "quadratic": (4, 0),
    "quadratic_with_maker_fees": (4, 1),
    "quadratic_with_combo_maker_fees": (4, 2),
}
_QUARTERS_UNKNOWN: Final = (4, 4)
"""A fee type that we do not know is taken for the dearest: never quote on a fee we guessed low."""


@dataclass(frozen=True, slots=True)
class FeeTerms:
    """Resolved terms of one market: overrides and waiver applied.

    Attributes:
        fee_type: The venue's word.
        multiplier_e4: Ten-thousandths; 10_000 is 1, 0 while a waiver holds.
    """

    fee_type: str
    multiplier_e4: int


@dataclass(frozen=True, slots=True)
class FillFee:
    """The net fee of a fill and the order's accumulator after it, both in millionths."""

    net_e6: CashE6
    accumulator_e6: int


def model_fee_e6(terms: FeeTerms, price_e4: int, qty_e2: int, *, is_taker: bool) -> CashE6:
    """Return the fee before balance rounding, rounded up to the millionth of a dollar.

    The formula is ``M * 0.07 * F * C * P * (1 - P)``; it is the same for either
    leg, so the YES price serves both.
    """
    quarters = _QUARTERS.get(terms.fee_type, _QUARTERS_UNKNOWN)[0 if is_taker else 1]
    scaled = terms.multiplier_e4 * 7 * quarters * qty_e2 * price_e4 * (DOLLAR_E4 - price_e4)
    return CashE6(-(-scaled // 40_000_000_000))


def fee_of_fill(
    terms: FeeTerms, side: Side, price_e4: int, qty_e2: int, *, is_taker: bool, accumulator_e6: int = 0
) -> FillFee:
    """Return what one fill of an order costs.

    Args:
        terms: The market's fee terms at the time of the fill.
        side: Side of our order.
        price_e4: YES price of the fill.
        qty_e2: Positive quantity.
        is_taker: Whether our order crossed.
        accumulator_e6: The order's accumulator after its earlier fills, taker and maker together.
    """
    fee_e6 = model_fee_e6(terms, price_e4, qty_e2, is_taker=is_taker)
    # Whether an ask closes YES or opens NO changes the cash by whole ten-thousandths only, so the
    # remainder that is charged as rounding is the same and the position need not be known.
    revenue_e6 = -side.sign * price_e4 * qty_e2
    rounding_e6 = (revenue_e6 - fee_e6) % PRECISION_E6
    accumulator_e6 += rounding_e6
    gross_e6 = fee_e6 + rounding_e6
    rebate_e6 = min(accumulator_e6, gross_e6) // PRECISION_E6 * PRECISION_E6
    return FillFee(CashE6(gross_e6 - rebate_e6), accumulator_e6 - rebate_e6)
