"""Grids, fees and the ledger hold their laws for any numbers."""

from fractions import Fraction
from math import ceil, floor

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.fees import PRECISION_E6, FeeTerms, fee_of_fill, model_fee_e6
from libs.common.domain.grid import PriceGrid, grid_of_steps
from libs.common.domain.ledger import AccountLedger, Fill
from libs.common.domain.side import Side
from libs.common.domain.units import (
    format_cash,
    format_price,
    format_qty,
    parse_cash_e6,
    parse_price_e4,
    parse_qty_e2,
)

GRIDS = st.sampled_from(
    [
        grid_of_steps((0, 10_000, 100)),
        grid_of_steps((0, 10_000, 10)),
        grid_of_steps((0, 10_000, 1)),
        grid_of_steps((0, 1000, 10), (1000, 9000, 100), (9000, 10_000, 10)),
        grid_of_steps((0, 100, 1), (100, 9900, 10), (9900, 10_000, 1)),
        grid_of_steps((0, 1000, 20), (1000, 9000, 50), (9000, 10_000, 20)),
    ]
)
PRICES = st.integers(1, 9_999)
QTYS = st.integers(1, 10**7)
FEE_TYPES = st.sampled_from(["quadratic", "quadratic_with_maker_fees", "quadratic_with_combo_maker_fees"])


@given(GRIDS, st.floats(-100, 10_100))
def test_rounding_is_outward_and_takes_the_nearest_tick(grid: PriceGrid, price_e4: float) -> None:
    valid = (
        [price for price in range(1, 10_000) if grid.is_on_grid(price)]
        if grid.bands[0].step_e4 >= 10
        else None
    )
    low, high = grid.floor_to_tick(price_e4), grid.ceil_to_tick(price_e4)
    assert low is None or (low <= price_e4 and grid.is_on_grid(low))
    assert high is None or (high >= price_e4 and grid.is_on_grid(high))
    if valid is not None:
        assert low == max((price for price in valid if price <= price_e4), default=None)
        assert high == min((price for price in valid if price >= price_e4), default=None)


@given(FEE_TYPES, st.integers(0, 20_000), PRICES, QTYS, st.booleans())
def test_the_integer_fee_equals_the_fraction_rounded_up(
    fee_type: str, multiplier_e4: int, price_e4: int, qty_e2: int, is_taker: bool
) -> None:
    factor = {
        "quadratic": Fraction(0),
        "quadratic_with_maker_fees": Fraction(1, 4),
        "quadratic_with_combo_maker_fees": Fraction(1, 2),
    }[fee_type]
    price = Fraction(price_e4, 10_000)
    exact = Fraction(multiplier_e4, 10_000) * Fraction(7, 100) * (1 if is_taker else factor)
    exact *= Fraction(qty_e2, 100) * price * (1 - price)
    assert model_fee_e6(FeeTerms(fee_type, multiplier_e4), price_e4, qty_e2, is_taker=is_taker) == ceil(
        exact * 10**6
    )


@given(
    FEE_TYPES,
    st.lists(st.tuples(st.sampled_from(Side), PRICES, st.integers(1, 5_000), st.booleans()), max_size=30),
)
def test_balances_stay_on_whole_ten_thousandths_and_fees_never_turn_negative(
    fee_type: str, fills: list[tuple[Side, int, int, bool]]
) -> None:
    terms, accumulator_e6 = FeeTerms(fee_type, 10_000), 0
    for side, price_e4, qty_e2, is_taker in fills:
        fee = fee_of_fill(terms, side, price_e4, qty_e2, is_taker=is_taker, accumulator_e6=accumulator_e6)
        assert fee.net_e6 >= 0
        assert fee.accumulator_e6 >= 0
        assert (-side.sign * price_e4 * qty_e2 - fee.net_e6) % PRECISION_E6 == 0
        # The documented steps, taken literally.
        trade_fee = model_fee_e6(terms, price_e4, qty_e2, is_taker=is_taker)
        revenue = -side.sign * price_e4 * qty_e2
        aligned = floor(Fraction(revenue - trade_fee, PRECISION_E6)) * PRECISION_E6
        rounding = revenue - trade_fee - aligned
        acc = accumulator_e6 + rounding
        rebate = min(acc // PRECISION_E6, (trade_fee + rounding) // PRECISION_E6) * PRECISION_E6
        assert fee.net_e6 == trade_fee + rounding - rebate
        assert revenue - fee.net_e6 == aligned + rebate
        accumulator_e6 = fee.accumulator_e6


@given(
    st.lists(
        st.tuples(
            st.integers(0, 20), st.sampled_from("AB"), st.sampled_from(Side), PRICES, st.integers(1, 10_000)
        ),
        max_size=60,
    ),
    st.integers(0, 10_000),
)
def test_cash_is_conserved_and_repeats_change_nothing(
    fills: list[tuple[int, str, Side, int, int]], value_e4: int
) -> None:
    once, twice = AccountLedger(), AccountLedger()
    for trade, market, side, price_e4, qty_e2 in fills:
        fill = Fill(str(trade), "o", market, side, price_e4, qty_e2, qty_e2 % 7)
        once.apply_fill(fill)
        twice.apply_fill(fill)
        twice.apply_fill(fill)
        assert once.conserves()
    assert once.cash_e6 == twice.cash_e6
    assert once.quantities() == twice.quantities()
    for market in ("A", "B"):
        revenue_e6 = once.position(market).settlement_value_e6(value_e4)
        once.apply_settlement(market, revenue_e6, 0)
    assert once.conserves()
    assert once.cash_e6 == once.realised_e6 - once.fees_e6


@given(PRICES, st.integers(-(10**9), 10**9), st.integers(-(10**12), 10**12))
def test_every_number_survives_its_text(price_e4: int, qty_e2: int, cash_e6: int) -> None:
    assert parse_price_e4(format_price(price_e4)) == price_e4
    assert parse_qty_e2(format_qty(qty_e2)) == qty_e2
    assert parse_cash_e6(format_cash(cash_e6)) == cash_e6
